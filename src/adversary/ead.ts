/** EAD: the elastic-net attack. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne } from './attack.js';
import {
  constantEntries,
  goingOn,
  hinge,
  nobodyWalks,
  overConstants,
  standing,
  type Constant,
  type ConstantOptions,
  type Walk,
} from './constantSearch.js';
import {
  asColumn,
  between,
  defineDistanceAttack,
  distanceEntries,
  distanceOf,
  ledEntry,
  nearer,
  spent,
  type Found,
  type Given,
  type LedOptions,
} from './distance.js';
import { longest, norms, type Norm } from './norms.js';

/** Options of {@link ead}. */
export interface EadOptions extends LedOptions, ConstantOptions {
  /** The norm is L1. */
  norm?: 'l1';
  /** Of the adversarial inputs that it comes by the shortest in L1 is kept (`l1`, the default) or in the elastic net (`en`). */
  rule?: 'l1' | 'en';
  /** By how much the first step shrinks every coordinate of the perturbation, .01 by default; it falls as the rate does. */
  beta?: number;
  /** Steps for each constant at most, 1000 by default. */
  steps?: number;
  /** The rate of the first step, .01 by default; it falls with the root of the steps that are left. */
  rate?: number;
  /** By how much the other class's logit must lead, 0 by default. */
  confidence?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  ...constantEntries,
  norm: v.optional(v.picklist(['l1']), 'l1'),
  targets: ledEntry,
  rule: v.optional(v.picklist(['l1', 'en']), 'l1'),
  beta: v.optional(between(0, longest), 0.01),
  steps: v.optional(atLeastOne, 1000),
  rate: v.optional(between(0, longest), 0.01),
  confidence: v.optional(between(0, longest), 0),
});

/** A walk of FISTA: the point, and the point ahead of it where the next gradient is taken. */
interface FistaWalk extends Walk {
  at: Tensor;
  ahead: Tensor;
}

/**
 * EAD, the elastic-net attack (Chen et al. 2018, Algorithm 1): minimises c max(z_y - max z_i + confidence, 0) + ‖d‖² + β‖d‖₁
 * by FISTA, with a binary search over c: each step follows the gradient of the smooth part and then draws every
 * coordinate back to the input's by β, as far as that. A walk ends early for an example whose loss has not improved over a
 * tenth of the steps. Two evaluations and one backward row a step.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link EadOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: in L1 the boundary is 5/4 away from the origin, along y.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.ead(model, tensor([[0, 0]]), [0], { steps: 200, beta: 0.1 });
 * console.log(Math.abs(distance.item() - 5 / 4) < 0.05); // true
 * ```
 */
export const ead = defineDistanceAttack<EadOptions, typeof schema>(
  'ead',
  schema,
  ({ steps, searchSteps, constant, rate, rule, beta, confidence, clip }, context) => {
    const { norm: l1, program, iterate } = context;
    const elastic = (rows: Tensor): Tensor =>
      ops.add(ops.square(norms.l2.length(rows)), ops.affine(l1.length(rows), beta));
    const net: Norm = { ...l1, length: elastic };
    const every = Math.max(1, Math.floor(steps / 10));

    const begin = program(({ x, ...state }: Given & Found) => ({
      ...standing(state),
      at: ops.mul(x, 1),
      ahead: ops.mul(x, 1),
    }));

    const step = program((state: Given & FistaWalk & Constant & { tick: Tensor }) => {
      const { x, walking, tick, ahead } = state;
      const time = ops.cast(tick, 'float64');
      const share = ops.cast(ops.sqrt(ops.affine(time, -1 / steps, 1)), x.dtype);
      const apart = ops.sub(ahead, x);
      const byInput = ops.add(ops.affine(apart, 2), hinge(context, confidence, ahead, state).gradient());
      const moved = ops.sub(apart, ops.mul(byInput, ops.affine(share, rate)));
      const left = ops.mul(ops.sign(moved), ops.relu(ops.sub(ops.abs(moved), ops.affine(share, beta))));
      const next = ops.add(x, left);
      const at = clip === undefined ? next : ops.clamp(next, { low: clip[0], high: clip[1] });

      const miss = hinge(context, confidence, at, state);
      const won = ops.mul(miss.won, walking);
      const loss = ops.add(miss.value, distanceOf(net, x, at));
      const pace = ops.cast(ops.div(time, ops.affine(time, 1, 3)), x.dtype);
      const going = asColumn(walking, x);
      return {
        ...nearer(rule === 'l1' ? l1 : net, x, state, at, won),
        ...spent(state, { queries: 2, backwards: 1 }, walking),
        ...goingOn(state, loss, every),
        at: ops.where(going, at, state.at),
        ahead: ops.where(going, ops.add(at, ops.mul(ops.sub(at, state.at), pace)), ahead),
        succeeded: ops.maximum(state.succeeded, won),
      };
    });

    return overConstants(context, { searchSteps, constant }, async (given, found) =>
      iterate(given, { ...found, ...(await begin({ ...given, ...found })) }, steps, step, nobodyWalks(every)),
    );
  },
);
