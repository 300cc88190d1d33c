import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  accuracy,
  datasets,
  evaluate,
  memory,
  models,
  take,
  train,
  type EpochEvent,
  type SummaryEvent,
  type TrainOptions,
} from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { sameBits } from '../tensor/numbers.js';
import { events, finish } from './trained.js';

const network = () => models.mlp({ hidden: [8], seed: 1 });
type Network = ReturnType<typeof network>;
const weights = (model: Network): Float64Array =>
  Float64Array.from(model.parameters().flatMap((each) => [...each.data()]));

test('keepBest: the weights of the best epoch, the first of equals', async (t) => {
  const { train: all, test: held } = await datasets.sample();
  const data = take(all, 60);
  const worths = [0.2, 0.5, 0.5, 0.1];
  const options: TrainOptions = { epochs: 4, batchSize: 20, validation: held, seed: 2 };
  const plain = network();
  await finish(plain, data, options);
  const model = network();
  const seen: Float64Array[] = [];
  const told = await events(model, data, {
    ...options,
    keepBest: (now, validation) => {
      t.ok(now === model && validation === held && !now.training, 'the network in evaluation mode, and the validation');
      seen.push(weights(model));
      return Promise.resolve(worths[seen.length - 1]!);
    },
  });
  const epochs = told.filter((event): event is EpochEvent => event.type === 'epoch');
  t.deepEqual(
    epochs.map(({ worth }) => worth),
    worths,
    'each epoch tells what it is worth',
  );
  t.deepEqual((told.at(-1) as SummaryEvent).best, { epoch: 2, worth: 0.5 }, 'the summary which is kept');
  t.ok(sameBits(weights(model), seen[1]!), 'its weights are there at the end');
  t.ok(sameBits(seen[3]!, weights(plain)), 'the training itself was as without');
  const before = memory();
  let round = 0;
  await finish(model, data, { ...options, keepBest: () => round++ });
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
  plain.dispose();
  model.dispose();
});

test('keepBest: a training that is stopped goes on with the best of both parts', async (t) => {
  const { train: all, test: held } = await datasets.sample();
  const data = take(all, 60);
  const folder = await mkdtemp(join(tmpdir(), 'sparring-best-'));
  const checkpoint = join(folder, 'state.safetensors');
  for (const worths of [
    [0.2, 0.5, 0.3, 0.1],
    [0.2, 0.5, 0.3, 0.6],
  ]) {
    let epoch = 0;
    const options = (): TrainOptions => ({
      epochs: 4,
      batchSize: 20,
      validation: held,
      keepBest: () => worths[epoch++]!,
    });
    const whole = network();
    const { best } = await finish(whole, data, options());
    epoch = 0;
    const stopped = network();
    for await (const event of train(stopped, data, { ...options(), checkpoint }))
      if (event.type === 'epoch' && event.epoch === 3) break;
    const resumed = network();
    const summary = await finish(resumed, data, { ...options(), checkpoint });
    t.deepEqual(summary.best, best, `epoch ${best!.epoch}`);
    t.ok(sameBits(weights(resumed), weights(whole)), 'the same weights as without a stop');
    for (const model of [whole, stopped, resumed]) model.dispose();
    await rm(checkpoint);
  }
  await rm(folder, { recursive: true });
});

test('keepBest: by the accuracy that an attack leaves', async (t) => {
  const { train: data, test: held } = await datasets.sample();
  const model = network();
  const left = async (): Promise<number> => {
    const { worst } = await evaluate(model, held, { attacks: ['advLoss'], epsilons: [0.3] });
    return worst[0]!.accuracy.mean;
  };
  const { best } = await finish(model, data, { epochs: 6, batchSize: 50, validation: held, keepBest: left });
  t.equal(await left(), best!.worth, 'it is what the network is left with');
  t.ok((await accuracy(model, held)).correct > 60, 'a network that classifies');
  model.dispose();
});

test('keepBest: what is refused', async (t) => {
  const { train: data, test: held } = await datasets.sample();
  const model = network();
  for (const [options, code, said] of [
    [{ keepBest: () => 1 }, 'INVALID_ARGUMENT', 'train: keepBest: expected with validation, received without'],
    [{ validation: held, keepBest: 3 as never }, 'INVALID_ARGUMENT', 'train: keepBest: expected a function'],
    [
      { validation: held, keepBest: () => NaN },
      'NOT_FINITE',
      'train: keepBest: expected a finite number, received NaN',
    ],
  ] as const) {
    await refused(t, said, () => finish(model, data, options), code, said);
  }
  t.notOk(model.training, 'in evaluation mode all the same');
  model.dispose();
});
