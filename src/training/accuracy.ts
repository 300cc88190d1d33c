import * as v from 'valibot';
import { attackEntries } from '../adversary/attack.js';
import type { Classifier } from '../autodiff/autodiff.js';
import { batches, type Dataset } from '../data/dataset.js';
import { parseOptions } from '../options.js';
import { argmax, cast, equal, sum } from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples, guardData } from './examples.js';

/** How many inputs [B, ...] a network gives their labels [B], as a tensor of one number. */
export const countCorrect = (model: Classifier, x: Tensor, y: Tensor): Tensor =>
  sum(cast(equal(argmax(model.forward(x)), y), 'float64'));

const schema = v.strictObject({ batchSize: attackEntries.batchSize, signal: attackEntries.signal });

/**
 * How many examples of a data set a network classifies rightly.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K], in evaluation mode.
 * @param options - `batchSize` (500), which does not change the result, and a `signal` to stop.
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { accuracy, datasets, models } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [8], seed: 1 }).eval();
 * const { correct, total } = await accuracy(model, test);
 * console.log(correct <= total); // true
 * ```
 */
export async function accuracy(
  model: Classifier,
  data: Dataset,
  options: { batchSize?: number; signal?: AbortSignal } = {},
): Promise<{ correct: number; total: number }> {
  const { batchSize, signal } = parseOptions(schema, options, 'accuracy');
  guardData('accuracy', data);
  const examples = new Examples(data);
  const count = planned((rows) => {
    const { x, y } = examples.batch(rows);
    return [countCorrect(model, x, y)];
  });
  let correct = 0;
  try {
    for (const rows of batches(data, { size: Math.min(batchSize, data.rows.length) })) {
      signal?.throwIfAborted();
      correct += await scope(async () => (await count(tensor(rows)))[0]!.item());
    }
  } finally {
    count.dispose();
    examples.dispose();
  }
  return { correct, total: data.rows.length };
}
