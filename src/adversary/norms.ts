/** The norms that perturbations are measured in, and what the attacks ask of them. All work on rows [..., D]. */
import * as ops from '../tensor/ops.js';
import type { NormName } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';

/** A norm on perturbations. */
export interface Norm {
  readonly name: NormName;
  /** The length of each row, [..., D] to [...]. */
  length(rows: Tensor): Tensor;
  /** The dual norm of each row: the most that <u, r> can be for ‖r‖ = 1. */
  dual(rows: Tensor): Tensor;
  /** The r with ‖r‖ = 1 where <u, r> is that most; 0 where u is 0. */
  steepest(rows: Tensor): Tensor;
}

const dualOf = { l2: 'l2', linf: 'l1', l1: 'linf' } as const;

const directions: Record<NormName, (rows: Tensor) => Tensor> = {
  // Divided by the largest magnitude first: the squares of small gradients would underflow.
  l2: (rows) => {
    const scaled = ops.div(rows, nonZero(ops.norm(rows, { order: 'linf', axes: [-1], keepDims: true })));
    return ops.div(scaled, nonZero(ops.norm(scaled, { axes: [-1], keepDims: true })));
  },
  linf: (rows) => ops.sign(rows),
  l1: (rows) => {
    const winner = ops.argmax(ops.abs(rows));
    const only = ops.oneHot(winner, {
      classes: rows.shape.at(-1)!,
      dtype: rows.dtype === 'float64' ? 'float64' : 'float32',
    });
    return ops.mul(ops.sign(rows), only);
  },
};

/** The lengths as divisors: 1 where they are 0, so that a zero row stays zero and never turns NaN. */
export function nonZero(lengths: Tensor): Tensor {
  return ops.where(ops.greater(lengths, 0), lengths, 1);
}

/** The norms by name. */
export const norms: Record<NormName, Norm> = Object.fromEntries(
  (['l1', 'l2', 'linf'] as const).map((name) => [
    name,
    {
      name,
      length: (rows: Tensor) => ops.norm(rows, { order: name, axes: [-1] }),
      dual: (rows: Tensor) => ops.norm(rows, { order: dualOf[name], axes: [-1] }),
      steepest: directions[name],
    },
  ]),
) as unknown as Record<NormName, Norm>;

/** The rows brought to length 1 in the norm; 0 stays 0. */
export function unit(rows: Tensor, norm: Norm): Tensor {
  return ops.div(rows, ops.reshape(nonZero(norm.length(rows)), [rows.shape[0]!, 1]));
}

/** The sum of each row, [..., D] to [..., 1]. */
export const total = (rows: Tensor): Tensor => ops.sum(rows, { axes: [-1], keepDims: true });

/** Each example as one row: [..., B, ...example] to [..., B, D], for inputs [B, ...example]. */
export function asRows(x: Tensor, example: readonly number[]): Tensor {
  const width = example.reduce((product, length) => product * length, 1);
  return ops.reshape(x, [...x.shape.slice(0, x.shape.length - example.length), width]);
}

/** Far beyond every input, and far from the end of float32: a longer step would turn inputs infinite. */
export const longest = 1e30;

/** The rows, those that are longer than `most` brought to that length. */
function shortened(rows: Tensor, norm: Norm, most: ops.Operand): Tensor {
  const lengths = norm.length(rows);
  const factor = ops.where(ops.greater(lengths, most), ops.div(most, nonZero(lengths)), 1);
  return ops.mul(rows, ops.reshape(factor, [...factor.shape, 1]));
}

/**
 * x plus a perturbation, shortened where needed so that the difference of the two, as rounded, is never longer than
 * epsilon; clipped to a range where one is given.
 *
 * @param x - Inputs [B, ...].
 * @param rows - Perturbations [B, D], D the numbers of an input.
 * @param region - The norm, the most that an input is moved in it (any length without), and the range.
 * @returns [B, ...].
 *
 * @example
 * ```ts
 * import { norms, perturbed, tensor } from 'sparring';
 *
 * const region = { norm: norms.l2, epsilon: 5, clip: [-10, 4] };
 * console.log(perturbed(tensor([[0, 0]]), tensor([[30, 40]]), region).toArray().map(([a]) => Math.round(a))); // [3]
 * ```
 */
export function perturbed(
  x: Tensor,
  rows: Tensor,
  { norm, epsilon, clip }: { norm: Norm; epsilon?: number | undefined; clip?: readonly [number, number] | undefined },
): Tensor {
  const example = x.shape.slice(1);
  const moved = (by: Tensor): Tensor => {
    const sum = ops.add(x, ops.reshape(by, x.shape));
    return clip === undefined ? sum : ops.clamp(sum, { low: clip[0], high: clip[1] });
  };
  if (epsilon === undefined) return moved(rows);
  const wished = moved(shortened(rows, norm, epsilon));
  const taken = asRows(ops.sub(wished, x), example);
  // A sum is off by half a unit in the last place: what that can add to the length is kept in reserve.
  const unit = x.dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  const rounded = ops.where(ops.notEqual(taken, 0), asRows(wished, example), 0);
  const reserve = ops.affine(norm.length(rounded), unit);
  return moved(shortened(taken, norm, ops.maximum(ops.sub(epsilon * (1 - 4 * unit), reserve), 0)));
}
