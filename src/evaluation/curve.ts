/** Accuracy against the length of the perturbation: each direction is found once, and walked along. */
import * as v from 'valibot';
import {
  attackEntries,
  epsilonEntry,
  guardEvaluating,
  guardFinite,
  guardLogits,
  type Target,
} from '../adversary/attack.js';
import { norms, perturbed } from '../adversary/norms.js';
import { alphaDirection, ascent, signDirection } from '../adversary/perturbations.js';
import { batches, type Dataset } from '../data/dataset.js';
import { parseOptions } from '../options.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import * as ops from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples, guardData } from '../training/examples.js';

const names = ['advLossSign', 'advLoss', 'advAlpha'] as const;

/** Accuracies at one length, by attack. */
export interface CurvePoint {
  epsilon: number;
  accuracy: Record<(typeof names)[number], Figure>;
}

/** Options of {@link accuracyCurve}. */
export interface CurveOptions {
  epsilons: readonly number[];
  norm?: 'l1' | 'l2' | 'linf';
  batchSize?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

const { norm, batchSize, signal, onProgress } = attackEntries;
const epsilons = v.pipe(v.array(epsilonEntry), v.minLength(1, 'expected at least one length, received none'));
const schema = v.strictObject({ epsilons, norm, batchSize, signal, onProgress });

/**
 * The paper's Figure 1: the accuracy of a network under Adv_Loss_Sign, Adv_Loss and Adv_Alpha against the length of the
 * perturbation. The figures are those of the attacks themselves, at the price of one backward pass of the loss and one over the classes for all lengths.
 * Perturbations are not clipped; inputs that are misclassified clean count as wrong at every length.
 *
 * @param model - A network in evaluation mode.
 * @param data - The examples.
 * @param options - See {@link CurveOptions}.
 * @throws SparringError for unknown or impossible options, and for a network in training mode or without logits.
 *
 * @example
 * ```ts
 * import { accuracyCurve, datasets, models, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const points = await accuracyCurve(model, take(test, 20), { epsilons: [0, 1] });
 * console.log(points.map(({ epsilon }) => epsilon)); // [0, 1]
 * ```
 */
export async function accuracyCurve(model: Target, data: Dataset, options: CurveOptions): Promise<CurvePoint[]> {
  const { epsilons, norm, batchSize, signal, onProgress } = parseOptions(schema, options, 'accuracyCurve');
  guardEvaluating('accuracyCurve', model);
  guardData('accuracyCurve', data);
  const examples = new Examples(data);
  const walk = planned((rows: Tensor) => {
    const { x, y } = examples.batch(rows);
    // One gradient of the loss for the two attacks that follow it.
    const { logits, rows: gradient } = ascent(model, x, y);
    const correct = ops.cast(ops.equal(ops.argmax(logits), y), 'float64');
    const directions: Record<(typeof names)[number], Tensor> = {
      advLossSign: signDirection(gradient, norms[norm]),
      advLoss: norms[norm].steepest(gradient),
      advAlpha: alphaDirection(model, x, y, norms[norm]).direction,
    };
    const counts = names.flatMap((name) => {
      const direction = directions[name];
      return epsilons.map((epsilon) => {
        const moved = perturbed(x, ops.mul(direction, epsilon), { norm: norms[norm], epsilon });
        const standing = ops.mul(correct, ops.cast(ops.equal(ops.argmax(model.forward(moved)), y), 'float64'));
        return ops.reshape(ops.sum(standing), [1]);
      });
    });
    return { counts: ops.concat(counts), logits };
  });
  const standing = new Float64Array(names.length * epsilons.length);
  let done = 0;
  try {
    scope(() => {
      const first = data.rows.slice(0, 16);
      const { x, y } = examples.batch(tensor(first));
      guardLogits('accuracyCurve', model, x, y, first);
    });
    for (const rows of batches(data, { size: Math.min(batchSize, data.rows.length) })) {
      signal?.throwIfAborted();
      await scope(async () => {
        const { counts, logits } = await walk(tensor(rows));
        guardFinite('accuracyCurve', logits, rows);
        counts.data().forEach((count, at) => (standing[at]! += count));
      });
      done += rows.length;
      onProgress?.(done, data.rows.length);
    }
  } finally {
    walk.dispose();
    examples.dispose();
  }
  return epsilons.map((epsilon, at) => ({
    epsilon,
    accuracy: Object.fromEntries(
      names.map((name, row) => [name, wilson(standing[row * epsilons.length + at]!, data.rows.length)]),
    ) as CurvePoint['accuracy'],
  }));
}
