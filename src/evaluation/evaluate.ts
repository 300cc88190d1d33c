/** How much of a data set a network classifies rightly, clean and under attack. */
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
import { batches, type Dataset } from '../data/dataset.js';
import { oneOf, parseOptions } from '../options.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import { accuracy, countCorrect } from '../training/accuracy.js';
import { Examples, guardData } from '../training/examples.js';

/** The attacks by name. */
export type AttackName = keyof typeof attacks;

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /** Attacks by name; the paper's three by default. */
  attacks?: AttackName[];
  /** Lengths of the perturbations, in the norm and the units of the scaled inputs. */
  epsilons: number[];
  norm?: 'l1' | 'l2' | 'linf';
  /** The valid range that attacks stay inside; none by default, as in the paper. */
  clip?: [number, number];
  /** 500 by default; the results do not depend on it. */
  batchSize?: number;
  signal?: AbortSignal;
  /** Told how many examples of how many an attack has done. */
  onProgress?: (done: number, total: number, what: string) => void;
}

/** What a network keeps under one attack. */
export interface RobustFigure {
  attack: string;
  norm: string;
  epsilon: number;
  /** The fraction that is still classified rightly, with its 95 % interval (Wilson). */
  accuracy: Figure;
  /** Evaluations of the network, in all. */
  queries: number;
  seconds: number;
}

/** The result of {@link evaluate}. */
export interface Evaluation {
  examples: number;
  clean: Figure;
  robust: RobustFigure[];
  /** Of each length, the fraction that withstood every attack. */
  worst: { epsilon: number; accuracy: Figure }[];
}

const names = Object.keys(attacks);
const callback = <F>(): v.GenericSchema<F> =>
  v.custom<F>((value) => typeof value === 'function', 'expected a function');

const attackName = v.pipe(
  v.string(),
  v.check(
    (name) => names.includes(name),
    ({ input }) => oneOf(input, names),
  ),
);

const schema = v.strictObject({
  ...attackEntries,
  attacks: v.optional(v.array(attackName), ['advLossSign', 'advLoss', 'advAlpha']),
  epsilons: v.pipe(v.array(epsilonEntry), v.minLength(1, 'expected at least one length, received none')),
  onProgress: v.optional(callback<(done: number, total: number, what: string) => void>()),
});

const transferredSchema = v.strictObject({ ...attackEntries, attack: attackName, epsilon: epsilonEntry });

/** How many batches are held in memory at once. */
const batchesAtOnce = 10;

/** Runs an attack over a data set chunk by chunk; which examples withstood it. */
async function withstood(
  model: Target,
  data: Dataset,
  attack: Attack<AttackOptions & { epsilon: number }>,
  options: AttackOptions & { epsilon: number; batchSize: number },
  report: (done: number) => void,
): Promise<{ standing: Uint8Array; queries: number }> {
  const examples = new Examples(data);
  const standing = new Uint8Array(data.rows.length);
  let queries = 0;
  let done = 0;
  try {
    for (const rows of batches(data, { size: Math.min(data.rows.length, options.batchSize * batchesAtOnce) })) {
      await scope(async () => {
        const { x, y } = examples.batch(tensor(rows));
        const start = done;
        const result = await attack(model, x, y, { ...options, rows, onProgress: (part) => report(start + part) });
        result.success.data().forEach((success, index) => (standing[start + index] = success === 0 ? 1 : 0));
        queries += total(result.queries.data() as Int32Array);
      });
      done += rows.length;
    }
  } finally {
    examples.dispose();
  }
  return { standing, queries };
}

const total = (counts: Uint8Array | Int32Array): number =>
  (counts as Int32Array).reduce((sum, value) => sum + value, 0);

/**
 * Measures a network on a data set: clean accuracy, accuracy under each attack at each length, and what withstands all
 * attacks of a length, each with its 95 % interval. Inputs that are misclassified clean count as wrong everywhere.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param data - The examples.
 * @param options - See {@link EvaluateOptions}.
 * @throws SparringError for unknown attacks or options, and whatever the attacks refuse.
 *
 * @example
 * ```ts
 * import { datasets, evaluate, models, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const { clean, robust } = await evaluate(model, take(test, 20), { attacks: ['advLoss'], epsilons: [0.5] });
 * console.log(robust[0].accuracy.mean <= clean.mean); // true
 * ```
 */
export async function evaluate(model: Target, data: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  const parsed = parseOptions(schema, options, 'evaluate');
  const { attacks: chosen, epsilons, norm, clip, batchSize, signal, onProgress } = parsed;
  guardData('evaluate', data);
  const examples = data.rows.length;
  guardEvaluating('evaluate', model);
  const { correct } = await accuracy(model, data, { batchSize, ...(signal && { signal }) });
  const robust: RobustFigure[] = [];
  const worst: Evaluation['worst'] = [];
  for (const epsilon of epsilons) {
    const all = new Uint8Array(examples).fill(1);
    for (const name of chosen) {
      const started = performance.now();
      const attack = attacks[name as AttackName] as Attack<AttackOptions & { epsilon: number }>;
      const shared = { norm, epsilon, batchSize, ...(clip && { clip }), ...(signal && { signal }) };
      const { standing, queries } = await withstood(model, data, attack, shared, (done) =>
        onProgress?.(done, examples, name),
      );
      standing.forEach((value, index) => (all[index]! &= value));
      robust.push({
        attack: name,
        norm,
        epsilon,
        accuracy: wilson(total(standing), examples),
        queries,
        seconds: (performance.now() - started) / 1000,
      });
    }
    worst.push({ epsilon, accuracy: wilson(total(all), examples) });
  }
  return { examples, clean: wilson(correct, examples), robust, worst };
}

/**
 * Counts how many inputs a network classifies rightly that were attacked on another network: the paper's Fixed column.
 *
 * @param source - The network that the adversarial inputs are made on.
 * @param model - The network that is measured on them.
 * @throws SparringError for an unknown attack, a network in training mode, and whatever the attack refuses.
 */
export async function transferred(
  source: Target,
  model: Target,
  data: Dataset,
  options: AttackOptions & { attack: AttackName; epsilon: number },
): Promise<Figure> {
  const { batchSize } = parseOptions(transferredSchema, options, 'transferred');
  guardEvaluating('transferred', model);
  const { attack, ...shared } = options;
  const run = attacks[attack] as Attack<AttackOptions & { epsilon: number }>;
  const examples = new Examples(data);
  let correct = 0;
  try {
    for (const rows of batches(data, { size: Math.min(data.rows.length, batchSize * batchesAtOnce) })) {
      await scope(async () => {
        const { x, y } = examples.batch(tensor(rows));
        const { adversarial } = await run(source, x, y, { ...shared, rows });
        correct += countCorrect(model, adversarial, y).item();
      });
    }
  } finally {
    examples.dispose();
  }
  return wilson(correct, data.rows.length);
}
