/** FMN: the fast minimum-norm attack. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne } from './attack.js';
import { projectedOnBall } from './ball.js';
import {
  between,
  cosine,
  defineDistanceAttack,
  distanceEntries,
  farthestInside,
  leads,
  ledEntry,
  nearer,
  onlyFound,
  spent,
  type Found,
  type Given,
  type LedOptions,
} from './distance.js';
import { asRows, longest, norms } from './norms.js';

/** Options of {@link fmn}. */
export interface FmnOptions extends LedOptions {
  /** Steps, 100 by default. */
  steps?: number;
  /** The length of the first step, in the L2 norm; 1 by default. The last one's is a hundredth of it. */
  stepSize?: number;
  /** By how much the radius changes at first, relative; .05 by default. At last it is .001. */
  gamma?: number;
}

/**
 * How far beyond the estimated boundary the ball reaches before the first success, relative: where the network is linear
 * the estimate is exact and rounding would decide, and where the box takes part of each step the boundary is never met.
 */
const beyond = 0.001;

const schema = v.strictObject({
  ...distanceEntries,
  targets: ledEntry,
  steps: v.optional(atLeastOne, 100),
  stepSize: v.optional(between(0, longest), 1),
  gamma: v.optional(between(0, 1), 0.05),
});

/**
 * FMN (Pintor et al. 2021, Algorithm 1): follows the gradient of the logits' difference inside a ball whose radius is,
 * until the first success, the estimated distance of the boundary, and then shrinks where the point is adversarial and
 * grows where it is not, ever more slowly. Coordinates at a wall of the clip range do not count where the gradient leads
 * out of it. One backward row a step.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link FmnOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 5/7 away from the origin in the L∞ norm.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.fmn(model, tensor([[0, 0]]), [0], { norm: 'linf' });
 * console.log(Math.abs(distance.item() - 5 / 7) < 0.01); // true
 * ```
 */
export const fmn = defineDistanceAttack<FmnOptions, typeof schema>(
  'fmn',
  schema,
  ({ steps, stepSize, gamma: firstGamma, clip }, { model, norm, fooled, margin, program, iterate }) => {
    /** The gradient where the box leaves room to follow it: coordinates at a wall would use up the ball and not move. */
    const free = (gradient: Tensor, at: Tensor): Tensor => {
      if (clip === undefined) return gradient;
      const up = ops.less(at, clip[1]);
      const down = ops.greater(at, clip[0]);
      return ops.mul(gradient, ops.where(ops.greater(gradient, 0), up, down));
    };

    const step = program((state: Given & Found & { at: Tensor; radius: Tensor; tick: Tensor }) => {
      const { x, aim, at, tick } = state;
      const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), at);
      const { value, from, to } = margin(logits, aim);
      const example = x.shape.slice(1);
      const gradient = asRows(free(pullback(leads(logits, from, to)), at), example);
      const won = fooled(logits, aim);
      const best = nearer(norm, x, state, at, won);

      const gamma = cosine(tick, steps, firstGamma, 0.001);
      const rows = asRows(ops.sub(at, x), example);
      const column = (each: Tensor): Tensor => ops.reshape(ops.cast(each, 'float64'), [x.shape[0]!, 1]);
      const boundary = ops.div(column(ops.abs(value)), ops.maximum(column(norm.dual(gradient)), 1e-12));
      const closest = column(best.distance);
      const shrunk = ops.minimum(ops.mul(state.radius, ops.sub(1, gamma)), closest);
      const grown = ops.mul(state.radius, ops.affine(gamma, 1, 1));
      const known = ops.less(closest, Infinity);
      const estimated = ops.affine(ops.add(column(norm.length(rows)), boundary), 1 + beyond);
      const missed = ops.where(known, grown, estimated);
      const radius = ops.minimum(
        ops.where(column(won), shrunk, missed),
        ops.minimum(column(farthestInside(x, norm, clip)), longest),
      );

      const size = ops.cast(cosine(tick, steps, stepSize, stepSize / 100), x.dtype);
      const moved = ops.add(rows, ops.mul(norms.l2.steepest(gradient), size));
      const next = ops.add(x, ops.reshape(projectedOnBall(moved, ops.cast(radius, x.dtype), norm), x.shape));
      return {
        ...best,
        ...spent(state, { queries: 1, backwards: 1 }),
        at: clip === undefined ? next : ops.clamp(next, { low: clip[0], high: clip[1] }),
        radius,
      };
    });

    return async (given, found) => {
      const radius = ops.full([given.x.shape[0]!, 1], Infinity, { dtype: 'float64' });
      return onlyFound(await iterate(given, { ...found, at: given.x, radius }, steps, step));
    };
  },
);
