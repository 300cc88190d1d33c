import test from 'tape';
import {
  datasets,
  gradients,
  memory,
  methods,
  models,
  nn,
  scope,
  take,
  tensor,
  train,
  uniform,
  type Batch,
  type Method,
  type Tensor,
} from '../../src/index.js';
import { withRandomness } from '../../src/nn/randomness.js';
import { methodOptions } from '../../src/cli/methods.js';
import { flagOf } from '../../src/cli/command.js';
import { refused } from '../adversary/refused.js';
import { sparring } from '../cli/run.js';
import { farthest, sameBits } from '../tensor/numbers.js';
import { finish, sameWeights } from './trained.js';

type Name = keyof typeof methods;
const names = Object.keys(methods) as Name[];
/** Those that look for a perturbation first. */
const adversarial = names.filter((name) => 'epsilon' in methods[name].schema.entries && name !== 'free');
const make = (name: Name, options: Record<string, unknown> = {}): Method =>
  (methods[name] as (options: Record<string, unknown>) => Method)(options);

test('methods: each trains, the same for the same seed, in memory that does not grow', async (t) => {
  const data = take((await datasets.sample()).train, 60);
  const trained = async (name: Name, seed: number): Promise<nn.Sequential> => {
    const model = models.mlp({ hidden: [12, 8], seed: 1 });
    const summary = await finish(model, data, { method: name, epochs: 2, batchSize: 25, seed });
    t.ok(summary.method === name && Number.isFinite(summary.loss), `${name}: loss ${summary.loss}`);
    return model;
  };
  for (const name of names) {
    const first = await trained(name, 3);
    const before = memory();
    const [second, other] = [await trained(name, 3), await trained(name, 4)];
    t.ok(sameWeights(first, second), `${name}: the same weights for the same seed`);
    t.notOk(sameWeights(first, other), 'others for another');
    second.dispose();
    other.dispose();
    t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
    first.dispose();
  }
});

test('methods: the adversary meets a network without dropout, the loss one with it', (t) => {
  const model = models.mlp({ inputs: 8, hidden: [30, 20], classes: 3, dropout: 0.5, seed: 1 });
  const modes: boolean[] = [];
  const first = model.layers[2]!;
  const forward = first.forward.bind(first);
  first.forward = (input) => {
    modes.push(first.training);
    return forward(input);
  };
  scope(() => {
    const batch = { model, x: uniform([6, 8], { seed: 2 }), y: tensor([0, 1, 2, 0, 1, 2], { dtype: 'int32' }) };
    for (const name of adversarial) {
      model.train();
      modes.length = 0;
      const loss = make(name, { epsilon: 0.5 }).prepare(batch) as () => Tensor;
      t.ok(modes.length > 0 && modes.every((training) => !training), `${name}: found in evaluation mode`);
      modes.length = 0;
      loss();
      t.ok(modes.length > 0 && modes.every(Boolean), 'learned from in training mode');
    }
  });
  model.dispose();
  t.end();
});

test('lwaRep: at the first layer it is lwa', (t) => {
  const model = models.mlp({ inputs: 8, hidden: [9, 7], classes: 3, dropout: 0.3, seed: 1 });
  scope(() => {
    const batch = { model, x: uniform([6, 8], { seed: 2 }), y: tensor([0, 1, 2, 0, 1, 2], { dtype: 'int32' }) };
    const source = {
      seed: 1,
      rows: tensor([0, 1, 2, 3, 4, 5], { dtype: 'int32' }),
      tick: tensor(0, { dtype: 'int32' }),
    };
    const of = (method: { prepare(given: Batch): () => Tensor }) =>
      withRandomness(source, () => gradients(method.prepare(batch), model.parameters()));
    for (const perturbation of ['loss', 'alpha'] as const) {
      const [ours, theirs] = [
        of(methods.lwaRep({ layer: '0', epsilon: 0.3, perturbation })),
        of(methods.lwa({ epsilon: 0.3, perturbation })),
      ];
      t.equal(ours.value.item(), theirs.value.item(), `${perturbation}: the same loss`);
      t.ok(
        ours.grads.every((each, i) => sameBits(each.data(), theirs.grads[i]!.data())),
        'the same gradient',
      );
    }
  });
  model.dispose();
  t.end();
});

test('lwaRep: the layer by its name', async (t) => {
  const { train: data } = await datasets.sample();
  const model = models.mlp({ hidden: [6, 5], seed: 1 });
  const before = model.stateDict()['0.weight']!.data().slice();
  const training = (layer: string): Promise<unknown> =>
    finish(model, data, { method: methods.lwaRep({ layer, epsilon: 0.5 }) });
  const listed = "layer: expected one of 0, 1, 2, 3, 4, received '5' (did you mean";
  await refused(t, 'one it has not', () => training('5'), 'INVALID_ARGUMENT', listed);
  await refused(
    t,
    'a network that is no Sequential',
    () => finish(new nn.Linear(784, 10, { seed: 1 }), data, { method: 'lwaRep' }),
    'INVALID_ARGUMENT',
    'expected a Sequential',
  );
  t.ok(sameBits(model.stateDict()['0.weight']!.data(), before), 'nothing was learned');
  t.equal((await finish(model, data, { method: 'lwaRep' })).method, 'lwaRep', 'by default the second with parameters');
  model.dispose();
});

