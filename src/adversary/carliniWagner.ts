/** The attack of Carlini and Wagner, L2. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne, targetsEntry } from './attack.js';
import { firstConstant, nextConstant, type Constant } from './constantSearch.js';
import {
  asColumn,
  between,
  defineDistanceAttack,
  distanceEntries,
  leads,
  nearer,
  onlyFound,
  spent,
  type Found,
  type Given,
  type TargetedOptions,
} from './distance.js';
import { asRows, longest } from './norms.js';

/** Options of {@link carliniWagner}. */
export interface CarliniWagnerOptions extends TargetedOptions {
  /** The norm is L2. */
  norm?: 'l2';
  /** Steps of Adam for each constant at most, 1000 by default; the paper allows 10,000. */
  steps?: number;
  /** How many constants are tried, 9 by default. */
  searchSteps?: number;
  /** The first constant, .001 by default. */
  constant?: number;
  /** The rate of Adam, .01 by default. */
  rate?: number;
  /** By how much the other class's logit must lead, 0 by default. */
  confidence?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  norm: v.optional(v.picklist(['l2']), 'l2'),
  targets: targetsEntry,
  steps: v.optional(atLeastOne, 1000),
  searchSteps: v.optional(atLeastOne, 9),
  constant: v.optional(between(1e-12, longest), 1e-3),
  rate: v.optional(between(0, longest), 0.01),
  confidence: v.optional(between(0, longest), 0),
});

/** How near to the walls the change of variables begins: at a wall itself atanh is infinite and the slope 0. */
const inward = 0.999999;

/** A walk of Adam from the inputs: the variables, its moments, whether an example still walks, and its loss at last. */
interface Walk extends Found {
  variables: Tensor;
  first: Tensor;
  second: Tensor;
  /** 1 where this constant has led to a success. */
  succeeded: Tensor;
  walking: Tensor;
  before: Tensor;
}

/**
 * The L2 attack of Carlini and Wagner (2017): minimises ‖d‖² + c max(z_y - max z_i + confidence, 0) by Adam, with a binary
 * search over c. With a `clip` range the inputs are written as tanh of free variables, which begin a millionth inside the
 * walls so that pixels at a wall move too. A walk ends early for an example whose loss has not improved over a tenth of
 * the steps.
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
  (
    { steps, searchSteps, constant: initial, rate, confidence, clip },
    { model, norm, fooled, margin, program, iterate },
  ) => {
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

    const begin = program(({ x, distance }: Given & Found) => ({
      variables: variablesOf(x),
      first: ops.mul(x, 0),
      second: ops.mul(x, 0),
      succeeded: ops.zeros([x.shape[0]!], { dtype: 'float64' }),
      walking: ops.cast(ops.greater(distance, 0), 'float64'),
      before: ops.full([x.shape[0]!], Infinity, { dtype: 'float64' }),
    }));

    const step = program((state: Given & Walk & Constant & { tick: Tensor }) => {
      const { x, aim, variables, walking, tick } = state;
      const at = inputsOf(variables);
      const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), at);
      const { value, from, to } = margin(logits, aim);
      const miss = ops.reshape(ops.cast(ops.affine(value, 1, confidence), 'float64'), [x.shape[0]!]);
      const won = ops.mul(ops.mul(ops.cast(fooled(logits, aim), 'float64'), ops.lessEqual(miss, 0)), walking);

      const apart = ops.sub(at, x);
      const size = ops.cast(norm.length(asRows(apart, x.shape.slice(1))), 'float64');
      const loss = ops.add(ops.square(size), ops.mul(state.constant, ops.relu(miss)));
      const weight = ops.cast(ops.mul(state.constant, ops.greater(miss, 0)), x.dtype);
      const towards = pullback(ops.mul(leads(logits, from, to), ops.reshape(weight, [x.shape[0]!, 1])));
      const byInput = ops.sub(ops.affine(apart, 2), towards);
      const slope = clip === undefined ? 1 : ops.affine(ops.square(ops.tanh(variables)), -half, half);
      const gradient = ops.mul(byInput, slope);

      const first = ops.add(ops.affine(state.first, 0.9), ops.affine(gradient, 0.1));
      const second = ops.add(ops.affine(state.second, 0.999), ops.affine(ops.square(gradient), 0.001));
      const time = ops.affine(ops.cast(tick, 'float64'), 1, 1);
      const unbiased = (moment: Tensor, decay: number): Tensor =>
        ops.div(moment, ops.cast(ops.affine(ops.exp(ops.affine(time, Math.log(decay))), -1, 1), x.dtype));
      const by = ops.div(
        ops.affine(unbiased(first, 0.9), rate),
        ops.affine(ops.sqrt(unbiased(second, 0.999)), 1, 1e-8),
      );
      const going = asColumn(walking, x);

      // Once in a tenth of the steps: who has not improved by a ten-thousandth since then has arrived.
      const phase = ops.sub(
        tick,
        ops.mul(ops.cast(ops.floor(ops.affine(ops.cast(tick, 'float64'), 1 / every, 1e-9)), 'int32'), every),
      );
      const due = ops.cast(ops.equal(phase, 0), 'float64');
      const stuck = ops.mul(due, ops.greater(loss, ops.affine(state.before, 0.9999)));
      return {
        ...nearer(norm, x, state, at, won),
        ...spent(state, { queries: 1, backwards: 1 }, walking),
        variables: ops.where(going, ops.sub(variables, by), variables),
        first,
        second,
        succeeded: ops.maximum(state.succeeded, won),
        walking: ops.mul(walking, ops.affine(stuck, -1, 1)),
        before: ops.where(due, loss, state.before),
      };
    });
    const next = program(({ succeeded, constant, low, high }: Constant & { succeeded: Tensor }) =>
      nextConstant({ constant, low, high }, succeeded),
    );

    return async (given, found) => {
      let [state, constants] = [found, firstConstant(given.x.shape[0]!, initial)];
      for (let round = 0; round < searchSteps; round++) {
        [state, constants] = await scope(async () => {
          const walk = await begin({ ...given, ...state });
          const end = await iterate(
            { ...given, ...constants },
            { ...state, ...walk },
            steps,
            step,
            ({ walking }, tick) => tick % every === 0 && walking.data().every((each) => each === 0),
          );
          const { succeeded } = end;
          return [onlyFound(end), await next({ ...constants, succeeded })] as [Found, Constant];
        });
      }
      return state;
    };
  },
);
