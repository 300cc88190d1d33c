/** One step of a training as a tensor program: the losses of a batch, their gradients, the updates. */
import { gradients } from '../autodiff/autodiff.js';
import type { Optimizer } from '../nn/optimizers.js';
import { add, affine, mul } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Batch, Method } from './method.js';

/**
 * Learns from a batch, at a rate (float64 []) and as step `tick` (int32 [], from 0) of a training.
 *
 * @returns The mean loss over the updates.
 */
export function learn(method: Method, batch: Batch, optimizer: Optimizer, rate: Tensor, tick: Tensor): Tensor {
  const { parameters } = optimizer;
  const prepared = method.prepare(batch);
  if (typeof prepared === 'function') {
    const { value, grads } = gradients(prepared, parameters);
    optimizer.apply(grads, rate, add(tick, 1));
    return value;
  }
  const { times } = prepared;
  let { inputs } = prepared;
  let total: Tensor | undefined;
  for (let i = 0; i < times; i++) {
    const at = inputs;
    const { value, grads } = gradients(() => prepared.loss(at), [...parameters, at]);
    optimizer.apply(grads.slice(0, -1), rate, add(mul(tick, times), i + 1));
    if (i + 1 < times) inputs = prepared.next(at, grads.at(-1)!);
    total = total === undefined ? value : add(total, value);
  }
  return affine(total!, 1 / times);
}