test('dropout: what the same network does with dropout layers', async (t) => {
  const data = take((await datasets.sample()).train, 80);
  const options = { epochs: 3, batchSize: 32, seed: 5 };
  for (const activation of ['relu', 'tanh'] as const) {
    const plain = models.mlp({ hidden: [20, 10], activation, seed: 1 });
    const layered = models.mlp({ hidden: [20, 10], activation, dropout: 0.3, seed: 1 });
    await finish(plain, data, { ...options, method: methods.dropout({ rate: 0.3 }) });
    await finish(layered, data, { ...options, method: 'normal' });
    const [ours, theirs] = [plain.parameters(), layered.parameters()];
    t.ok(
      ours.every((each, i) => sameBits(each.data(), theirs[i]!.data())),
      `mlp, ${activation}: the same weights`,
    );
    t.deepEqual(Object.keys(plain.stateDict())[2], '2.weight', 'under the names of the network without');
    const none = models.mlp({ hidden: [20, 10], activation, seed: 1 });
    await finish(none, data, options);
    t.ok(farthest(none.parameters()[0]!.data(), ours[0]!.data()) > 1e-4, 'which are not those of normal training');
    for (const each of [plain, layered, none]) each.dispose();
  }
  const lenet = { filters: [2, 3] as [number, number], dense: 20, seed: 1 };
  const [plain, layered] = [models.lenet(lenet), models.lenet({ ...lenet, dropout: 0.5 })];
  await finish(plain, data, { ...options, method: 'dropout' });
  await finish(layered, data, options);
  const theirs = layered.parameters();
  t.ok(
    plain.parameters().every((each, i) => sameBits(each.data(), theirs[i]!.data())),
    'lenet: the same weights',
  );

  const training = (model: nn.Module): Promise<unknown> => finish(model, data, { method: 'dropout' });
  await refused(t, 'dropout twice', () => training(layered), 'INVALID_ARGUMENT', 'without dropout of its own');
  const shallow = models.mlp({ hidden: [], seed: 1 });
  await refused(t, 'nothing to leave out', () => training(shallow), 'INVALID_ARGUMENT', 'at least two dense layers');
  await refused(
    t,
    'a rate of 1',
    () => methods.dropout({ rate: 1 }),
    'INVALID_ARGUMENT',
    'dropout: rate: expected at least 0 and below 1, received 1',
  );
  for (const each of [plain, layered, shallow]) each.dispose();
});

test('methods: options', async (t) => {
  t.deepEqual(methods.goodfellow().settings, { epsilon: 1.5, norm: 'l2', share: 0.5 }, 'goodfellow');
  t.deepEqual(methods.nokland().settings, { epsilon: 1.5, norm: 'l2' }, 'nokland');
  t.deepEqual(methods.lwaRep().settings, { epsilon: 1.5, norm: 'l2', perturbation: 'loss' }, 'lwaRep');
  for (const name of names) {
    t.equal(make(name).name, name, `${name}: its name`);
    await refused(t, `${name}: an option it has not`, () => make(name, { epsilom: 1 }), 'INVALID_ARGUMENT', name);
  }
  for (const name of adversarial) {
    await refused(
      t,
      name,
      () => make(name, { epsilon: -1 }),
      'INVALID_ARGUMENT',
      `${name}: epsilon: expected a length`,
    );
    await refused(t, name, () => make(name, { norm: 'l3' }), 'INVALID_ARGUMENT', `${name}: norm: expected one of`);
  }
  const share = (): unknown => methods.goodfellow({ share: 1.5 });
  await refused(t, 'a share', share, 'INVALID_ARGUMENT', 'goodfellow: share: expected a share of 0 to 1, received 1.5');
});

test('methods: the command line has every option of every method', async (t) => {
  const taken = new Set(
    Object.entries(methodOptions).flatMap(([, { only }]) => (only === undefined ? [] : only.values)),
  );
  for (const name of names) {
    const options = Object.keys(methods[name].schema.entries);
    const flags = Object.values(methodOptions).filter(({ only }) => only!.values.includes(name));
    t.equal(flags.length, options.length, `${name}: ${options.join(', ')}`);
    t.ok(options.length === 0 || taken.has(name), 'some flag goes with it');
  }
  const { stdout } = await sparring('train --help');
  for (const option of Object.keys(methodOptions)) t.ok(stdout.includes(flagOf(option)), `help tells of ${option}`);
});

test("a method of one's own is a function of the batch", async (t) => {
  const { train: data } = await datasets.sample();
  const model = models.mlp({ hidden: [4], seed: 1 });
  const method: Method = {
    name: 'own',
    settings: {},
    prepare:
      ({ model: net, x, y }) =>
      () =>
        nn.crossEntropyLoss(net.forward(x), y),
  };
  const losses: number[] = [];
  for await (const event of train(model, take(data, 50), { method }))
    if (event.type === 'step') losses.push(event.loss);
  t.ok(losses.every(Number.isFinite), 'and trains');
  model.dispose();
});
