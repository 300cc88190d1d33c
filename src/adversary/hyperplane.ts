/**
 * Hyperplanes, and the shortest way there inside a box, in the three norms. What decides how far each coordinate goes is one
 * number a row. For L2 and L∞ it is found exactly; for L1, where the textbook sorts the coordinates, by bisection between
 * them, and what the last bracket leaves open is interpolated.
 */
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { longest, nonZero, total, type Norm } from './norms.js';

const most = (rows: Tensor): Tensor => ops.max(rows, { axes: [-1], keepDims: true });

/**
 * The shortest d, in the norm, with w·d = offset and x + d inside the box; where the box does not reach the hyperplane,
 * the d that leads to its nearest corner. With a = |w|, d has the sign of offset·w and the size
 *
 *     L∞ min(θ, room),   L2 min(θ a, room),   L1 room where a > θ, else 0,
 *
 * for the θ at which a·|d| is |offset|. Coordinates with less than 2^-30 of the largest |w| are left alone.
 *
 * @param x - Rows [B, D] inside the box.
 * @param w - Normals, [B, D].
 * @param offset - [B, 1].
 */
export function projectedOnPlane(
  x: Tensor,
  w: Tensor,
  offset: Tensor,
  { norm, clip }: { norm: Norm; clip?: readonly [number, number] | undefined },
): Tensor {
  const sizes = ops.abs(w);
  const largest = nonZero(most(sizes));
  const scaled = ops.div(sizes, largest);
  const a = ops.where(ops.less(scaled, 2 ** -30), 0, scaled);
  const need = ops.minimum(ops.div(ops.abs(offset), largest), longest);
  const way = ops.where(a, ops.mul(ops.sign(w), ops.sign(offset)), 0);
  // What one coordinate could do alone bounds it also without a box.
  const alone = ops.div(need, a);
  const toWall = (box: readonly [number, number]): Tensor =>
    ops.relu(ops.where(ops.greater(way, 0), ops.affine(x, -1, box[1]), ops.affine(x, 1, -box[0])));
  const room = ops.where(a, clip === undefined ? alone : ops.minimum(toWall(clip), alone), 0);
  const gain = ops.mul(a, room);
  if (norm.name === 'l1') return ops.mul(way, largestFirst(a, room, gain, need));
  const theta = ops.waterLevel(norm.name === 'l2' ? ops.square(a) : a, gain, need);
  return ops.mul(way, ops.minimum(norm.name === 'l2' ? ops.mul(a, theta) : theta, room));
}

/** The sums of amounts at both ends of a bracket, brought to a sum between them. */
function between(less: Tensor, more: Tensor, sums: { less: Tensor; more: Tensor; wanted: Tensor }): Tensor {
  const part = ops.div(ops.sub(sums.wanted, sums.less), nonZero(ops.sub(sums.more, sums.less)));
  return ops.add(less, ops.mul(ops.clamp(part, { low: 0, high: 1 }), ops.sub(more, less)));
}

const bisections = 28;

/** The sizes of d in L1: the room of the coordinates of the largest a, as many as it takes; of the last of them a part. */
function largestFirst(a: Tensor, room: Tensor, gain: Tensor, need: Tensor): Tensor {
  const of = (amounts: Tensor, theta: Tensor): Tensor => ops.where(ops.greater(a, theta), amounts, 0);
  const gained = (theta: Tensor): Tensor => total(of(gain, theta));
  // θ falls from what is too little to what is enough.
  let [less, more] = [most(a), ops.affine(most(a), 2 ** -31)];
  for (let round = 0; round < bisections; round++) {
    const middle = ops.mul(ops.sqrt(less), ops.sqrt(more));
    const enough = ops.greater(gained(middle), need);
    [less, more] = [ops.where(enough, less, middle), ops.where(enough, middle, more)];
  }
  const size = between(of(room, less), of(room, more), { less: gained(less), more: gained(more), wanted: need });
  return ops.where(ops.less(need, total(gain)), size, room);
}
