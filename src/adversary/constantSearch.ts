/** The search for the constant that weighs misclassification against distance, as C&W, EAD and L-BFGS do it. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne, finite } from './attack.js';
import { between, leads, onlyFound, type Found, type Given, type Named, type SearchContext } from './distance.js';
import { longest } from './norms.js';

/** Options of the search. */
export interface ConstantOptions {
  /** How many constants are tried, 9 by default. */
  searchSteps?: number;
  /** The first constant, .001 by default. */
  constant?: number;
}

/** The options of the search. */
export const constantEntries = {
  searchSteps: v.optional(atLeastOne, 9),
  constant: v.optional(between(1e-12, longest), 1e-3),
};

/** The constant of each example and the bounds that it lies between, float64 [B]. */
export interface Constant extends Named {
  constant: Tensor;
  low: Tensor;
  high: Tensor;
}

/** A walk with one constant. */
export interface Walk extends Found {
  /** 1 where it has led to a success, float64 [B]. */
  succeeded: Tensor;
  /** 1 where it goes on. */
  walking: Tensor;
  /** The loss when it was looked at last. */
  before: Tensor;
}

/** A walk before its first step. */
export const standing = ({ distance }: Found): Pick<Walk, 'succeeded' | 'walking' | 'before'> => ({
  succeeded: ops.zeros(distance.shape, { dtype: 'float64' }),
  walking: ops.cast(ops.greater(distance, 0), 'float64'),
  before: ops.full(distance.shape, Infinity, { dtype: 'float64' }),
});

/** The next constants: the middle of the bounds once there has been a success, until then ten times as much. */
function nextConstant({ constant, low, high }: Constant, succeeded: Tensor): Constant {
  const above = ops.where(succeeded, ops.minimum(high, constant), high);
  const below = ops.where(succeeded, low, ops.maximum(low, constant));
  const isBounded = ops.less(above, Infinity);
  // Infinity is kept out of the sum that is not taken.
  const middle = ops.affine(ops.add(below, ops.where(isBounded, above, 0)), 0.5);
  return { low: below, high: above, constant: ops.where(isBounded, middle, ops.affine(constant, 10)) };
}

/** Walks from the inputs with one constant after the other. */
export function overConstants(
  { program }: Pick<SearchContext, 'program'>,
  { searchSteps, constant: first }: Required<ConstantOptions>,
  walk: (given: Given & Constant, found: Found) => Promise<Walk>,
): (given: Given, found: Found) => Promise<Found> {
  const next = program(({ succeeded, constant, low, high }: Constant & { succeeded: Tensor }) =>
    nextConstant({ constant, low, high }, succeeded),
  );
  return async (given, found) => {
    const each = (value: number): Tensor => ops.full([given.x.shape[0]!], value, { dtype: 'float64' });
    let [state, constants]: [Found, Constant] = [found, { constant: each(first), low: each(0), high: each(Infinity) }];
    for (let round = 0; round < searchSteps; round++) {
      [state, constants] = await scope(async () => {
        const end = await walk({ ...given, ...constants }, state);
        return [onlyFound(end), await next({ ...constants, succeeded: end.succeeded })] as [Found, Constant];
      });
    }
    return state;
  };
}

/** What a walk is told after a step, for `iterate`: that nobody walks any more. Looked at every so many steps. */
export const nobodyWalks =
  (every: number) =>
  ({ walking }: Pick<Walk, 'walking'>, tick: number): boolean =>
    tick % every === 0 && walking.data().every((each) => each === 0);

/**
 * Ends walks that have arrived: those whose loss has not fallen by a ten-thousandth when it is looked at again, every so
 * many steps.
 *
 * @param loss - float64 [B].
 * @param mayEnd - 1 where the walk may end yet.
 */
export function goingOn(
  { walking, before, tick }: Pick<Walk, 'walking' | 'before'> & { tick: Tensor },
  loss: Tensor,
  every: number,
  mayEnd: Tensor | number = 1,
): Pick<Walk, 'walking' | 'before'> {
  const times = ops.floor(ops.affine(ops.cast(tick, 'float64'), 1 / every, 1e-9));
  const due = ops.cast(ops.equal(ops.sub(tick, ops.mul(ops.cast(times, 'int32'), every)), 0), 'float64');
  const stuck = ops.mul(ops.mul(due, ops.greater(loss, ops.affine(before, 0.9999))), mayEnd);
  return { walking: ops.mul(walking, ops.affine(stuck, -1, 1)), before: ops.where(due, loss, before) };
}

/**
 * c max(z_y - max z_i + confidence, 0) at points [B, ...] and who succeeds there by the confidence, float64 [B]; and its
 * gradient by the points when that is asked for.
 */
export function hinge(
  { model, margin, fooled }: SearchContext,
  confidence: number,
  at: Tensor,
  { aim, constant }: Pick<Given & Constant, 'aim' | 'constant'>,
): { value: Tensor; won: Tensor; gradient: () => Tensor } {
  const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), at);
  const { value, from, to } = margin(logits, aim);
  const miss = ops.reshape(ops.cast(ops.affine(value, 1, confidence), 'float64'), constant.shape);
  const weight = ops.cast(ops.mul(constant, ops.greater(miss, 0)), at.dtype);
  return {
    value: ops.mul(constant, ops.relu(miss)),
    // Logits that are not finite miss by no number: they end the search as they do elsewhere.
    won: ops.mul(
      ops.cast(fooled(logits, aim), 'float64'),
      ops.maximum(ops.lessEqual(miss, 0), ops.cast(ops.affine(finite(logits), -1, 1), 'float64')),
    ),
    gradient: () => ops.neg(pullback(ops.mul(leads(logits, from, to), ops.reshape(weight, [weight.size, 1])))),
  };
}
