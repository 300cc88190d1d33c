/** Training steps, attacks, Jacobians and inference of the paper's networks on MNIST. */
import { softmaxJacobian } from '../autodiff/autodiff.js';
import * as attacks from '../adversary/index.js';
import { numbered, type AttackResult } from '../adversary/attack.js';
import { fromArrays, type Dataset } from '../data/dataset.js';
import { datasets } from '../data/datasets.js';
import { reachBound } from '../nn/bounds.js';
import type { Module } from '../nn/module.js';
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../nn/layers.js';
import * as models from '../nn/models.js';
import { constant } from '../nn/schedules.js';
import { concat, slice } from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { adversarialInputs, type AdversarialInputsOptions } from '../training/adversarial.js';
import { Examples } from '../training/examples.js';
import type { Method } from '../training/method.js';
import * as methods from '../training/methods.js';
import { train } from '../training/train.js';
import type { Given, Prepared, Workload } from './harness.js';
import { optimizer, trainedNetwork, type NetworkName } from './trained.js';
import { updatePlan } from './update.js';

const batchSize = 128;

/** Multiply-adds of a forward pass twice over, and of the first layer, whose input gradient a training step leaves out. */
const costs = {
  mlp: { forward: 2 * (784 * 1000 + 1000 * 1000 + 1000 * 10), first: 2 * 784 * 1000 },
  lenet: {
    forward: 2 * (24 * 24 * 20 * 25 + 8 * 8 * 50 * 500 + 800 * 500 + 500 * 10),
    first: 2 * 24 * 24 * 20 * 25,
  },
};

/** The first examples of a data set as tensors. */
function first(data: Dataset, count: number): { x: Tensor; y: Tensor } {
  const examples = new Examples(data);
  const made = scope(() => examples.batch(tensor(numbered(count))));
  examples.dispose();
  return made;
}

/** One training step a repetition, on a new batch each time. */
async function steps(model: Module, method: Method, data?: Dataset, size = batchSize): Promise<Prepared> {
  const examples = data ?? (await datasets.mnist()).train;
  const events = train(model, examples, {
    method,
    epochs: 1e6,
    batchSize: size,
    optimizer,
    schedule: constant(),
  });
  const { x, y } = first(examples, size);
  const update = updatePlan(model, method);
  return {
    run: () => events.next(),
    profile: () => update.profile(x, y),
    dispose: () => {
      void events.return(undefined as never).then(() => model.dispose());
      for (const part of [update, x, y]) part.dispose();
    },
  };
}

/** A trained network, and the first images of the official test set as tensors. */
async function subject(
  name: NetworkName,
  count: number,
  given: Given,
): Promise<{ model: Module; x: Tensor; y: Tensor }> {
  const model = await trainedNetwork(name, given);
  const { test } = await datasets.mnist();
  return { model: model.eval(), ...first(test, count) };
}

const epsilon = 1.5;

/** How projected gradient ascent is timed: every step on every image. */
const climb = { epsilon, steps: 40, stepSize: 0.1, clip: [0, 1] as [number, number] };

/**
 * Only makes adversarial images, as the peers do under these names: nobody asks which of them succeed, and images that are
 * misclassified already are moved like the others.
 */
const perturbed =
  (name: NetworkName, count: number, batch: number, options: AdversarialInputsOptions) =>
  async (given: Given): Promise<Prepared> => {
    const { model, x, y } = await subject(name, count, given);
    const make = planned((images: Tensor, labels: Tensor, reach?: Tensor) => [
      adversarialInputs(model, images, labels, { ...options, reach }),
    ]);
    // What the network can do at most is found anew each time, as an attack does.
    const bound = planned(() => (options.direction === 'alpha' ? [reachBound(model)!] : []));
    const part = (at: number) => [slice(x, [at], [at + batch]), slice(y, [at], [at + batch])] as const;
    return {
      run: () =>
        scope(async () => {
          const parts: Tensor[] = [];
          const known = await bound();
          for (let at = 0; at < count; at += batch) parts.push(...(await make(...part(at), ...known)));
          concat(parts);
        }),
      profile: () => scope(() => make.profile(...part(0), ...bound.sync())),
      dispose: () => {
        for (const each of [make, bound, model, x, y]) each.dispose();
      },
    };
  };

/** A whole attack: which images succeed (one more evaluation of the network), how far they moved, what it cost. */
const scored =
  (name: NetworkName, count: number, attack: (model: Module, x: Tensor, y: Tensor) => Promise<AttackResult>) =>
  async (given: Given): Promise<Prepared> => {
    const { model, x, y } = await subject(name, count, given);
    return {
      run: () =>
        scope(async () => {
          await attack(model, x, y);
        }),
      dispose: () => {
        for (const part of [model, x, y]) part.dispose();
      },
    };
  };

