/**
 * Projections onto balls and onto hyperplanes inside a box, in the three norms. For L1, where the textbook sorts breakpoints,
 * these bisect between them a fixed number of times, and what the last bracket leaves open is interpolated: constraints are met
 * to rounding, lengths are the least to float32's precision. All work on rows [B, D]; radii and offsets are [B, 1].
 */
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { longest, nonZero, type Norm } from './norms.js';

const bisections = 28;

const total = (rows: Tensor): Tensor => ops.sum(rows, { axes: [-1], keepDims: true });
const most = (rows: Tensor): Tensor => ops.max(rows, { axes: [-1], keepDims: true });

/** The sums of amounts at both ends of a bracket, brought to a sum between them. */
function between(less: Tensor, more: Tensor, sums: { less: Tensor; more: Tensor; wanted: Tensor }): Tensor {
  const part = ops.div(ops.sub(sums.wanted, sums.less), nonZero(ops.sub(sums.more, sums.less)));
  return ops.add(less, ops.mul(ops.clamp(part, { low: 0, high: 1 }), ops.sub(more, less)));
}

/**
 * The points of a ball around 0 that are nearest to rows in the L2 norm: rows inside stay as they are. L2 scales, L∞ cuts
 * off, L1 takes from every coordinate what brings the sum down to the radius (Duchi et al. 2008).
 *
 * @param rows - [B, D].
 * @param radius - [B, 1].
 */
export function projectedOnBall(rows: Tensor, radius: Tensor, norm: Norm): Tensor {
  if (norm.name === 'linf') return ops.maximum(ops.minimum(rows, radius), ops.neg(radius));
  const lengths = ops.reshape(norm.length(rows), radius.shape);
  const isInside = ops.lessEqual(lengths, radius);
  if (norm.name === 'l2') return ops.where(isInside, rows, ops.mul(rows, ops.div(radius, nonZero(lengths))));
  const sizes = ops.abs(rows);
  const left = (taken: Tensor): Tensor => ops.relu(ops.sub(sizes, taken));
  let [less, more] = [most(sizes), ops.mul(lengths, 0)];
  for (let round = 0; round < bisections; round++) {
    const middle = ops.affine(ops.add(less, more), 0.5);
    const exceeds = ops.greater(total(left(middle)), radius);
    [less, more] = [ops.where(exceeds, less, middle), ops.where(exceeds, middle, more)];
  }
  const [low, high] = [left(less), left(more)];
  const kept = between(low, high, { less: total(low), more: total(high), wanted: radius });
  return ops.where(isInside, rows, ops.mul(ops.sign(rows), kept));
}

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
