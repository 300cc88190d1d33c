import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  datasets,
  div,
  memory,
  methods,
  models,
  nn,
  take,
  train,
  type Method,
  type TrainOptions,
} from '../../src/index.js';
import { events, finish } from './trained.js';

// In a file of its own: what another test lost would be collected in between.

test('train: leaves nothing behind', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 40);
  const model = models.mlp({ hidden: [16], dropout: 0.5, seed: 1 });
  const swallow = (): undefined => undefined;
  const breaking = new Error('broken');
  const once = async (options: TrainOptions, stopAt = Infinity): Promise<void> => {
    for await (const event of train(model, data, { epochs: 2, batchSize: 16, ...options }))
      if (event.type === 'step' && event.step === stopAt) break;
  };
  const infinite: Method = {
    name: 'infinite',
    settings: {},
    prepare:
      ({ model: net, x, y }) =>
      () =>
        div(nn.crossEntropyLoss(net.forward(x), y), 0),
  };
  const aborting = (): Promise<void> => {
    const stop = new AbortController();
    const schedule = (step: number): number => {
      if (step === 2) stop.abort();
      return 1;
    };
    return once({ signal: stop.signal, schedule });
  };
  const ways: [string, () => Promise<void>][] = [
    ['trained', () => once({ validation: data })],
    ['trained by Adam', () => once({ optimizer: { name: 'adam' } })],
    ['trained by LWA', () => once({ method: methods.lwa({ perturbation: 'alpha' }) })],
    ['broken out of', () => once({}, 2)],
    ['aborted', aborting],
    ['refused for an option', () => once({ epochs: -1 })],
    ["refused for an optimizer's option", () => once({ optimizer: { name: 'sgd', rate: -1 } })],
    ['ended by a loss', () => once({ method: infinite })],
    [
      'ended by a method that throws',
      () =>
        once({
          method: {
            name: 'broken',
            settings: {},
            prepare: () => {
              throw breaking;
            },
          },
        }),
    ],
    [
      'ended by a schedule that throws',
      () =>
        once({
          schedule: () => {
            throw breaking;
          },
        }),
    ],
    [
      'whose first event is never asked for',
      () => {
        train(model, data);
        return Promise.resolve();
      },
    ],
  ];
  for (const [what, way] of ways) {
    await way().catch(swallow);
    const before = memory();
    for (let round = 0; round < 3; round++) await way().catch(swallow);
    const after = memory();
    t.deepEqual([after.tensors - before.tensors, after.bytes - before.bytes], [0, 0], what);
  }
});

test('checkpoint: a training with one leaves nothing behind', async (t) => {
  const data = take((await datasets.sample()).train, 40);
  const folder = await mkdtemp(join(tmpdir(), 'sparring-checkpoint-'));
  const path = join(folder, 'memory.safetensors');
  const [model, other] = [models.mlp({ hidden: [12], dropout: 0.3, seed: 1 }), models.mlp({ hidden: [5], seed: 1 })];
  const round = async (): Promise<void> => {
    await rm(path, { force: true });
    await finish(model, data, { epochs: 2, checkpoint: path });
    await finish(model, data, { epochs: 2, checkpoint: path });
    await events(other, data, { epochs: 2, checkpoint: path }).catch(() => undefined);
    await events(model, data, { epochs: 3, checkpoint: path }).catch(() => undefined);
  };
  await round();
  const before = memory();
  await round();
  await round();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
  await rm(folder, { recursive: true });
});
