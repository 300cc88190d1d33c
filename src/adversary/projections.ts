/**
 * Projections onto balls and onto hyperplanes inside a box, in the three norms. Where the textbook sorts breakpoints, these
 * bisect between them a fixed number of times, and what the last bracket leaves open is interpolated: constraints are met
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
  const largest = nonZero(most(ops.abs(w)));
  const scaled = ops.div(w, largest);
  const need = ops.minimum(ops.div(ops.abs(offset), largest), longest);
  const sizes = ops.abs(scaled);
  const a = ops.where(ops.less(sizes, 2 ** -30), 0, sizes);
  const way = ops.mul(ops.sign(a), ops.mul(ops.sign(offset), ops.sign(scaled)));
  // What one coordinate could do alone bounds it also without a box.
  const alone = ops.where(a, ops.div(need, nonZero(a)), 0);
  const toWall =
    clip === undefined ? alone : ops.where(ops.greater(way, 0), ops.affine(x, -1, clip[1]), ops.affine(x, 1, -clip[0]));
  const room = ops.mul(ops.abs(way), ops.minimum(ops.relu(toWall), alone));
  const gain = ops.mul(a, room);
  const within = ops.less(need, total(gain));

  const isL1 = norm.name === 'l1';
  const each = norm.name === 'l2' ? a : ops.abs(way);
  const slope = ops.mul(a, each);
  const unbounded = ops.div(need, nonZero(total(slope)));
  const farthest = most(ops.div(room, nonZero(each)));
  // θ falls for L1 and grows for the others, from what is too little to what is enough.
  let [less, more] = isL1 ? [most(a), ops.affine(most(a), 2 ** -31)] : [unbounded, ops.maximum(unbounded, farthest)];
  const gained = (theta: Tensor): Tensor =>
    total(isL1 ? ops.where(ops.greater(a, theta), gain, 0) : ops.minimum(ops.mul(slope, theta), gain));
  for (let round = 0; round < bisections; round++) {
    const middle = ops.mul(ops.sqrt(less), ops.sqrt(more));
    const enough = ops.greater(gained(middle), need);
    [less, more] = [ops.where(enough, less, middle), ops.where(enough, middle, more)];
  }
  const moved = (theta: Tensor): Tensor =>
    isL1 ? ops.where(ops.greater(a, theta), room, 0) : ops.minimum(ops.mul(each, theta), room);
  const size = between(moved(less), moved(more), { less: gained(less), more: gained(more), wanted: need });
  return ops.mul(way, ops.where(within, size, room));
}
