import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  datasets,
  decodeSafetensors,
  methods,
  models,
  nn,
  saveSafetensors,
  schedules,
  subset,
  take,
  tensor,
  train,
  type EpochEvent,
  type StepEvent,
  type SummaryEvent,
  type TrainOptions,
} from '../../src/index.js';
import type { Progress } from '../../src/training/checkpoint.js';
import { refused } from '../adversary/refused.js';
import { events, finish, sameWeights } from './trained.js';

let made: Promise<string> | undefined;
/** The folder of these tests; the last of them removes it. */
const folder = (): Promise<string> => (made ??= mkdtemp(join(tmpdir(), 'sparring-checkpoint-')));

const fresh = (seed = 1): nn.Sequential => models.mlp({ hidden: [12], dropout: 0.3, seed });
const examples = async (count = 70) => take((await datasets.sample()).train, count);

const ways: [string, TrainOptions][] = [
  ['SGD with momentum', { epochs: 4, batchSize: 32, seed: 5 }],
  [
    'Adam and LWA',
    {
      epochs: 4,
      batchSize: 32,
      seed: 5,
      optimizer: { name: 'adam', rate: 0.01 },
      method: methods.lwa({ epsilon: 0.3, perturbation: 'alpha' }),
    },
  ],
  [
    'free training, which carries its perturbations,',
    { epochs: 4, batchSize: 32, seed: 5, method: methods.free({ epsilon: 0.3, replays: 2 }) },
  ],
];

for (const [what, way] of ways) {
  test(`checkpoint: ${what} goes on as if it had not been stopped`, async (t) => {
    const data = await examples();
    const options: TrainOptions = { ...way, validation: await examples(40) };
    const whole = fresh();
    const uninterrupted = await events(whole, data, options);
    const ended = uninterrupted.at(-1) as SummaryEvent;
    const path = join(await folder(), `${what}.safetensors`);

    // Stopped after the second epoch, then in the middle of the third, then run to the end: each time a new network.
    for await (const event of train(fresh(), data, { ...options, checkpoint: path }))
      if (event.type === 'epoch' && event.epoch === 2) break;
    const reason = new Error('stop');
    const stop = new AbortController();
    try {
      for await (const event of train(fresh(7), data, { ...options, checkpoint: path, signal: stop.signal })) {
        if (event.type === 'step' && event.step === 8) stop.abort(reason);
      }
      t.fail('it went on');
    } catch (error) {
      t.equal(error, reason, 'stopped in an epoch');
    }
    const model = fresh(8);
    const told = await events(model, data, { ...options, checkpoint: path });
    t.ok(sameWeights(model, whole), 'the same weights to the bit');
    const steps = (all: typeof told): [number, number, number][] =>
      all
        .filter((event): event is StepEvent => event.type === 'step')
        .map(({ step, loss, rate }) => [step, loss, rate]);
    t.deepEqual(steps(told), steps(uninterrupted).slice(6), 'by the same steps, from the third epoch on');
    const epochs = told.filter((event): event is EpochEvent => event.type === 'epoch').map(({ epoch }) => epoch);
    t.deepEqual(epochs, [3, 4], 'the same epochs');

    const done = fresh(9);
    const { steps: all, loss, validation } = await finish(done, data, { ...options, checkpoint: path });
    t.ok(sameWeights(done, whole) && all === 12, 'a training that has ended gives its network');
    t.deepEqual([loss, validation], [ended.loss, ended.validation], 'and its last figures');
    t.ok(Number.isFinite(loss) && validation! > 0, 'which are numbers');
    t.notOk(done.training, 'in evaluation mode');
  });
}

test('checkpoint: with and without one the weights are the same, and the file is whole at each epoch', async (t) => {
  const data = await examples();
  const path = join(await folder(), 'whole.safetensors');
  const options: TrainOptions = { epochs: 3, batchSize: 32 };
  const [without, model] = [fresh(), fresh()];
  await finish(without, data, options);
  for await (const event of train(model, data, { ...options, checkpoint: path })) {
    if (event.type !== 'epoch') continue;
    const { tensors, metadata } = decodeSafetensors(await readFile(path), path);
    t.deepEqual(
      Object.keys(model.stateDict()).filter((name) => !tensors.has(`model.${name}`)),
      [],
      `epoch ${event.epoch}: the weights`,
    );
    const { epoch, steps } = JSON.parse(metadata.sparring!) as Progress;
    t.deepEqual([epoch, steps], [event.epoch, 3 * event.epoch], 'and how far it got');
    t.deepEqual(
      (await readdir(await folder())).filter((name) => name.startsWith('whole') && name !== 'whole.safetensors'),
      [],
      'and no other file',
    );
  }
  t.ok(sameWeights(model, without), 'the same weights');
});

