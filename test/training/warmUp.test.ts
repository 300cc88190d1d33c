import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  datasets,
  memory,
  methods,
  models,
  scope,
  take,
  tensor,
  train,
  uniform,
  zeros,
  type Method,
  type Tensor,
  type TrainOptions,
} from '../../src/index.js';
import type { Optimizer } from '../../src/nn/optimizers.js';
import { withRandomness } from '../../src/nn/randomness.js';
import { learn } from '../../src/training/step.js';
import { refused } from '../adversary/refused.js';
import { finish, sameWeights } from './trained.js';

const network = () => models.mlp({ hidden: [8], seed: 1 });

/** The mean loss of each epoch. */
async function losses(options: TrainOptions): Promise<number[]> {
  const { train: all } = await datasets.sample();
  const model = network();
  const found: number[] = [];
  for await (const event of train(model, take(all, 60), { batchSize: 20, ...options }))
    if (event.type === 'epoch') found.push(event.loss);
  model.dispose();
  return found;
}

test('warmUp: first epochs like those of Normal, and then the method', async (t) => {
  const before = memory();
  for (const method of [methods.lwa({ epsilon: 2 }), methods.free({ epsilon: 2, replays: 2 }), methods.vat()]) {
    const plain = await losses({ epochs: 3 });
    const warm = await losses({ epochs: 3, method, warmUp: 2 });
    const cold = await losses({ epochs: 3, method });
    t.deepEqual(warm.slice(0, 2), plain.slice(0, 2), `${method.name}: bit for bit what Normal does`);
    t.notEqual(warm[2], plain[2], 'until the method begins');
    t.notEqual(cold[0], plain[0], 'without it the method begins at once');
  }
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
});

test('warmUp: Adam is told the number of each update, of which a replay makes several', (t) => {
  scope(() => {
    const model = network();
    const counted: number[] = [];
    const optimizer = {
      parameters: model.parameters(),
      apply: (_: readonly Tensor[], __: Tensor, step: Tensor) => void counted.push(step.item()),
    } as unknown as Optimizer;
    const batch = { model, x: uniform([4, 784], { seed: 1 }), y: zeros([4], { dtype: 'int32' }) };
    const carried = zeros([4, 784]);
    const rate = tensor(0.1, { dtype: 'float64' });
    const step = (at: number, method: Method, plain: number): unknown =>
      learn(method, { ...batch, carried }, optimizer, { rate, tick: tensor(at, { dtype: 'int32' }), plain });
    withRandomness({ seed: 0, rows: tensor([0, 1, 2, 3]), tick: tensor(0, { dtype: 'int32' }) }, () => {
      for (const at of [0, 1, 2]) step(at, methods.normal(), 3);
      for (const at of [3, 4]) step(at, methods.free({ epsilon: 1, replays: 4 }), 3);
    });
    t.deepEqual(counted, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });
  t.end();
});

test('warmUp: a training that is stopped goes on, before the method begins and after', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 60);
  const folder = await mkdtemp(join(tmpdir(), 'sparring-warm-'));
  const checkpoint = join(folder, 'state.safetensors');
  const options: TrainOptions = { epochs: 4, batchSize: 20, method: methods.lwa({ epsilon: 2 }), warmUp: 2 };
  const whole = network();
  await finish(whole, data, options);
  for (const stop of [1, 2, 3]) {
    const stopped = network();
    for await (const event of train(stopped, data, { ...options, checkpoint }))
      if (event.type === 'epoch' && event.epoch === stop) break;
    const resumed = network();
    await finish(resumed, data, { ...options, checkpoint });
    t.ok(sameWeights(resumed, whole), `the same weights as without a stop after epoch ${stop}`);
    for (const model of [stopped, resumed]) model.dispose();
    await rm(checkpoint);
  }
  const model = network();
  await finish(model, data, { ...options, checkpoint });
  await refused(
    t,
    'another warm-up',
    () => finish(model, data, { ...options, warmUp: 1, checkpoint }),
    'INVALID_ARGUMENT',
    'warmUp: expected 1, received 2',
  );
  await refused(
    t,
    'a warm-up that is all',
    () => finish(model, data, { ...options, warmUp: 4 }),
    'INVALID_ARGUMENT',
    'train: warmUp: expected fewer than the 4 epochs, received 4',
  );
  for (const each of [whole, model]) each.dispose();
  await rm(folder, { recursive: true });
});
