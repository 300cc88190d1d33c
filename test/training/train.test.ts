import test from 'tape';
import {
  accuracy,
  add,
  datasets,
  fromArrays,
  methods,
  models,
  mul,
  nn,
  schedules,
  SparringError,
  sqrt,
  subset,
  take,
  train,
  type Dataset,
  type EpochEvent,
  type Method,
  type OptimizerChoice,
  type StepEvent,
  type Tensor,
  type TrainOptions,
} from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { farthest } from '../tensor/numbers.js';
import { events, finish, sameWeights } from './trained.js';

const small = (seed = 1, dropout = 0): nn.Sequential => models.mlp({ hidden: [16], dropout, seed });

/** Trains a new network of seed 1. */
async function trained(data: Dataset, options: TrainOptions, dropout = 0): Promise<nn.Sequential> {
  const model = small(1, dropout);
  await finish(model, data, options);
  return model;
}

test('train: what it tells', async (t) => {
  const { train: all, test: validation } = await datasets.sample();
  const data = take(all, 110);
  const model = small();
  const told = await events(model, data, { epochs: 3, batchSize: 25, validation, seed: 4 });
  const kinds = told.map(({ type }) => type);
  const epoch = ['step', 'step', 'step', 'step', 'step', 'epoch'];
  t.deepEqual(kinds, [...epoch, ...epoch, ...epoch, 'summary'], 'steps, epochs and last a summary');
  const steps = told.filter((event): event is StepEvent => event.type === 'step');
  const epochs = told.filter((event): event is EpochEvent => event.type === 'epoch');
  t.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: 15 }, (_, i) => i + 1),
    'steps count from 1',
  );
  t.ok(
    steps.every(({ steps: all, epoch: at }, i) => all === 15 && at === Math.floor(i / 5) + 1),
    'of all, in their epoch',
  );
  t.ok(
    steps.every(({ rate }, i) => Math.abs(rate - 0.05 * (1 + Math.cos((Math.PI * i) / 15))) < 1e-15),
    'at rates of half a cosine',
  );
  epochs.forEach(({ loss, epoch: at, epochs: of }, i) => {
    const mean = steps.slice(5 * i, 5 * i + 5).reduce((sum, step, j) => sum + step.loss * (j < 4 ? 25 : 10), 0) / 110;
    t.ok(at === i + 1 && of === 3 && Math.abs(loss - mean) < 1e-12, `epoch ${at}: the mean loss of its examples`);
  });
  const { correct, total } = await accuracy(model, validation);
  t.equal(epochs.at(-1)!.validation, correct / total, 'the accuracy on the validation examples');
  const summary = told.at(-1)!;
  t.ok(
    summary.type === 'summary' && summary.steps === 15 && summary.epochs === 3 && summary.method === 'normal',
    'the summary',
  );
  t.ok(
    summary.type === 'summary' && summary.loss === epochs[2]!.loss && summary.validation === epochs[2]!.validation,
    'of the last epoch',
  );
  t.notOk(model.training || model.layers.some(({ training }) => training), 'the network is in evaluation mode');
  t.equal(
    (await events(small(), data, { epochs: 1 })).find((event): event is EpochEvent => event.type === 'epoch')!
      .validation,
    undefined,
    'no validation, no figure',
  );

  const generator = train(small(), take(data, 3), { batchSize: 1 });
  let result = await generator.next();
  let count = 0;
  for (; !result.done; result = await generator.next()) count++;
  t.equal(count, 5, 'batches of one example');
  t.equal(result.value.type, 'summary', 'the generator returns the summary');
});

test('train: learns', async (t) => {
  const { train: data, test: validation } = await datasets.sample();
  const networks: [string, nn.Sequential, TrainOptions][] = [
    ['mlp by SGD', small(), { epochs: 8, batchSize: 32 }],
    ['mlp by Adam', small(), { epochs: 10, batchSize: 32, optimizer: { name: 'adam', rate: 0.01 } }],
    ['mlp with dropout', small(1, 0.3), { epochs: 12, batchSize: 32, method: 'normal' }],
    [
      'lenet',
      models.lenet({ filters: [4, 8], dense: 20, seed: 1 }),
      { epochs: 10, batchSize: 32, optimizer: { name: 'adam', rate: 0.01 } },
    ],
  ];
  for (const [what, model, options] of networks) {
    const { validation: reached, loss } = await finish(model, data, { ...options, validation });
    t.ok(reached! > 0.8, `${what}: ${reached} with loss ${loss.toFixed(3)}`);
    model.dispose();
  }
});

