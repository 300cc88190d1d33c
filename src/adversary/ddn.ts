/** DDN: the decoupled direction and norm attack. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne, seedEntry } from './attack.js';
import {
  between,
  cosine,
  defineDistanceAttack,
  distanceEntries,
  farthestInside,
  ledEntry,
  nearer,
  onlyFound,
  spent,
  type Found,
  type Given,
  type LedOptions,
} from './distance.js';
import { ascentCotangent } from './linearization.js';
import { asRows, longest, nonZero, norms } from './norms.js';

/** Options of {@link ddn}. */
export interface DdnOptions extends LedOptions {
  /** The norm is L2. */
  norm?: 'l2';
  /** Steps, 100 by default. */
  steps?: number;
  /** The radius at first, 1 by default. */
  radius?: number;
  /** By how much the radius changes in a step, relative; .05 by default. */
  gamma?: number;
  /** How many evenly spaced values inputs take in the clip range: perturbed ones are rounded to them. None by default. */
  levels?: number;
  /** Of the directions that are taken where there is no gradient, 0 by default. */
  seed?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  norm: v.optional(v.picklist(['l2']), 'l2'),
  targets: ledEntry,
  steps: v.optional(atLeastOne, 100),
  radius: v.optional(between(0, longest), 1),
  gamma: v.optional(between(0, 1), 0.05),
  levels: v.optional(v.pipe(atLeastOne, v.minValue(2, 'expected at least 2'))),
  seed: seedEntry,
});

/**
 * DDN (Rony et al. 2019, Algorithm 1), L2: normalised steps along the loss gradient, each brought to the sphere whose
 * radius shrinks by a twentieth where the point was adversarial and else grows by it. The paper rounds to the 256 grey
 * levels of images; so does `levels: 256`, with a `clip` range whose ends are the first and the last level.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link DdnOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`. INVALID_ARGUMENT for `levels` without `clip`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.ddn(model, tensor([[0, 0]]), [0]);
 * console.log(distance.item() >= 1 && distance.item() < 1.05); // true
 * ```
 */
export const ddn = defineDistanceAttack<DdnOptions, typeof schema>(
  'ddn',
  schema,
  (
    { steps, radius: first, gamma, levels, seed, clip },
    { model, norm, targeted, fooled, program, iterate, refuse },
  ) => {
    if (levels !== undefined && clip === undefined)
      refuse(
        'INVALID_ARGUMENT',
        'levels: expected a clip range whose ends are the first and the last level, received none',
      );
    const rounded = (x: Tensor): Tensor => {
      if (levels === undefined || clip === undefined) return x;
      const apart = (clip[1] - clip[0]) / (levels - 1);
      return ops.affine(ops.round(ops.affine(x, 1 / apart, -clip[0] / apart)), apart, clip[0]);
    };

    const step = program((state: Given & Found & { at: Tensor; radius: Tensor; tick: Tensor }) => {
      const { x, aim, at, rows, tick } = state;
      const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), at);
      const example = x.shape.slice(1);
      const cotangent = ascentCotangent(logits, aim);
      const gradient = asRows(pullback(targeted ? ops.neg(cotangent) : cotangent), example);
      const won = fooled(logits, aim);
      const flat = ops.equal(ops.reshape(norm.length(gradient), [x.shape[0]!, 1]), 0);
      const dtype = x.dtype as 'float32' | 'float64';
      const anywhere = asRows(ops.normal(x.shape, { seed, stream: 0xdd, rows, tick, dtype }), example);
      const way = norms.l2.steepest(ops.where(flat, anywhere, gradient));

      const size = ops.cast(cosine(tick, steps, 1, 0.01), dtype);
      const moved = ops.add(asRows(ops.sub(at, x), example), ops.mul(way, size));
      const factor = ops.where(ops.reshape(ops.cast(won, dtype), [x.shape[0]!, 1]), 1 - gamma, 1 + gamma);
      const farthest = ops.reshape(farthestInside(x, norm, clip), [x.shape[0]!, 1]);
      const radius = ops.minimum(ops.mul(state.radius, factor), ops.minimum(farthest, longest));
      const length = nonZero(ops.reshape(norm.length(moved), [x.shape[0]!, 1]));
      const next = rounded(ops.add(x, ops.reshape(ops.mul(moved, ops.div(radius, length)), x.shape)));
      return {
        ...nearer(norm, x, state, at, won),
        ...spent(state, { queries: 1, backwards: 1 }),
        at: clip === undefined ? next : ops.clamp(next, { low: clip[0], high: clip[1] }),
        radius,
      };
    });

    return async (given, found) => {
      const radius = ops.full([given.x.shape[0]!, 1], first, { dtype: given.x.dtype });
      return onlyFound(await iterate(given, { ...found, at: given.x, radius }, steps, step));
    };
  },
);
