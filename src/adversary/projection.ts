/** Balls and boxes around inputs: the nearest point inside, and random points to start from. */
import * as ops from '../tensor/ops.js';
import type { RandomSource } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { asRows, nonZero, perturbed, type Norm } from './norms.js';

/** Where perturbations may lead: no longer than epsilon in the norm, and inside a range where one is given. */
export interface Region {
  norm: Norm;
  epsilon: number;
  clip?: readonly [number, number] | undefined;
}

/** The columns of [B] for rows [B, D]. */
const column = (each: Tensor): Tensor => ops.reshape(each, [each.shape[0]!, 1]);

const sumOf = (rows: Tensor): Tensor => ops.sum(rows, { axes: [-1], keepDims: true });

/** Rounds of the search for a threshold; each at least halves the interval, and most solve it. */
const rounds = 24;

/**
 * The nearest perturbation [B, D] in the L1 ball, and in the box where one is given: every entry loses the same amount,
 * but never more than it has, and an entry that the box cuts keeps what the box leaves it. The amount is the root of a
 * falling, piecewise linear function, found by Newton's steps inside a shrinking interval.
 */
function inL1Ball(x: Tensor, rows: Tensor, { epsilon, clip }: Region): Tensor {
  const sizes = ops.abs(rows);
  const example = x.shape.slice(1);
  const room =
    clip === undefined
      ? sizes
      : ops.where(
          ops.greater(rows, 0),
          ops.affine(asRows(x, example), -1, clip[1]),
          ops.affine(asRows(x, example), 1, -clip[0]),
        );
  const left = (amount: Tensor): Tensor => ops.minimum(ops.relu(ops.sub(sizes, amount)), room);
  let low = ops.zeros([x.shape[0]!, 1], { dtype: x.dtype });
  let high = ops.max(sizes, { axes: [-1], keepDims: true });
  let amount = low;
  for (let round = 0; round < rounds; round++) {
    const kept = left(amount);
    const over = ops.affine(sumOf(kept), 1, -epsilon);
    const tooMuch = ops.greater(over, 0);
    low = ops.where(tooMuch, amount, low);
    high = ops.where(tooMuch, high, amount);
    const free = sumOf(ops.mul(ops.greater(kept, 0), ops.less(kept, room)));
    const newton = ops.add(amount, ops.div(over, nonZero(clip === undefined ? sumOf(ops.greater(kept, 0)) : free)));
    const inside = ops.mul(ops.greater(newton, low), ops.less(newton, high));
    const halved = ops.affine(ops.add(low, high), 0.5);
    amount = ops.where(inside, newton, halved);
  }
  return ops.mul(ops.sign(rows), left(amount));
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
  const { norm, epsilon } = region;
  const near =
    norm.name === 'linf'
      ? ops.clamp(rows, { low: -epsilon, high: epsilon })
      : norm.name === 'l1'
        ? inL1Ball(x, rows, region)
        : rows;
  return perturbed(x, near, region);
}

type Source = RandomSource & { dtype: 'float32' | 'float64' };

/** Which of the random numbers of an attack: those of one stream are independent of those of another. */
export const streams = { direction: 0, radius: 1, start: 2, network: 1 << 20 } as const;

/** Random directions [B, D] of length 1 in the norm: uniform in every entry for linf, on the sphere for l2, Laplace for l1. */
export function randomDirection(shape: readonly number[], norm: Norm, source: Source): Tensor {
  const stream = source.stream ?? streams.direction;
  const each = { ...source, stream };
  if (norm.name === 'linf') return unit(ops.uniform(shape, { ...each, low: -1, high: 1 }), norm);
  const drawn = ops.normal(shape, each);
  if (norm.name === 'l2') return unit(drawn, norm);
  const lengths = ops.neg(ops.log(ops.affine(ops.uniform(shape, { ...each, stream: stream + 64 }), -1, 1)));
  return unit(ops.mul(ops.sign(drawn), lengths), norm);
}

/** The rows brought to length 1 in the norm; 0 stays 0. */
export function unit(rows: Tensor, norm: Norm): Tensor {
  return ops.div(rows, column(nonZero(norm.length(rows))));
}

/** Random rows [B, D], uniform in the ball of length 1. */
export function randomInBall(shape: readonly [number, number], norm: Norm, source: Source): Tensor {
  const stream = source.stream ?? streams.direction;
  if (norm.name === 'linf') return ops.uniform(shape, { ...source, stream, low: -1, high: 1 });
  const radius = ops.pow(ops.uniform([shape[0], 1], { ...source, stream: stream + streams.radius }), 1 / shape[1]);
  return ops.mul(randomDirection(shape, norm, { ...source, stream }), radius);
}

/** The rows with all but about the `counts` [B, 1] largest entries of each set to 0. */
export function keepLargest(rows: Tensor, counts: Tensor): Tensor {
  const sizes = ops.abs(rows);
  let low = ops.zeros([rows.shape[0]!, 1], { dtype: rows.dtype });
  let high = ops.max(sizes, { axes: [-1], keepDims: true });
  const wanted = ops.cast(counts, rows.dtype);
  // The largest threshold that as many entries reach as are wanted, by halving.
  for (let round = 0; round < 32; round++) {
    const middle = ops.affine(ops.add(low, high), 0.5);
    const enough = ops.greaterEqual(sumOf(ops.greaterEqual(sizes, middle)), wanted);
    low = ops.where(enough, middle, low);
    high = ops.where(enough, high, middle);
  }
  return ops.where(ops.greaterEqual(sizes, low), rows, 0);
}