test('checkpoint: what does not fit is refused and changes nothing', async (t) => {
  const data = await examples();
  const path = join(await folder(), 'other.safetensors');
  const options: TrainOptions = { epochs: 2, batchSize: 32, seed: 1, checkpoint: path };
  await finish(fresh(), data, options);
  const written = await readFile(path);
  const model = fresh(3);
  const given =
    (more: TrainOptions, net: nn.Module = model, from = data) =>
    (): Promise<unknown> =>
      events(net, from, { ...options, ...more });
  const { train: all } = await datasets.sample();
  const inputs = Uint8Array.from(data.inputs);
  inputs[data.rows[0]! * 784 + 300]! ^= 1;
  const cases: [string, () => unknown, string][] = [
    ['another seed', given({ seed: 2 }), 'another: seed: expected 2, received 1'],
    ['another number of epochs', given({ epochs: 3 }), 'another: epochs: expected 3, received 2'],
    ['another batch size', given({ batchSize: 16 }), 'another: batchSize: expected 16, received 32'],
    ['another method', given({ method: methods.lwa() }), 'method: expected "lwa", received "normal"'],
    [
      'another optimizer',
      given({ optimizer: { name: 'sgd', rate: 0.2 } }),
      'optimizer: expected {"name":"sgd","rate":0.2}, received {"name":"sgd","rate":0.1,"momentum":0.9}',
    ],
    ['another schedule', given({ schedule: schedules.constant() }), 'schedule: expected "1, 1, 1, 1, ... ('],
    [
      'a schedule that differs at one step only',
      given({ schedule: (step, total) => (step === 2 ? 0.5 : schedules.cosine()(step, total)) }),
      'schedule: expected "1, 0.933013,',
    ],
    ['fewer examples', given({}, model, await examples(60)), 'another: examples: expected 60, received 70'],
    [
      'other examples of the same set',
      given({}, model, subset(all, all.rows.slice(1, 71))),
      'contents of the examples: expected ',
    ],
    [
      'the same examples, one pixel apart',
      given({}, model, { ...data, inputs }),
      'contents of the examples: expected ',
    ],
    ['another scale', given({}, model, { ...data, scale: 1 / 255 }), 'scale: expected 0.00392'],
    [
      'another network',
      given({}, models.mlp({ hidden: [5], dropout: 0.3, seed: 1 })),
      'parameter 0.weight: expected [5,784], received [12,784]',
    ],
    [
      'a deeper network',
      given({}, models.mlp({ hidden: [12, 10], dropout: 0.3, seed: 1 })),
      'parameter 6.weight: expected [10,10], received none',
    ],
  ];
  for (const [what, call, said] of cases)
    await refused(t, what, call, 'INVALID_ARGUMENT', 'train: checkpoint: expected one of this training', path, said);
  t.ok(sameWeights(model, fresh(3)), 'the network is as it was');

  const broken = join(await folder(), 'broken.safetensors');
  for (const [what, bytes] of [
    ['half a file', written.subarray(0, written.length / 2)],
    ['no file of this kind', Buffer.from('hello there')],
    ['an empty file', Buffer.alloc(0)],
  ] as const) {
    await writeFile(broken, bytes);
    await refused(t, what, given({ checkpoint: broken }), 'BAD_FILE', broken);
    t.ok((await readFile(broken)).equals(bytes), 'and stays as it was');
  }
  await saveSafetensors(broken, { weight: tensor([1]) });
  await refused(
    t,
    'tensors without progress',
    given({ checkpoint: broken }),
    'BAD_FILE',
    broken,
    'expected a checkpoint of a training',
  );
  await refused(
    t,
    'a folder that is not there',
    given({ checkpoint: join(await folder(), 'none', 'x.safetensors') }),
    'WRITE_FAILED',
  );
  t.ok((await readFile(path)).equals(written), 'the checkpoint is untouched');
  await rm(await folder(), { recursive: true });
});
