/** Which examples a network classifies rightly, one by one: what paired tests compare. */
import * as v from 'valibot';
import { attackEntries, guardEvaluating, type Attack, type AttackOptions, type Target } from '../adversary/attack.js';
import { batches, type Dataset } from '../data/dataset.js';
import { parseOptions } from '../options.js';
import { argmax, equal } from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';

/** What {@link outcomes} measures under: nothing, or an attack with its options, on the network itself or on another. */
export interface OutcomesOptions {
  /** Moves the inputs; they are left as they are without one. */
  attack?: (model: Target, x: Tensor, y: Tensor, options: AttackOptions) => ReturnType<Attack>;
  /** The network that is attacked; the one that is measured by default. */
  source?: Target;
  /** 500 by default; the outcomes do not depend on it. */
  batchSize?: number;
  signal?: AbortSignal;
  /** Told how many examples of how many are done. */
  onProgress?: (done: number, total: number) => void;
}

const isFunction = <F>(): v.GenericSchema<F> =>
  v.custom<F>((value) => typeof value === 'function', 'expected a function');

const schema = v.strictObject({
  attack: v.optional(isFunction<NonNullable<OutcomesOptions['attack']>>()),
  source: v.optional(v.custom<Target>((value) => typeof value === 'object' && value !== null, 'expected a network')),
  batchSize: attackEntries.batchSize,
  signal: attackEntries.signal,
  onProgress: attackEntries.onProgress,
});

/** How many batches are held in memory at once. */
const batchesAtOnce = 10;

/**
 * 1 for each example of a data set that a network classifies rightly, else 0, in the order of the data set's rows; clean,
 * or as an attack on this or another network leaves the inputs.
 *
 * @param model - A network in evaluation mode.
 * @param data - The examples.
 * @param options - See {@link OutcomesOptions}.
 * @throws SparringError for unknown options, a network in training mode, and whatever the attack refuses.
 *
 * @example
 * ```ts
 * import { attacks, datasets, models, outcomes, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const attack = (network, x, y, options) => attacks.advLoss(network, x, y, { ...options, epsilon: 0.5 });
 * console.log((await outcomes(model, take(test, 20), { attack })).length); // 20
 * ```
 */
export async function outcomes(model: Target, data: Dataset, options: OutcomesOptions = {}): Promise<Uint8Array> {
  const { attack, source = model, batchSize, signal, onProgress } = parseOptions(schema, options, 'outcomes');
  guardEvaluating('outcomes', model);
  const examples = new Examples(data);
  const rightly = planned((x: Tensor, y: Tensor) => [equal(argmax(model.forward(x)), y)]);
  const standing = new Uint8Array(data.rows.length);
  const chunk = attack === undefined ? batchSize : batchSize * batchesAtOnce;
  let done = 0;
  try {
    for (const rows of batches(data, { size: Math.min(data.rows.length, chunk) })) {
      signal?.throwIfAborted();
      await scope(async () => {
        const { x, y } = examples.batch(tensor(rows));
        const start = done;
        const report = onProgress && ((part: number): void => onProgress(start + part, data.rows.length));
        const shared = { batchSize, rows, ...(signal && { signal }), ...(report && { onProgress: report }) };
        const found = await attack?.(source, x, y, shared);
        // Of an attack on the network itself the outcome is known.
        const right =
          found !== undefined && source === model
            ? found.success.data().map((success, i) => Number(success === 0 && found.failed?.data()[i] !== 1))
            : (await rightly(found?.adversarial ?? x, y))[0]!.data();
        standing.set(right, start);
      });
      done += rows.length;
      if (attack === undefined) onProgress?.(done, data.rows.length);
    }
  } finally {
    rightly.dispose();
    examples.dispose();
  }
  return standing;
}
