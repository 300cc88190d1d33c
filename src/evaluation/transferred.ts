/** How a network fares with what was made to mislead another. */
import * as v from 'valibot';
import {
  attackEntries,
  epsilonEntry,
  guardEvaluating,
  type Attack,
  type AttackOptions,
  type Target,
} from '../adversary/attack.js';
import * as attacks from '../adversary/index.js';
import type { Dataset } from '../data/dataset.js';
import { parseOptions } from '../options.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import { attackName, type AttackName } from './choices.js';
import { outcomes } from './outcomes.js';
import { total } from './work.js';

const schema = v.strictObject({ ...attackEntries, attack: attackName, epsilon: epsilonEntry });

/**
 * Counts how many inputs a network classifies rightly that were attacked on another network: the paper's Fixed column.
 *
 * @param source - The network that the adversarial inputs are made on.
 * @param model - The network that is measured on them.
 * @param data - The examples.
 * @param options - The `attack` by name, its `epsilon`, and what every attack takes.
 * @returns The part of all examples, with its 95 % interval.
 * @throws SparringError for an unknown attack, a network in training mode, and whatever the attack refuses.
 *
 * @example
 * ```ts
 * import { datasets, models, take, transferred } from 'sparring';
 *
 * const test = take((await datasets.sample()).test, 20);
 * const [source, model] = [1, 2].map((seed) => models.mlp({ hidden: [8], seed }).eval());
 * console.log((await transferred(source, model, test, { attack: 'advLoss', epsilon: 1 })).n); // 20
 * ```
 */
export async function transferred(
  source: Target,
  model: Target,
  data: Dataset,
  options: AttackOptions & { attack: AttackName; epsilon: number },
): Promise<Figure> {
  const { batchSize, signal, onProgress } = parseOptions(schema, options, 'transferred');
  guardEvaluating('transferred', model);
  const { attack, ...own } = options;
  const run = attacks[attack] as Attack<AttackOptions & { epsilon: number }>;
  const standing = await outcomes(model, data, {
    attack: (network, x, y, shared) => run(network, x, y, { ...own, ...shared }),
    source,
    batchSize,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  return wilson(total(standing), data.rows.length);
}
