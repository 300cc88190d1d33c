/** The linearised boundaries between classes, of the logits: what DeepFool and FAB walk towards. */
import { vjp, type Classifier } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { asRows, nonZero, type Norm } from './norms.js';

/** The hyperplane w·d = -gap of each example, d being a perturbation of the input. */
export interface Boundary {
  /** The logits of the inputs, [B, K]. */
  logits: Tensor;
  /** Normals [B, D], towards the other class; 0 where no direction leads to one. */
  w: Tensor;
  /** By how much the other class leads, [B, 1]: negative on the near side. */
  gap: Tensor;
}

/** The largest logit but that of one class, [B], and whose it is, int32 [B]. */
export function leader(logits: Tensor, except: Tensor): { value: Tensor; index: Tensor } {
  const own = ops.oneHot(except, { classes: logits.shape[1]!, dtype: real(logits) });
  const others = ops.where(own, -Infinity, logits);
  return { value: ops.max(others, { axes: [-1] }), index: ops.argmax(others) };
}

const real = ({ dtype }: Tensor): 'float32' | 'float64' => (dtype === 'float64' ? 'float64' : 'float32');

/** The `count` classes with the largest logits besides one of them, the largest first: int32 [count, B]. */
export function ranked(logits: Tensor, except: Tensor, count: number): Tensor {
  const [batch, classes] = logits.shape as [number, number];
  const hide = (z: Tensor, index: Tensor): Tensor =>
    ops.where(ops.oneHot(index, { classes, dtype: real(logits) }), -Infinity, z);
  let left = hide(logits, except);
  const found: Tensor[] = [];
  while (found.length < Math.min(count, classes - 1)) {
    const index = ops.argmax(left);
    found.push(ops.reshape(index, [1, batch]));
    left = hide(left, index);
  }
  return ops.concat(found);
}

/** Every class besides one, int32 [K - 1, B]. */
export function others(classes: number, except: Tensor): Tensor {
  const each = ops.reshape(ops.affine(ops.range(classes - 1), 1, 1), [classes - 1, 1]);
  const next = ops.add(each, ops.reshape(except, [1, except.size]));
  return ops.where(ops.less(next, classes), next, ops.affine(next, 1, -classes));
}

/**
 * Of some classes the one whose linearised boundary with another class is nearest in the norm, by one batched backward
 * pass over them.
 *
 * @param x - Inputs [B, ...].
 * @param from - The class to leave, int32 [B]; or which one, given the logits.
 * @param candidates - The classes to reach, int32 [C, B].
 */
export function nearestBoundary(
  model: Classifier,
  x: Tensor,
  { norm, from, candidates }: { norm: Norm; from: Tensor | ((logits: Tensor) => Tensor); candidates: Tensor },
): Boundary {
  const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), x);
  const [batch, classes] = logits.shape as [number, number];
  const count = candidates.shape[0]!;
  const left = from instanceof Function ? from(logits) : from;
  const unit = (index: Tensor): Tensor => ops.oneHot(index, { classes, dtype: real(logits) });
  const toward = ops.sub(unit(candidates), ops.reshape(unit(left), [1, batch, classes]));
  const pulled = asRows(pullback(toward), x.shape.slice(1)); // [C, B, D]
  const gaps = ops.sum(ops.mul(ops.where(toward, toward, 0), logits), { axes: [-1] }); // [C, B]
  const duals = ops.cast(norm.dual(pulled), 'float64');
  const far = ops.div(ops.abs(ops.cast(gaps, 'float64')), nonZero(duals));
  const nearest = ops.argmin(ops.where(ops.greater(duals, 0), far, Infinity), { axis: 0 });
  const places = ops.add(ops.mul(nearest, batch), ops.range(batch));
  return {
    logits,
    w: ops.gather(ops.reshape(pulled, [count * batch, pulled.shape[2]!]), places),
    gap: ops.reshape(ops.gather(ops.reshape(gaps, [count * batch]), places), [batch, 1]),
  };
}
