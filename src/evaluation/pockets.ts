/** Adversarial pockets: how much noise an adversarial input withstands. */
import * as v from 'valibot';
import { atLeastOne, guardEvaluating, numbered, type Target } from '../adversary/attack.js';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';
import * as ops from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';

/** Options of {@link pockets}. */
export interface PocketOptions {
  /** Standard deviations of the noise, in the units of the inputs. */
  levels: number[];
  /** How often each input is probed at each level, 100 by default. */
  draws?: number;
  /** The valid range, in which noisy inputs are kept. */
  clip?: [number, number];
  seed?: number;
  /** The numbers of the inputs, which the noise is keyed by: 0, 1, ... by default. */
  rows?: Int32Array;
}

const deviation = v.pipe(v.number(), v.minValue(0, 'expected standard deviations of at least 0'));
const schema = v.strictObject({
  levels: v.pipe(v.array(deviation), v.minLength(1, 'expected at least one level, received none')),
  draws: v.optional(atLeastOne, 100),
  clip: v.optional(v.tuple([v.number(), v.number()])),
  seed: v.optional(v.pipe(v.number(), v.safeInteger('expected a whole number')), 0),
  rows: v.optional(v.instance(Int32Array)),
});

/**
 * Probes the space around adversarial inputs by normal noise (Tabacof and Valle 2015, section 4): the fraction of noisy
 * copies that are still misclassified, for each level of noise. A thin pocket is left at once, a wide one is not.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param adversarial - Adversarial inputs [B, ...].
 * @param y - Their labels, int32 [B].
 * @returns For each level the fraction of each input's copies that are still misclassified, float64 [B].
 * @throws SparringError for a network in training mode, labels that do not fit, unknown options.
 *
 * @example
 * ```ts
 * import { nn, pockets, tensor } from 'sparring';
 *
 * // Class 1 where x > 0; the input is 1 inside.
 * const model = new nn.Linear(1, 2).eval();
 * model.loadStateDict({ weight: tensor([[0], [1]]), bias: tensor([0, 0]) });
 * const y = tensor(Int32Array.of(0));
 * const [near, far] = await pockets(model, tensor([[1]]), y, { levels: [0.1, 100] });
 * console.log(near.fraction.item(), Math.abs(far.fraction.item() - 0.5) < 0.2); // 1 true
 * ```
 */
export async function pockets(
  model: Target,
  adversarial: Tensor,
  y: Tensor,
  options: PocketOptions,
): Promise<{ level: number; fraction: Tensor }[]> {
  const { levels, draws, clip, seed, rows: given } = parseOptions(schema, options, 'pockets');
  guardEvaluating('pockets', model);
  const batch = adversarial.shape[0]!;
  if (y.dtype !== 'int32' || y.shape.join() !== String(batch))
    throw new SparringError(
      'SHAPE_MISMATCH',
      `pockets: expected int32 labels [${batch}], received ${y.dtype} [${y.shape.join(',')}]`,
    );
  const numbers = given ?? numbered(batch);
  if (numbers.length !== batch)
    throw new SparringError(
      'SHAPE_MISMATCH',
      `pockets: rows: expected ${batch}, one an input, received ${numbers.length}`,
    );
  const probe = planned((x: Tensor, labels: Tensor, rows: Tensor, level: Tensor, tick: Tensor, count: Tensor) => {
    const dtype = x.dtype as 'float32' | 'float64';
    const noisy = ops.add(x, ops.mul(ops.normal(x.shape, { seed, rows, tick, dtype }), level));
    const inside = clip === undefined ? noisy : ops.clamp(noisy, { low: clip[0], high: clip[1] });
    const wrong = ops.notEqual(ops.argmax(model.forward(inside)), labels);
    return [ops.add(count, ops.cast(wrong, 'float64'))];
  });
  try {
    return await scope(async () => {
      const found: { level: number; fraction: Tensor }[] = [];
      for (const level of levels) {
        const fraction = await scope(async () => {
          const rows = tensor(numbers);
          const size = tensor(level, { dtype: adversarial.dtype });
          let count = ops.zeros([batch], { dtype: 'float64' });
          // The same draws at every level: what differs is the level alone.
          for (let tick = 0; tick < draws; tick++) {
            const [next] = await probe(adversarial, y, rows, size, tensor(tick, { dtype: 'int32' }), count);
            count.dispose();
            count = next!;
          }
          return ops.affine(count, 1 / draws);
        });
        found.push({ level, fraction });
      }
      return found;
    });
  } finally {
    probe.dispose();
  }
}
