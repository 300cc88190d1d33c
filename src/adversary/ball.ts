/** Balls and boxes around inputs: the nearest point inside. */
import * as ops from '../tensor/ops.js';
import type { Operand } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { asRows, nonZero, perturbed, total, type Norm } from './norms.js';

/** Where perturbations may lead: no longer than epsilon in the norm, and inside a range where one is given. */
export interface Region {
  norm: Norm;
  epsilon: number;
  clip?: readonly [number, number] | undefined;
}

/** Rounds of the search for a threshold; each at least halves the interval, and most solve it. */
const rounds = 24;

/**
 * The nearest rows [B, D] in the L1 ball, and no farther than the room that there is for each entry: every entry loses the
 * same amount (Duchi et al. 2008), but never more than it has, and an entry that has too little room keeps what there is. The
 * amount is the root of a falling, piecewise linear function, found by Newton's steps inside a shrinking interval.
 */
function inL1Ball(rows: Tensor, radius: Operand, room?: Tensor): Tensor {
  const sizes = ops.abs(rows);
  const left = (amount: Tensor): Tensor => {
    const kept = ops.relu(ops.sub(sizes, amount));
    return room === undefined ? kept : ops.minimum(kept, room);
  };
  let low = ops.zeros([rows.shape[0]!, 1], { dtype: rows.dtype });
  let high = ops.max(sizes, { axes: [-1], keepDims: true });
  let amount = low;
  for (let round = 0; round < rounds; round++) {
    const kept = left(amount);
    const over = ops.sub(total(kept), radius);
    const tooMuch = ops.greater(over, 0);
    low = ops.where(tooMuch, amount, low);
    high = ops.where(tooMuch, high, amount);
    const some = ops.greater(kept, 0);
    const falling = total(room === undefined ? some : ops.mul(some, ops.less(kept, room)));
    const newton = ops.add(amount, ops.div(over, nonZero(falling)));
    const inside = ops.mul(ops.greaterEqual(newton, low), ops.lessEqual(newton, high));
    const halved = ops.affine(ops.add(low, high), 0.5);
    amount = ops.where(inside, newton, halved);
  }
  return ops.mul(ops.sign(rows), left(amount));
}

/**
 * The points of a ball around 0 that are nearest to rows in the L2 norm: rows inside stay as they are.
 *
 * @param rows - [B, D].
 * @param radius - [B, 1].
 */
export function projectedOnBall(rows: Tensor, radius: Tensor, norm: Norm): Tensor {
  if (norm.name === 'linf') return ops.maximum(ops.minimum(rows, radius), ops.neg(radius));
  if (norm.name === 'l1') return inL1Ball(rows, radius);
  const lengths = ops.reshape(norm.length(rows), radius.shape);
  return ops.where(ops.lessEqual(lengths, radius), rows, ops.mul(rows, ops.div(radius, nonZero(lengths))));
}

/** How far each entry of an input may go inside the range, the way that rows [B, D] lead. */
function roomInside(x: Tensor, rows: Tensor, [low, high]: readonly [number, number]): Tensor {
  const flat = asRows(x, x.shape.slice(1));
  return ops.where(ops.greater(rows, 0), ops.affine(flat, -1, high), ops.affine(flat, 1, -low));
}

/**
 * The inputs [B, ...] moved by rows [B, D], brought to the nearest point of the ball and then into the box; for l1 the
 * nearest of both at once. What is inside stays as it is: nothing is ever made longer. As rounded, the difference from
 * x is never longer than epsilon.
 *
 * @param x - The clean inputs.
 * @param rows - How far they are moved by now.
 * @param region - The norm, epsilon, and the range.
 * @returns [B, ...].
 *
 * @example
 * ```ts
 * import { norms, project, tensor } from 'sparring';
 *
 * const moved = project(tensor([[0, 0]]), tensor([[0.25, 3]]), { norm: norms.linf, epsilon: 0.5, clip: [0, 1] });
 * console.log(moved.toArray().map((row) => row.map((value) => value.toFixed(3)))); // [[0.250, 0.500]]
 * ```
 */
export function project(x: Tensor, rows: Tensor, region: Region): Tensor {
  const { norm, epsilon, clip } = region;
  const near =
    norm.name === 'linf'
      ? ops.clamp(rows, { low: -epsilon, high: epsilon })
      : norm.name === 'l1'
        ? inL1Ball(rows, epsilon, clip && roomInside(x, rows, clip))
        : rows;
  return perturbed(x, near, region);
}
