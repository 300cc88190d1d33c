import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { datasets, memory, models, take, train, type TrainOptions } from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { finish, sameWeights } from './trained.js';

const network = () => models.mlp({ hidden: [8], seed: 1 });
type Network = ReturnType<typeof network>;
const weights = (model: Network): number[] => model.parameters().flatMap((each) => [...each.data()]);

test('averageWeights: the exponential moving average, reckoned by hand', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 60);
  const options: TrainOptions = { epochs: 3, batchSize: 20, seed: 2 };
  const decay = 0.3;
  const plain = network();
  let expected = weights(plain);
  let tick = 0;
  const seen: number[][] = [];
  for await (const event of train(plain, data, options)) {
    if (event.type === 'epoch') seen.push(expected);
    if (event.type !== 'step') continue;
    const kept = Math.min(decay, (1 + tick) / (10 + tick));
    const now = weights(plain);
    expected = expected.map((value, index) => kept * value + (1 - kept) * now[index]!);
    tick++;
  }
  const model = network();
  const before = memory();
  const off = (values: readonly number[], others: readonly number[]): number =>
    Math.max(...values.map((value, index) => Math.abs(value - others[index]!)));
  for await (const event of train(model, data, { ...options, averageWeights: decay }))
    if (event.type === 'epoch') t.ok(off(weights(model), seen[event.epoch - 1]!) < 1e-6, `epoch ${event.epoch}`);
  t.ok(off(weights(model), expected) < 1e-6, 'at the end');
  t.ok(off(weights(model), weights(plain)) > 1e-3, 'which are other weights than the last');
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');

  const none = network();
  await finish(none, data, { ...options, averageWeights: 0 });
  t.ok(off(weights(none), weights(plain)) < 1e-3 && off(weights(none), weights(model)) > 1e-3, '0 follows at once');
  for (const each of [plain, model, none]) each.dispose();
});

test('averageWeights: a training that is stopped goes on with the average, and with the best of them', async (t) => {
  const { train: all, test: held } = await datasets.sample();
  const data = take(all, 60);
  const folder = await mkdtemp(join(tmpdir(), 'sparring-average-'));
  const checkpoint = join(folder, 'state.safetensors');
  for (const more of [{}, { validation: held, keepBest: () => 1 }] as TrainOptions[]) {
    const options: TrainOptions = { epochs: 3, batchSize: 20, averageWeights: 0.9, ...more };
    const whole = network();
    await finish(whole, data, options);
    const stopped = network();
    for await (const event of train(stopped, data, { ...options, checkpoint }))
      if (event.type === 'epoch' && event.epoch === 2) break;
    const resumed = network();
    await finish(resumed, data, { ...options, checkpoint });
    t.ok(sameWeights(resumed, whole), 'the same weights as without a stop');
    const again = network();
    await finish(again, data, { ...options, checkpoint });
    t.ok(sameWeights(again, whole), 'and from the state of the end');
    const other = network();
    const said = 'averageWeights: expected 0.5, received 0.9';
    await refused(
      t,
      'another average',
      () => finish(other, data, { ...options, averageWeights: 0.5, checkpoint }),
      'INVALID_ARGUMENT',
      said,
    );
    for (const model of [whole, stopped, resumed, again, other]) model.dispose();
    await rm(checkpoint);
  }
  await rm(folder, { recursive: true });
});

test('averageWeights: what is refused', async (t) => {
  const { train: data } = await datasets.sample();
  const model = network();
  for (const averageWeights of [1, -0.1]) {
    const said = `train: averageWeights: expected a share of 0 to less than 1, received ${averageWeights}`;
    await refused(t, said, () => finish(model, data, { averageWeights }), 'INVALID_ARGUMENT', said);
  }
  model.dispose();
});