const inference =
  (name: NetworkName, count: number) =>
  async (given: Given): Promise<Prepared> => {
    const { model, x, y } = await subject(name, count, given);
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

const jacobian =
  (name: NetworkName) =>
  async (given: Given): Promise<Prepared> => {
    const { model, x, y } = await subject(name, batchSize, given);
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

/** A small network of four convolutions for images of [3, 32, 32]. */
function cifar(): Module {
  const convolution = (from: number, to: number, stream: number): Module[] => [
    new Conv2d(from, to, { kernel: 3, padding: 1, seed: 1, stream }),
    new ReLU(),
  ];
  return new Sequential(
    ...convolution(3, 64, 0),
    ...convolution(64, 64, 1),
    new MaxPool2d({ kernel: 2 }),
    ...convolution(64, 128, 2),
    ...convolution(128, 128, 3),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear(128 * 8 * 8, 256, { seed: 1, stream: 4 }),
    new ReLU(),
    new Linear(256, 10, { seed: 1, stream: 5 }),
  );
}

const cifarBatch = 64;
const cifarForward = 2 * (32 * 32 * 64 * 9 * (3 + 64) + 16 * 16 * 128 * 9 * (64 + 128) + 128 * 8 * 8 * 256 + 256 * 10);
const cifarFirst = 2 * 32 * 32 * 64 * 9 * 3;

/** Images without a pattern: a training step takes as long on them. */
const cifarImages = (): Dataset => {
  const count = 8 * cifarBatch;
  return fromArrays({
    inputs: Uint8Array.from({ length: count * 3 * 32 * 32 }, (_, at) => (at * 7919) % 251),
    labels: Uint8Array.from({ length: count }, (_, at) => at % 10),
    shape: [3, 32, 32],
    classes: 10,
    scale: 1 / 255,
  });
};

const cifarTraining: Workload = {
  name: 'cifar_train_b64',
  items: cifarBatch,
  flops: cifarBatch * (3 * cifarForward - cifarFirst),
  prepare: () => steps(cifar(), methods.normal(), cifarImages(), cifarBatch),
};

const ofMnist: readonly Workload[] = (['mlp', 'lenet'] as const).flatMap((name) => {
  const fresh = (): Module => models[name]({ seed: 1 });
  const { forward, first } = costs[name];
  const classes = 10;
  const step = (products: number): number => batchSize * (products * forward - first);
  return [
    { name: `${name}_train_b128`, items: batchSize, flops: step(3), prepare: () => steps(fresh(), methods.normal()) },
    {
      name: `${name}_lwa_loss_b128`,
      items: batchSize,
      flops: step(5),
      prepare: () => steps(fresh(), methods.lwa({ perturbation: 'loss' })),
    },
    {
      name: `${name}_lwa_alpha_b128`,
      items: batchSize,
      flops: step(4 + classes),
      prepare: () => steps(fresh(), methods.lwa({ perturbation: 'alpha' })),
    },
    {
      name: `${name}_lwa_alpha_b128_trained`,
      items: batchSize,
      flops: step(4 + classes),
      prepare: async (given: Given) => steps(await trainedNetwork(name, given), methods.lwa({ perturbation: 'alpha' })),
    },
    {
      name: `${name}_jacobian_b128`,
      items: batchSize,
      flops: batchSize * (1 + classes) * forward,
      prepare: jacobian(name),
    },
    {
      name: `${name}_attack_alpha_10k`,
      items: 10000,
      flops: 10000 * (1 + classes) * forward,
      prepare: perturbed(name, 10000, 500, { epsilon, direction: 'alpha' }),
    },
    {
      name: `${name}_attack_alpha_10k_scored`,
      items: 10000,
      flops: 10000 * (2 + classes) * forward,
      prepare: scored(name, 10000, (...to) => attacks.advAlpha(...to, { epsilon, batchSize: 500 })),
    },
    {
      name: `${name}_attack_loss_10k`,
      items: 10000,
      flops: 10000 * 2 * forward,
      prepare: perturbed(name, 10000, 500, { epsilon, direction: 'loss' }),
    },
    {
      name: `${name}_attack_loss_10k_scored`,
      items: 10000,
      flops: 10000 * 3 * forward,
      prepare: scored(name, 10000, (...to) => attacks.advLoss(...to, { epsilon, batchSize: 500 })),
    },
    { name: `${name}_infer_b1`, items: 1, flops: forward, prepare: inference(name, 1) },
    { name: `${name}_infer_b500`, items: 500, flops: 500 * forward, prepare: inference(name, 500) },
  ];
});

const ascending: readonly Workload[] = [
  {
    name: 'lenet_pgd40_1k',
    items: 1000,
    flops: 1000 * 40 * 2 * costs.lenet.forward,
    prepare: perturbed('lenet', 1000, 250, climb),
  },
  {
    // No flops: what is broken takes no more steps, here and in the peer's fastest way.
    name: 'lenet_pgd40_1k_scored',
    items: 1000,
    prepare: scored('lenet', 1000, (...to) => attacks.pgd(...to, { ...climb, randomStart: false, batchSize: 250 })),
  },
];

export const networks: readonly Workload[] = [...ofMnist, ...ascending, cifarTraining];
