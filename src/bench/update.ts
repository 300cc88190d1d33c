/** A training step as one plan of inputs and labels, to be measured by itself. */
import type { Module } from '../nn/module.js';
import { SGD, type Optimizer } from '../nn/optimizers.js';
import { keep, scope } from '../tensor/scope.js';
import { planned, type Planned } from '../tensor/plan.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import type { Method } from '../training/method.js';
import { learn } from '../training/step.js';
import { optimizer } from './trained.js';

/** A plan from inputs [B, ...] and labels [B] to the batch's loss, which moves the network's weights. */
export function updatePlan(model: Module, method: Method): Planned<[Tensor, Tensor], [Tensor]> {
  const { rate, momentum } = optimizer;
  const sgd: Optimizer = new SGD(model.parameters(), { rate, momentum });
  const [pace, tick] = scope((): [Tensor, Tensor] => [
    keep(tensor(rate, { dtype: 'float64' })),
    keep(tensor(0, { dtype: 'int32' })),
  ]);
  const plan = planned((x: Tensor, y: Tensor): [Tensor] => [
    learn(method, { model, x, y }, sgd, { rate: pace, tick }).loss,
  ]);
  const free = plan.dispose.bind(plan);
  return Object.assign(plan, {
    dispose: () => {
      free();
      for (const part of [sgd, pace, tick]) part.dispose();
    },
  });
}
