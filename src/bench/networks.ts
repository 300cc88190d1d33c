/** Training steps, attacks, Jacobians and inference of the paper's networks on MNIST. */
import { softmaxJacobian } from '../autodiff/autodiff.js';
import * as attacks from '../adversary/index.js';
import { batches, type Dataset } from '../data/dataset.js';
import { datasets } from '../data/datasets.js';
import type { Module } from '../nn/module.js';
import * as models from '../nn/models.js';
import { constant } from '../nn/schedules.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import type { Method } from '../training/method.js';
import * as methods from '../training/methods.js';
import { train } from '../training/train.js';
import type { Prepared, Workload } from './harness.js';

const batchSize = 128;
const optimizer = { name: 'sgd', rate: 0.01, momentum: 0.9 } as const;

/** Multiply-adds of a forward pass twice over, and of the first layer, whose input gradient a training step leaves out. */
const costs = {
  mlp: { forward: 2 * (784 * 1000 + 1000 * 1000 + 1000 * 10), first: 2 * 784 * 1000 },
  lenet: {
    forward: 2 * (24 * 24 * 20 * 25 + 8 * 8 * 50 * 500 + 800 * 500 + 500 * 10),
    first: 2 * 24 * 24 * 20 * 25,
  },
};

/** One training step a repetition, on a new batch each time. */
async function steps(model: Module, method: Method): Promise<Prepared> {
  const { train: data } = await datasets.mnist();
  const events = train(model, data, { method, epochs: 1e6, batchSize, optimizer, schedule: constant() });
  return {
    run: () => events.next(),
    dispose: () => void events.return(undefined as never).then(() => model.dispose()),
  };
}

async function briefly(model: Module, data: Dataset, count: number): Promise<void> {
  for await (const event of train(model, data, { batchSize, optimizer, schedule: constant() })) {
    if (event.type === 'step' && event.step === count) break;
  }
}

/** Images of the official test set as tensors, and a network that has learned for 300 steps. */
async function trained(make: () => Module, count: number): Promise<{ model: Module; x: Tensor; y: Tensor }> {
  const { train: data, test } = await datasets.mnist();
  const model = make();
  await briefly(model, data, 300);
  const examples = new Examples(test);
  const [rows] = [...batches(test, { size: count })];
  const { x, y } = examples.batch(tensor(rows!));
  examples.dispose();
  return { model, x, y };
}

const attacked = (make: () => Module, attack: 'advAlpha' | 'advLoss') => async (): Promise<Prepared> => {
  const { model, x, y } = await trained(make, 10000);
  return {
    run: () =>
      scope(async () => {
        await attacks[attack](model, x, y, { epsilon: 1.5, batchSize: 500 });
      }),
    dispose: () => {
      for (const part of [model, x, y]) part.dispose();
    },
  };
};

const inference = (make: () => Module, count: number) => async (): Promise<Prepared> => {
  const { model, x, y } = await trained(make, count);
  const forward = planned((input) => [model.forward(input)]);
  return {
    run: () => {
      scope(() => void forward.sync(x));
    },
    dispose: () => {
      for (const part of [forward, model, x, y]) part.dispose();
    },
  };
};

const jacobian = (make: () => Module) => async (): Promise<Prepared> => {
  const { model, x, y } = await trained(make, batchSize);
  const plan = planned((input) => [softmaxJacobian(model, input).jacobian]);
  return {
    run: () =>
      scope(async () => {
        await plan(x);
      }),
    dispose: () => {
      for (const part of [plan, model, x, y]) part.dispose();
    },
  };
};

export const networks: readonly Workload[] = (['mlp', 'lenet'] as const).flatMap((name) => {
  const make = (): Module => models[name]({ seed: 1 });
  const { forward, first } = costs[name];
  const classes = 10;
  const step = (products: number): number => batchSize * (products * forward - first);
  return [
    { name: `${name}_train_b128`, items: batchSize, flops: step(3), prepare: () => steps(make(), methods.normal()) },
    {
      name: `${name}_lwa_loss_b128`,
      items: batchSize,
      flops: step(5),
      prepare: () => steps(make(), methods.lwa({ perturbation: 'loss' })),
    },
    {
      name: `${name}_lwa_alpha_b128`,
      items: batchSize,
      flops: step(4 + classes),
      prepare: () => steps(make(), methods.lwa({ perturbation: 'alpha' })),
    },
    {
      name: `${name}_jacobian_b128`,
      items: batchSize,
      flops: batchSize * (1 + classes) * forward,
      prepare: jacobian(make),
    },
    {
      name: `${name}_attack_alpha_10k`,
      items: 10000,
      flops: 10000 * (2 + classes) * forward,
      prepare: attacked(make, 'advAlpha'),
    },
    { name: `${name}_attack_loss_10k`, items: 10000, flops: 10000 * 3 * forward, prepare: attacked(make, 'advLoss') },
    { name: `${name}_infer_b1`, items: 1, flops: forward, prepare: inference(make, 1) },
    { name: `${name}_infer_b500`, items: 500, flops: 500 * forward, prepare: inference(make, 500) },
  ];
});
