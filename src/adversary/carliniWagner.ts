/** The attack of Carlini and Wagner, L2. */
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
  ledEntry,
  nearer,
  spent,
  type Found,
  type Given,
  type LedOptions,
} from './distance.js';
import { asRows, longest, norms } from './norms.js';

/** Options of {@link carliniWagner}. */
export interface CarliniWagnerOptions extends LedOptions, ConstantOptions {
  /** The norm is L2. */
  norm?: 'l2';
  /** Steps of Adam for each constant at most, 1000 by default; the paper allows 10,000. */
  steps?: number;
  /** The rate of Adam, .01 by default. */
  rate?: number;
  /** By how much the other class's logit must lead, 0 by default. */
  confidence?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  norm: v.optional(v.picklist(['l2']), 'l2'),
  ...constantEntries,
  targets: ledEntry,
  steps: v.optional(atLeastOne, 1000),
  rate: v.optional(between(0, longest), 0.01),
  confidence: v.optional(between(0, longest), 0),
});

/** How near to the walls the change of variables begins: at a wall itself atanh is infinite and the slope 0. */
const inward = 0.999999;

/** What keeps Adam from dividing by 0: less than the gradient of a pixel at a wall, where the slope is a millionth. */
const smallest = 1e-12;

/** A walk of Adam from the inputs: the variables, its moments, and how far the variables have to be able to go, [B]. */
interface AdamWalk extends Walk {
  variables: Tensor;
  first: Tensor;
  second: Tensor;
  reach: Tensor;
}

/**
 * The L2 attack of Carlini and Wagner (2017): minimises ‖d‖² + c max(z_y - max z_i + confidence, 0) by Adam, with a binary
 * search over c. With a `clip` range the inputs are written as tanh of free variables, which begin a millionth inside the
 * walls so that pixels at a wall move too. A walk ends early for an example whose loss has not improved over a tenth of
 * the steps, but not before its variables could have come from where they began, 7 for a pixel at a wall, to the middle:
 * Adam takes them `rate` a step.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link CarliniWagnerOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.carliniWagner(model, tensor([[0, 0]]), [0], { steps: 200, rate: 0.05 });
 * console.log(Math.abs(distance.item() - 1) < 0.02); // true
 * ```
 */
export const carliniWagner = defineDistanceAttack<CarliniWagnerOptions, typeof schema>(
  'carliniWagner',
  schema,
  ({ steps, searchSteps, constant, rate, confidence, clip }, context) => {
    const { norm, program, iterate } = context;
    const [middle, half] = clip === undefined ? [0, 1] : [(clip[0] + clip[1]) / 2, (clip[1] - clip[0]) / 2];
    const variablesOf = (x: Tensor): Tensor => {
      if (clip === undefined) return ops.mul(x, 1);
      const u = ops.affine(x, inward / half, (-inward * middle) / half);
      return ops.affine(ops.log(ops.div(ops.affine(u, 1, 1), ops.affine(u, -1, 1))), 0.5);
    };
    const inputsOf = (variables: Tensor): Tensor =>
      clip === undefined
        ? variables
        : ops.clamp(ops.affine(ops.tanh(variables), half, middle), { low: clip[0], high: clip[1] });
    const every = Math.max(1, Math.floor(steps / 10));

    const begin = program(({ x, ...state }: Given & Found) => {
      const variables = variablesOf(x);
      const farthest = norms.linf.length(asRows(variables, x.shape.slice(1)));
      return {
        ...standing(state),
        variables,
        first: ops.mul(x, 0),
        second: ops.mul(x, 0),
        reach: ops.affine(ops.cast(farthest, 'float64'), clip === undefined ? 0 : 1),
      };
    });

    const step = program((state: Given & AdamWalk & Constant & { tick: Tensor }) => {
      const { x, variables, walking, tick, reach } = state;
      const at = inputsOf(variables);
      const miss = hinge(context, confidence, at, state);
      const won = ops.mul(miss.won, walking);

      const apart = ops.sub(at, x);
      const size = ops.cast(norm.length(asRows(apart, x.shape.slice(1))), 'float64');
      const loss = ops.add(ops.square(size), miss.value);
      const byInput = ops.add(ops.affine(apart, 2), miss.gradient());
      const slope = clip === undefined ? 1 : ops.affine(ops.square(ops.tanh(variables)), -half, half);
      const gradient = ops.mul(byInput, slope);

      const first = ops.add(ops.affine(state.first, 0.9), ops.affine(gradient, 0.1));
      const second = ops.add(ops.affine(state.second, 0.999), ops.affine(ops.square(gradient), 0.001));
      const time = ops.affine(ops.cast(tick, 'float64'), 1, 1);
      const unbiased = (moment: Tensor, decay: number): Tensor =>
        ops.div(moment, ops.cast(ops.affine(ops.exp(ops.affine(time, Math.log(decay))), -1, 1), x.dtype));
      const by = ops.div(
        ops.affine(unbiased(first, 0.9), rate),
        ops.affine(ops.sqrt(unbiased(second, 0.999)), 1, smallest),
      );
      return {
        ...nearer(norm, x, state, at, won),
        ...spent(state, { queries: 1, backwards: 1 }, walking),
        ...goingOn(state, loss, every, ops.greater(ops.affine(time, rate), reach)),
        variables: ops.where(asColumn(walking, x), ops.sub(variables, by), variables),
        first,
        second,
        reach,
        succeeded: ops.maximum(state.succeeded, won),
      };
    });

    return overConstants(context, { searchSteps, constant }, async (given, found) =>
      iterate(given, { ...found, ...(await begin({ ...given, ...found })) }, steps, step, nobodyWalks(every)),
    );
  },
);
