/** The search for the constant that weighs misclassification against distance, as C&W, EAD and L-BFGS do it. */
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Named } from './distance.js';

/** The constant of each example and the bounds that it lies between, float64 [B]. */
export interface Constant extends Named {
  constant: Tensor;
  low: Tensor;
  high: Tensor;
}

/** The constants to begin with. */
export const firstConstant = (batch: number, constant: number): Constant => ({
  constant: ops.full([batch], constant, { dtype: 'float64' }),
  low: ops.zeros([batch], { dtype: 'float64' }),
  high: ops.full([batch], Infinity, { dtype: 'float64' }),
});

/** The next constants: the middle of the bounds once there has been a success, until then ten times as much. */
export function nextConstant({ constant, low, high }: Constant, succeeded: Tensor): Constant {
  const above = ops.where(succeeded, ops.minimum(high, constant), high);
  const below = ops.where(succeeded, low, ops.maximum(low, constant));
  const isBounded = ops.less(above, Infinity);
  // Infinity is kept out of the sum that is not taken.
  const middle = ops.affine(ops.add(below, ops.where(isBounded, above, 0)), 0.5);
  return { low: below, high: above, constant: ops.where(isBounded, middle, ops.affine(constant, 10)) };
}
