/** One step of a training as a tensor program: the losses of a batch, their gradients, the updates. */
import { gradients } from '../autodiff/autodiff.js';
import type { Optimizer } from '../nn/optimizers.js';
import { add, affine, assignRows, cast, range, sub, sum } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Batch, Method } from './method.js';

/** What a step found: the mean loss over the updates, and a number that is finite where losses and gradients are, float64 []. */
export type Step = Record<'loss' | 'check', Tensor>;

/**
 * A number that is finite where the loss and the gradients are: what is not, on the way back through a layer, reaches its
 * bias, which costs nothing to look at.
 */
const checkOf = (loss: Tensor, grads: readonly Tensor[]): Tensor =>
  [loss, ...grads.filter(({ shape }) => shape.length < 2)].map((each) => cast(sum(each), 'float64')).reduce(add);

/**
 * Learns from a batch, at a rate (float64 []) and as step `tick` (int32 [], from 0) of a training, whose first `plain` steps (0)
 * made one update each. Where the loss or the gradients are not finite the parameters stay as they are.
 */
export function learn(
  method: Method,
  batch: Batch,
  optimizer: Optimizer,
  { rate, tick, plain = 0 }: { rate: Tensor; tick: Tensor; plain?: number },
): Step {
  const { parameters } = optimizer;
  // At a rate that is not a number there is no update.
  const update = (grads: readonly Tensor[], check: Tensor, number: Tensor): void =>
    optimizer.apply(grads, add(rate, affine(check, 0)), number);
  const prepared = method.prepare(batch);
  if (typeof prepared === 'function') {
    const { value, grads } = gradients(prepared, parameters);
    const check = checkOf(value, grads);
    update(grads, check, add(tick, 1));
    return { loss: value, check };
  }
  const { times } = prepared;
  const { carried } = batch;
  let { inputs } = prepared;
  let found: Step | undefined;
  for (let i = 0; i < times; i++) {
    const at = inputs;
    const { value, grads } = gradients(() => prepared.loss(at), [...parameters, at]);
    const own = checkOf(value, grads);
    const check: Tensor = found === undefined ? own : add(found.check, own);
    update(grads.slice(0, -1), check, affine(tick, times, i + 1 - plain * (times - 1)));
    if (i + 1 < times || carried) inputs = prepared.next(at, grads.at(-1)!);
    found = { loss: found === undefined ? value : add(found.loss, value), check };
  }
  if (carried) assignRows(carried, range(carried.shape[0]!), sub(inputs, batch.x));
  return { loss: affine(found!.loss, 1 / times), check: found!.check };
}
