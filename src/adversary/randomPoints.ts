/** Random directions and points, which attacks start from: each example's own, whatever its company. */
import * as ops from '../tensor/ops.js';
import type { RandomSource } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { unit, type Norm } from './norms.js';

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

/** Random rows [B, D], uniform in the ball of length 1. */
export function randomInBall(shape: readonly [number, number], norm: Norm, source: Source): Tensor {
  const stream = source.stream ?? streams.direction;
  if (norm.name === 'linf') return ops.uniform(shape, { ...source, stream, low: -1, high: 1 });
  const radius = ops.pow(ops.uniform([shape[0], 1], { ...source, stream: stream + streams.radius }), 1 / shape[1]);
  return ops.mul(randomDirection(shape, norm, { ...source, stream }), radius);
}