test('train: the same seed gives the same weights to the bit', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 90);
  const ways: [string, TrainOptions, number][] = [
    ['normal', { epochs: 2, batchSize: 32 }, 0],
    ['dropout', { epochs: 2, batchSize: 32, optimizer: { name: 'adam' } }, 0.5],
    ['lwa', { epochs: 2, batchSize: 32, method: methods.lwa({ epsilon: 0.3 }) }, 0],
    [
      'lwa by Adv_Alpha, with dropout',
      { epochs: 2, batchSize: 32, method: methods.lwa({ epsilon: 0.3, perturbation: 'alpha' }) },
      0.5,
    ],
  ];
  for (const [what, options, dropout] of ways) {
    const [one, same, other] = [
      await trained(data, { ...options, seed: 1 }, dropout),
      await trained(data, { ...options, seed: 1 }, dropout),
      await trained(data, { ...options, seed: 2 }, dropout),
    ];
    t.ok(sameWeights(one, same), `${what}: the same`);
    t.notOk(sameWeights(one, other), `${what}: another seed, other weights`);
    t.notOk(sameWeights(one, small(1, dropout)), `${what}: it trained`);
  }
  const [first, , again] = await Promise.all([1, 2, 1].map((seed) => trained(data, { epochs: 2, seed }, 0.5)));
  t.ok(sameWeights(first!, again!), 'also side by side with another');
});

test('train: what dropout drops depends on the example, the step and the seed, not on the batch', async (t) => {
  const { train: all } = await datasets.sample();
  const rows = Array.from(all.rows.slice(0, 6));
  const start = small(1, 0.5);
  const change = async (chosen: number[], seed = 3, from: Dataset = all): Promise<number[]> => {
    const model = await trained(
      subset(from, chosen),
      { batchSize: 100, optimizer: { name: 'sgd', rate: 1 }, seed },
      0.5,
    );
    const after = model.stateDict();
    return Object.entries(start.stateDict()).flatMap(([name, value]) =>
      Array.from(after[name]!.data(), (number, i) => number - value.data()[i]!),
    );
  };
  const each: number[][] = [];
  for (const row of rows) each.push(await change([row]));
  const mean = each[0]!.map((_, i) => each.reduce((sum, one) => sum + one[i]!, 0) / rows.length);
  t.ok(farthest(await change(rows), mean) < 2e-6, 'the gradient of a batch is the mean of those of its examples');
  t.ok(farthest(await change([...rows].reverse()), mean) < 2e-6, 'in any order');
  t.ok(farthest(await change(rows, 4), mean) > 1e-3, 'another seed drops others');
  const size = 28 * 28;
  const twice = { ...all, inputs: all.inputs.slice(), labels: all.labels.slice() };
  twice.inputs.copyWithin(rows[1]! * size, rows[0]! * size, (rows[0]! + 1) * size);
  twice.labels[rows[1]!] = twice.labels[rows[0]!]!;
  t.ok(farthest(await change([rows[1]!], 3, twice), each[0]!) > 1e-3, 'and of an equal image in another place');

  const still = async (): Promise<number[]> => {
    const told = await events(small(1, 0.5), subset(all, rows), { epochs: 3, optimizer: { name: 'sgd', rate: 0 } });
    return told.filter((event): event is StepEvent => event.type === 'step').map(({ loss }) => loss);
  };
  const losses = await still();
  t.equal(new Set(losses).size, 3, `each step drops others: ${losses.join(', ')}`);
  t.deepEqual(await still(), losses, 'and the same again the next time');
});

test('train: whoever looks at the network between two steps does not disturb it', async (t) => {
  const { train: all } = await datasets.sample();
  // The last batch is smaller than the others: it is traced when the network has been put in evaluation mode.
  const data = take(all, 70);
  const options = { epochs: 2, batchSize: 32, seed: 1 };
  const undisturbed = await trained(data, options, 0.5);
  const model = small(1, 0.5);
  for await (const event of train(model, data, options)) if (event.type === 'step') await accuracy(model.eval(), data);
  t.ok(sameWeights(model, undisturbed), 'the same weights');
});

