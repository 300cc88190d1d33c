/** DeepFool: Algorithm 1 of the logits, iterated until the class changes. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne } from './attack.js';
import { nearestBoundary, ranked } from './boundary.js';
import {
  between,
  defineDistanceAttack,
  distanceEntries,
  nearer,
  onlyFound,
  spent,
  type DistanceOptions,
  type Found,
  type Given,
} from './distance.js';
import { nonZero, perturbed } from './norms.js';

/** Options of {@link deepFool}. */
export interface DeepFoolOptions extends DistanceOptions {
  /** How often the network is linearised at most, 50 by default. */
  steps?: number;
  /** How many classes are looked at, those with the largest logits; 10 by default. */
  classes?: number;
  /** By how much the total perturbation goes beyond the boundary, relative; .02 by default. */
  overshoot?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  steps: v.optional(atLeastOne, 50),
  classes: v.optional(v.pipe(atLeastOne, v.minValue(2, 'expected at least 2')), 10),
  overshoot: v.optional(between(0, 1000), 0.02),
});

/** What a step goes beyond the linearised boundary, in units of the norm. */
const beyond = 1e-4;

/**
 * DeepFool (Moosavi-Dezfooli et al. 2016, Algorithm 2): steps to the nearest linearised boundary, 1e-4 beyond it, until the
 * class changes; the total of the steps is lengthened by the overshoot. `minimal` with `linearize: 'logits'` and more
 * steps is the same with all classes, and the 1e-4 inside a range only.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link DeepFoolOptions}.
 * @returns The adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.deepFool(model, tensor([[0, 0]]), [0]);
 * console.log(distance.item().toFixed(3)); // 1.020
 * ```
 */
export const deepFool = defineDistanceAttack<DeepFoolOptions, typeof schema>(
  'deepFool',
  schema,
  ({ steps, classes, overshoot, clip }, { model, norm, fooled, program, iterate }) => {
    const moved = (x: Tensor, total: Tensor): Tensor => perturbed(x, ops.affine(total, 1 + overshoot), { norm, clip });

    const begin = program(({ x, aim, logits }: Given) => ({
      candidates: ranked(logits, aim, classes - 1),
      total: ops.zeros([x.shape[0]!, x.size / x.shape[0]!], { dtype: x.dtype }),
    }));
    const step = program((state: Given & Found & { total: Tensor; candidates: Tensor }) => {
      const { x, aim, total, candidates } = state;
      const at = moved(x, total);
      const { logits, w, gap } = nearestBoundary(model, at, { norm, from: aim, candidates });
      const won = fooled(logits, aim);
      const lengths = ops.reshape(norm.dual(w), gap.shape);
      const size = ops.affine(ops.div(ops.abs(gap), nonZero(lengths)), 1, beyond);
      const longer = ops.add(total, ops.mul(norm.steepest(w), size));
      const open = ops.equal(state.distance, Infinity);
      return {
        ...nearer(norm, x, state, at, won),
        ...spent(state, { queries: 1, backwards: candidates.shape[0]! }, open),
        total: ops.where(ops.reshape(won, gap.shape), total, longer),
      };
    });
    const look = program((state: Given & Found & { total: Tensor }) => {
      const at = moved(state.x, state.total);
      return {
        ...nearer(norm, state.x, state, at, fooled(model.forward(at), state.aim)),
        ...spent(state, { queries: 1, backwards: 0 }, ops.equal(state.distance, Infinity)),
      };
    });

    return async (given, found) => {
      const { candidates, total } = await begin(given);
      const settled = ({ distance }: Found): boolean => distance.data().every((size) => size < Infinity);
      const state = await iterate(
        { ...given, candidates },
        { ...found, total },
        steps,
        step,
        (each, tick) => tick % 5 === 4 && settled(each),
      );
      return onlyFound(await look({ ...given, ...state }));
    };
  },
);
