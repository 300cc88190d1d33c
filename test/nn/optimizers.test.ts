import test from 'tape';
import { memory, models, nn, schedules, scope, tensor, type Tensor } from '../../src/index.js';
import { refused } from '../adversary/refused.js';

// Their arithmetic is held against PyTorch's in torch.test.ts.

test('optimizers: options', async (t) => {
  const parameters = [tensor([1, 2])];
  const before = memory();
  for (const [name, make] of [
    ['SGD', nn.SGD],
    ['Adam', nn.Adam],
  ] as const) {
    const given =
      (options: object): (() => unknown) =>
      () =>
        new make(parameters, options);
    await refused(
      t,
      `${name}: a misspelt option`,
      given({ rat: 1 }),
      'INVALID_ARGUMENT',
      `${name}: unknown option`,
      "did you mean 'rate'?",
    );
    for (const rate of [-1, NaN, Infinity])
      await refused(t, `${name}: rate ${rate}`, given({ rate }), 'INVALID_ARGUMENT', `${name}: rate`);
    await refused(t, `${name}: weightDecay`, given({ weightDecay: -1 }), 'INVALID_ARGUMENT', `${name}: weightDecay`);
  }
  await refused(t, 'momentum 1', () => new nn.SGD(parameters, { momentum: 1 }), 'INVALID_ARGUMENT', 'SGD: momentum');
  await refused(t, 'beta2 1', () => new nn.Adam(parameters, { beta2: 1 }), 'INVALID_ARGUMENT', 'Adam: beta2');
  t.deepEqual(
    [memory().tensors, memory().bytes],
    [before.tensors, before.bytes],
    'a refused optimizer leaves nothing behind',
  );
});

test('optimizers: state', async (t) => {
  const model = models.mlp({ inputs: 3, hidden: [2], classes: 2, seed: 1 });
  const optimizers: [nn.Optimizer, string[]][] = [
    [new nn.SGD(model.parameters()), ['velocity']],
    [new nn.Adam(model.parameters()), ['first', 'second']],
  ];
  for (const [optimizer, slots] of optimizers) {
    const names = slots.flatMap((slot) => model.parameters().map((_, i) => `${slot}.${i}`));
    const state = optimizer.stateDict();
    t.deepEqual(Object.keys(state), names, 'names');
    t.ok(
      Object.values(state).every((value) => value.data().every((entry) => entry === 0)),
      'starts at 0',
    );
    const numbers = (): string => JSON.stringify(Object.values(optimizer.stateDict()).map((value) => value.toArray()));
    const start = numbers();
    const filled = Object.fromEntries(
      names.map((name, i) => [name, tensor(state[name]!.data().fill(i + 1), { shape: state[name]!.shape })]),
    );
    const wrong: [string, Record<string, Tensor>, string][] = [
      ['an unknown name', { ...filled, [`${slots[0]}.99`]: tensor([1]) }, `unknown parameter '${slots[0]}.99'`],
      ['a missing name', Object.fromEntries(Object.entries(filled).slice(1)), `expected a tensor for '${names[0]}'`],
    ];
    for (const [what, given, said] of wrong) {
      await refused(
        t,
        what,
        () => {
          optimizer.loadStateDict(given);
        },
        'INVALID_ARGUMENT',
        said,
      );
      t.equal(numbers(), start, 'nothing has changed');
    }
    await refused(
      t,
      'another shape',
      () => {
        optimizer.loadStateDict({ ...filled, [names.at(-1)!]: tensor([1, 2, 3]) });
      },
      'SHAPE_MISMATCH',
      `${names.at(-1)!} expects shape [2], received [3]`,
    );
    t.equal(numbers(), start, 'nothing has changed');
    optimizer.loadStateDict(filled);
    t.deepEqual(
      Object.values(optimizer.stateDict()).map((value) => value.data()[0]),
      names.map((_, i) => i + 1),
      'a whole one is taken',
    );
    Object.values(filled).forEach((value) => {
      value.dispose();
    });
    optimizer.dispose();
    t.ok(
      Object.values(state).every((value) => value.disposed),
      'dispose frees it',
    );
  }
  t.ok(
    model.parameters().every((value) => !value.disposed),
    'and leaves the parameters alone',
  );
  model.dispose();
});

test('optimizers: a step leaves nothing behind', (t) => {
  const w = tensor([1, 2, 3]);
  const optimizer = new nn.SGD([w], { rate: 0.5, momentum: 0.5 });
  const gradient = tensor([1, 0, -1]);
  optimizer.step([gradient]);
  const before = memory();
  optimizer.step([gradient]);
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
  t.deepEqual(w.toArray(), [-0.25, 2, 4.25], 'momentum: .5, then .5 + .25 of it, times the rate');
  t.equal(optimizer.steps, 2, 'steps are counted');
  t.end();
});

test('schedules', (t) => {
  const [constant, cosine, floor, steps] = [
    schedules.constant(),
    schedules.cosine(),
    schedules.cosine({ final: 0.1 }),
    schedules.steps({ at: [0.5, 0.75] }),
  ];
  t.deepEqual(
    [0, 7].map((step) => constant(step, 8)),
    [1, 1],
    'constant',
  );
  t.deepEqual(
    [0, 4].map((step) => cosine(step, 8).toFixed(12)),
    ['1.000000000000', '0.500000000000'],
    'half a cosine',
  );
  t.ok(cosine(7, 8) > 0 && cosine(7, 8) < 0.04, 'that has not ended at the last step');
  t.deepEqual([floor(0, 8), floor(8, 8)], [1, 0.1], 'down to a floor');
  t.deepEqual(
    [0, 3, 4, 5, 6, 7].map((step) => Number(steps(step, 8).toFixed(12))),
    [1, 1, 0.1, 0.1, 0.01, 0.01],
    'steps',
  );
  t.end();
});

test('losses: the mean cross-entropy', (t) => {
  scope(() => {
    const logits = tensor(
      [
        [0, 0],
        [Math.log(3), 0],
        [200, 0],
      ],
      { dtype: 'float64' },
    );
    const loss = nn.crossEntropyLoss(logits, tensor([1, 1, 1], { dtype: 'int32' }));
    t.ok(Math.abs(loss.item() - (Math.log(2) + Math.log(4) + 200) / 3) < 1e-12, 'also of a confident mistake');
  });
  t.end();
});