test('train: stops when it is told to', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 64);
  const reason = new Error('enough');
  const until = async (
    signal: AbortSignal,
    seen: () => void = () => undefined,
  ): Promise<{ steps: number; error: unknown; model: nn.Module }> => {
    const model = small();
    let steps = 0;
    try {
      for await (const event of train(model, data, { epochs: 3, batchSize: 16, signal, validation: data })) {
        if (event.type === 'step') steps++;
        seen();
      }
    } catch (error) {
      return { steps, error, model };
    }
    return { steps, error: undefined, model };
  };
  const before = await until(AbortSignal.abort(reason));
  t.deepEqual([before.steps, before.error], [0, reason], 'before it starts');
  t.ok(sameWeights(before.model, small()), 'nothing has been learnt');
  t.notOk(before.model.training, 'in evaluation mode');
  const stop = new AbortController();
  let seen = 0;
  const during = await until(stop.signal, () => {
    if (++seen === 2) stop.abort(reason);
  });
  t.deepEqual([during.steps, during.error], [2, reason], 'between two steps');
  t.notOk(during.model.training, 'in evaluation mode');
  const late = new AbortController();
  const ended = await until(late.signal, () => {
    if (++seen === 2 + 4) late.abort(reason);
  });
  t.equal(ended.error, reason, 'during the validation after an epoch');

  const broken = small();
  for await (const event of train(broken, data, { epochs: 3, batchSize: 16 }))
    if (event.type === 'step' && event.step === 3) break;
  t.notOk(broken.training, 'broken out of, in evaluation mode');
  t.notOk(sameWeights(broken, small()), 'what was learnt is kept');
});

test('train: a network is trained by one training at a time', async (t) => {
  const { train: data } = await datasets.sample();
  const model = small();
  const other = () => train(model, data).next();
  const first = train(model, data, { epochs: 2 });
  await first.next();
  await refused(t, 'the same network', other, 'BUSY', 'train: expected a network that no training is changing');
  const around = new nn.Sequential(model, new nn.ReLU());
  await refused(t, 'a network around it', () => train(around, data).next(), 'BUSY', 'train: ');
  t.equal((await first.next()).done, false, 'the first goes on');
  await first.return(undefined as never);
  await finish(model, data, { epochs: 1 });
  t.pass('once it has been left, another may begin');
  await refused(
    t,
    'a training that fails',
    () => train(model, data, { signal: AbortSignal.abort(new SparringError('INTERNAL', 'stopped')) }).next(),
    'INTERNAL',
    'stopped',
  );
  await finish(model, data, { epochs: 1 });
  t.pass('lets go of the network too');
});

test('train: what it refuses', async (t) => {
  const { train: all } = await datasets.sample();
  const data = take(all, 20);
  const model = small();
  const given =
    (options: object): (() => unknown) =>
    () =>
      events(model, data, options);
  await refused(
    t,
    'a misspelt option',
    given({ epoch: 2 }),
    'INVALID_ARGUMENT',
    'train: unknown option',
    "did you mean 'epochs'?",
  );
  for (const epochs of [0, -1, 1.5, NaN])
    await refused(t, `${epochs} epochs`, given({ epochs }), 'INVALID_ARGUMENT', 'train: epochs');
  for (const batchSize of [0, 2.5])
    await refused(t, `batchSize ${batchSize}`, given({ batchSize }), 'INVALID_ARGUMENT', 'train: batchSize');
  for (const seed of [-1, 0.5]) await refused(t, `seed ${seed}`, given({ seed }), 'INVALID_ARGUMENT', 'train: seed');
  await refused(
    t,
    'an unknown method',
    given({ method: 'normall' }),
    'INVALID_ARGUMENT',
    'train: method',
    "did you mean 'normal'?",
  );
  await refused(t, 'a method that is none', given({ method: 5 }), 'INVALID_ARGUMENT', 'train: method');
  await refused(
    t,
    'an unknown optimizer',
    given({ optimizer: { name: 'adm' } }),
    'INVALID_ARGUMENT',
    'train: optimizer.name: expected one of sgd, adam',
    "did you mean 'adam'?",
  );
  await refused(
    t,
    "an optimizer's misspelt option",
    given({ optimizer: { name: 'sgd', momentun: 0.9 } }),
    'INVALID_ARGUMENT',
    'SGD: unknown option',
    "did you mean 'momentum'?",
  );
  await refused(t, 'a schedule that is none', given({ schedule: 'cosine' }), 'INVALID_ARGUMENT', 'train: schedule');
  await refused(t, 'a validation set that is none', given({ validation: [] }), 'INVALID_ARGUMENT', 'train: validation');
  await refused(
    t,
    'a network without parameters',
    () => events(new nn.Flatten(), data),
    'INVALID_ARGUMENT',
    'train: expected a network with parameters, received none',
  );
  await refused(
    t,
    'a network of other inputs',
    () => events(models.mlp({ inputs: 10, hidden: [2] }), data),
    'SHAPE_MISMATCH',
    '10 numbers',
  );
  await refused(
    t,
    'a network of fewer classes',
    () => events(models.mlp({ hidden: [2], classes: 4 }), data),
    'OUT_OF_RANGE',
    'expected classes 0 to 3',
  );
  t.ok(sameWeights(model, small()), 'the network is as it was');
  const dead = small();
  dead.dispose();
  await refused(t, 'a disposed network', () => events(dead, data), 'DISPOSED', 'disposed');

  for (const rate of [1e30, Number.MAX_VALUE]) {
    await refused(
      t,
      `a rate of ${rate}`,
      () => events(small(), data, { epochs: 3, optimizer: { name: 'sgd', rate } }),
      'NOT_FINITE',
      'train: expected a finite loss, received',
      'a lower rate than',
    );
  }
  const spoilt = fromArrays({
    inputs: new Float32Array(8).fill(1e30),
    labels: new Uint8Array(2),
    shape: [4],
    classes: 2,
    range: [0, 1e31],
  });
  const wide = new nn.Linear(4, 2, { initializer: { normal: 1e10 }, seed: 1 });
  await refused(
    t,
    'logits that overflow',
    () => events(wide, spoilt),
    'NOT_FINITE',
    'train: expected a finite loss, received',
    'at step 1',
  );
  t.notOk(wide.training, 'in evaluation mode');

  const again = new nn.Linear(4, 2, { initializer: { normal: 1e10 }, seed: 1 });
  t.ok(sameWeights(wide, again), 'with the weights from before the step');
  const momentum: OptimizerChoice = { name: 'sgd', rate: 0.1, momentum: 0.9, weightDecay: 0.1 };
  for (const [what, at, says, spoil] of [
    [
      'a loss that turns NaN',
      3,
      'train: expected a finite loss, received NaN at step 3',
      (loss: Tensor) => mul(loss, NaN),
    ],
    [
      'a finite loss with gradients that are not',
      3,
      'train: expected finite gradients, received',
      (loss: Tensor) => add(loss, sqrt(mul(loss, 0))),
    ],
  ] as const) {
    const normal = methods.normal();
    // The plan is traced anew for a batch of another size: the third and last one here.
    let sizes = 0;
    const spoiling: Method = {
      ...normal,
      prepare: (batch) => {
        const loss = normal.prepare(batch);
        return ++sizes < 2 ? loss : () => spoil(loss());
      },
    };
    const net = small();
    let kept: number[][] = [];
    await refused(
      t,
      what,
      async () => {
        for await (const { type } of train(net, data, { method: spoiling, batchSize: 8, optimizer: momentum }))
          if (type === 'step') kept = net.parameters().map((value) => [...value.data()]);
      },
      'NOT_FINITE',
      says,
      `at step ${at}`,
    );
    t.deepEqual(
      net.parameters().map((value) => [...value.data()]),
      kept,
      'the weights are those of the step before',
    );
  }
});

test('train: a schedule decides the rate', async (t) => {
  const { train: all } = await datasets.sample();
  const asked: [number, number][] = [];
  const schedule = (step: number, total: number): number => {
    asked.push([step, total]);
    return step === 1 ? 0.5 : 1;
  };
  const told = await events(small(), take(all, 30), {
    epochs: 2,
    batchSize: 20,
    schedule,
    optimizer: { name: 'sgd', rate: 0.2 },
  });
  t.deepEqual(
    asked,
    [
      [0, 4],
      [1, 4],
      [2, 4],
      [3, 4],
    ],
    'asked at each step',
  );
  t.deepEqual(
    told.filter((event): event is StepEvent => event.type === 'step').map(({ rate }) => rate),
    [0.2, 0.1, 0.2, 0.2],
    'and obeyed',
  );
  const still = await trained(take(all, 30), { schedule: schedules.steps({ at: [0], factor: 0 }) });
  t.ok(sameWeights(still, small()), 'a rate of 0 changes nothing');
});

test("train: Node's event loop goes on", async (t) => {
  const { train: data } = await datasets.sample();
  const model = models.mlp({ hidden: [300, 300], seed: 1 });
  const delays: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    delays.push(performance.now() - last - 1);
    last = performance.now();
  }, 1);
  const started = performance.now();
  await finish(model, data, { epochs: 3, batchSize: 100, method: methods.lwa({ perturbation: 'alpha' }) });
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  delays.sort((a, b) => a - b);
  t.ok(delays.length > 0, 'timers ran');
  const at = (part: number): string =>
    delays[Math.min(delays.length - 1, Math.floor(part * delays.length))]!.toFixed(1);
  t.comment(
    `15 steps of LWA in ${seconds.toFixed(1)} s: a timer of 1 ms was late by ${at(0.5)} ms in the median, ${at(0.95)} ms at the 95th percentile, ${at(1)} ms at most`,
  );
  model.dispose();
});
