import test from 'tape';
import {
  add,
  attacks,
  cast,
  concat,
  greater,
  log,
  models,
  mul,
  nn,
  scope,
  slice,
  softmax,
  tensor,
  uniform,
  where,
  type Attack,
  type AttackOptions,
  type DefinedAttack,
  type DistanceResult,
  type Tensor,
} from '../../src/index.js';
import { dense, inputs, linearNetwork, network, predictions, rowsOf } from './networks.js';
import { quick } from './quick.js';
import { refused } from './refused.js';

// What would make a robustness figure wrong in silence is refused, with what was expected and what was received.

type AnyAttack = DefinedAttack<AttackOptions & { epsilon: number }>;

const all = Object.entries(attacks as unknown as Record<string, AnyAttack>);
const epsilon = 0.1;

for (const [name, plain] of all) {
  const { norms } = plain;
  const attack: Attack<AttackOptions & { epsilon: number }> = (model, x, y, options) =>
    plain(model, x, y, { ...quick[name], ...options! });

  test(`guards: ${name}`, async (t) => {
    const model = dense(4, 3, 1);
    const x = uniform([5, 4], { seed: 1 });
    const y = [0, 1, 2, 0, 1];
    const given =
      (options: object): (() => unknown) =>
      () =>
        attack(model, x, y, { epsilon, ...options });

    const training = dense(4, 3, 1).train();
    await refused(
      t,
      'training mode',
      () => attack(training, x, y, { epsilon }),
      'TRAINING_MODE',
      name,
      'expected a network in evaluation mode',
      'model.eval()',
    );
    await refused(
      t,
      'dropout in training mode',
      () => attack(models.mlp({ inputs: 4, classes: 3, hidden: [4], dropout: 0.5 }), x, y, { epsilon }),
      'TRAINING_MODE',
      name,
    );
    const mixed = models.mlp({ inputs: 4, classes: 3, hidden: [4], dropout: 0.5 }).eval();
    mixed.layers[2]!.train();
    await refused(t, 'a part in training mode', () => attack(mixed, x, y, { epsilon }), 'TRAINING_MODE', name);
    training.dispose();
    await refused(
      t,
      'probabilities',
      () =>
        attack(
          network((input) => softmax(model.forward(input))),
          x,
          y,
          { epsilon },
        ),
      'INVALID_ARGUMENT',
      name,
      'expected logits, received probabilities',
    );
    await refused(
      t,
      'probabilities of one input',
      () =>
        attack(
          network((input) => softmax(model.forward(input))),
          inputs([[1, 2, 3, 4]]),
          [0],
          { epsilon },
        ),
      'INVALID_ARGUMENT',
      'probabilities',
    );
    await refused(
      t,
      'one logit',
      () => attack(linearNetwork([[1, 2, 3, 4]], [0]), x, y, { epsilon }),
      'SHAPE_MISMATCH',
      name,
      'logits [B, K] with K of at least 2',
      'received [5,1]',
    );
    await refused(
      t,
      'logits of one input for all',
      () =>
        attack(
          network((input) => model.forward(slice(input, [0], [1]))),
          x,
          y,
          { epsilon },
        ),
      'SHAPE_MISMATCH',
      name,
      'a row of logits for each of 5 inputs, received [1,3]',
    );
    await refused(
      t,
      'whole numbers as logits',
      () =>
        attack(
          network((input) => cast(model.forward(input), 'int32')),
          x,
          y,
          { epsilon },
        ),
      'DTYPE_MISMATCH',
      name,
      'expected logits of float32 or float64, received int32',
    );
    for (const [label, told] of [
      ['1', '"1"'],
      [1n, '1'],
      [undefined, 'undefined'],
    ] as const) {
      const odd = [0, label, 2, 0, 1] as unknown as number[];
      await refused(
        t,
        `labels that are ${typeof label}`,
        () => attack(model, x, odd, { epsilon }),
        'OUT_OF_RANGE',
        `${name}: expected labels that are whole numbers, received ${told} for input 1`,
      );
    }
    await refused(
      t,
      'features instead of logits',
      () =>
        attack(
          network((input) => input),
          uniform([2, 3, 4], { seed: 1 }),
          [0, 1],
          { epsilon },
        ),
      'SHAPE_MISMATCH',
      'received [2,3,4]',
    );

    const bad = (value: number, row: number): Tensor =>
      inputs(Array.from({ length: 5 }, (_, i) => [0, 0, i === row ? value : 0, 1]));
    for (const value of [NaN, Infinity, -Infinity]) {
      await refused(
        t,
        `an input of ${value}`,
        () => attack(model, bad(value, 3), y, { epsilon }),
        'NOT_FINITE',
        name,
        'expected finite inputs',
        `received ${value} in input 3`,
      );
      await refused(
        t,
        `an input of ${value} in a range`,
        () => attack(model, bad(value, 3), y, { epsilon, clip: [0, Infinity] }),
        'NOT_FINITE',
        `received ${value} in input 3`,
      );
    }
    for (const value of [-0.25, 1.5, 255]) {
      await refused(
        t,
        `an input of ${value}`,
        () => attack(model, bad(value, 2), y, { epsilon, clip: [0, 1] }),
        'OUT_OF_RANGE',
        name,
        'expected inputs between 0 and 1 (the clip range)',
        `received ${value} in input 2`,
      );
    }
    const edge = await attack(model, inputs([[0.1, 0.3, 0.1, 0.3]]), [0], { epsilon, clip: [0.1, 0.3] });
    t.equal(edge.success.shape[0], 1, 'the bounds themselves are inside, also as float32 rounds them');

    await refused(
      t,
      'a label beyond the classes',
      () => attack(model, x, [0, 1, 2, 3, 0], { epsilon }),
      'OUT_OF_RANGE',
      name,
      'expected labels 0 to 2, received 3 for input 3',
    );
    await refused(
      t,
      'a negative label',
      () => attack(model, x, [0, 1, 2, 0, -1], { epsilon }),
      'OUT_OF_RANGE',
      'received -1 for input 4',
    );
    for (const label of [1.5, NaN, 2 ** 32]) {
      await refused(
        t,
        `a label of ${label}`,
        () => attack(model, x, [0, label, 2, 0, 1], { epsilon }),
        'OUT_OF_RANGE',
        name,
        'whole numbers',
        `received ${label} for input 1`,
      );
    }
    await refused(
      t,
      'too few labels',
      () => attack(model, x, [0, 1], { epsilon }),
      'SHAPE_MISMATCH',
      name,
      'expected int32 labels [5], received int32 [2]',
    );
    await refused(
      t,
      'labels in rows',
      () => attack(model, x, tensor(Int32Array.of(0, 1, 2, 0, 1), { shape: [5, 1] }), { epsilon }),
      'SHAPE_MISMATCH',
      'received int32 [5,1]',
    );
    await refused(
      t,
      'float labels',
      () => attack(model, x, tensor([0, 1, 2, 0, 1]), { epsilon }),
      'SHAPE_MISMATCH',
      name,
      'received float32 [5]',
    );
    await refused(
      t,
      'an empty batch',
      () => attack(model, uniform([0, 4], { seed: 1 }), [], { epsilon }),
      'SHAPE_MISMATCH',
      name,
      'at least one input',
      '[0,4]',
    );
    await refused(
      t,
      'an input without a batch',
      () => attack(model, uniform([4], { seed: 1 }), [0, 1, 2, 0], { epsilon }),
      'SHAPE_MISMATCH',
      name,
      '[4]',
    );
    await refused(
      t,
      'bytes',
      () => attack(model, tensor(new Uint8Array(20), { shape: [5, 4] }), y, { epsilon }),
      'DTYPE_MISMATCH',
      name,
      'expected inputs of float32 or float64, received uint8',
    );
    await refused(
      t,
      'inputs of another width',
      () => attack(model, uniform([5, 7], { seed: 1 }), y, { epsilon }),
      'SHAPE_MISMATCH',
      '4 numbers',
      '[5,7]',
    );
    await refused(
      t,
      'inputs of another dtype than the network',
      () => attack(dense(4, 3, 1).to('float64'), x, y, { epsilon }),
      'DTYPE_MISMATCH',
      'float32',
      'float64',
    );

    await refused(
      t,
      'a misspelt option',
      given({ epsilonn: 1 }),
      'INVALID_ARGUMENT',
      name,
      'unknown option',
      "received 'epsilonn'",
      "did you mean 'epsilon'?",
    );
    await refused(
      t,
      'another misspelt option',
      given({ batchsize: 1 }),
      'INVALID_ARGUMENT',
      "did you mean 'batchSize'?",
    );
    for (const value of [-0.1, Infinity, 1e39])
      await refused(
        t,
        `epsilon ${value}`,
        given({ epsilon: value }),
        'INVALID_ARGUMENT',
        `${name}: epsilon: expected a length of 0 to 1e+30, received ${value}`,
      );
    await refused(
      t,
      'an epsilon of another scale',
      given({ epsilon: 12.75, clip: [0, 1] }),
      'OUT_OF_RANGE',
      `${name}: epsilon: expected at most`,
      'diameter of inputs between 0 and 1, received 12.75; if it counts 255ths of the range, give 0.05',
    );
    await refused(t, 'epsilon NaN', given({ epsilon: NaN }), 'INVALID_ARGUMENT', `${name}: epsilon`, 'received NaN');
    await refused(
      t,
      'epsilon as text',
      given({ epsilon: '1' }),
      'INVALID_ARGUMENT',
      `${name}: epsilon: expected number, received "1"`,
    );
    for (const value of [0, -3, 2.5, Infinity])
      await refused(
        t,
        `batchSize ${value}`,
        given({ batchSize: value }),
        'INVALID_ARGUMENT',
        `${name}: batchSize: expected a whole number of at least 1, received ${value}`,
      );
    await refused(
      t,
      'an unknown norm',
      given({ norm: 'l3' }),
      'INVALID_ARGUMENT',
      `${name}: norm: expected one of ${norms.join(', ')}, received 'l3'`,
      ...(norms[0] === 'linf' ? [] : [`did you mean '${norms[0]}'?`]),
    );
    await refused(
      t,
      'a range the wrong way round',
      given({ clip: [1, 0] }),
      'INVALID_ARGUMENT',
      `${name}: clip: expected [low, high] with low < high, received [1, 0]`,
    );
    await refused(
      t,
      'a range with NaN',
      given({ clip: [0, NaN] }),
      'INVALID_ARGUMENT',
      `${name}: clip`,
      'received NaN',
    );
    await refused(
      t,
      'a signal that is none',
      given({ signal: {} }),
      'INVALID_ARGUMENT',
      `${name}: signal`,
      'AbortSignal',
    );
    await refused(
      t,
      'progress that is no function',
      given({ onProgress: 1 }),
      'INVALID_ARGUMENT',
      `${name}: onProgress: expected`,
    );

    const gone = scope(() => uniform([5, 4], { seed: 1 }));
    gone.dispose();
    await refused(t, 'disposed inputs', () => attack(model, gone, y, { epsilon }), 'DISPOSED', 'disposed');
    const labels = tensor(Int32Array.of(0, 1, 2, 0, 1));
    labels.dispose();
    await refused(t, 'disposed labels', () => attack(model, x, labels, { epsilon }), 'DISPOSED', 'disposed');
    const dead = dense(4, 3, 1);
    dead.dispose();
    await refused(t, 'a disposed network', () => attack(dead, x, y, { epsilon }), 'DISPOSED', 'disposed');
  });

  test(`guards: ${name} finds logits that are not finite in every batch`, async (t) => {
    // log of a negative number, of 0, and an overflow; in the first inputs and far behind them.
    const spoilt = network((x) => concat([log(slice(x, [0, 0], [x.shape[0]!, 1])), slice(x, [0, 1])], { axis: 1 }));
    for (const [value, logit] of [
      [-1, 'NaN'],
      [0, '-Infinity'],
    ] as const) {
      for (const row of [2, 20, 39]) {
        for (const batchSize of [6, 500]) {
          const x = inputs(Array.from({ length: 40 }, (_, i) => [i === row ? value : 2, -0.5, 0.25]));
          await refused(
            t,
            `${logit} at ${row}`,
            () => attack(spoilt, x, new Int32Array(40), { epsilon, batchSize }),
            'NOT_FINITE',
            `${name}: expected finite logits, received ${logit} for input ${row}`,
          );
        }
      }
    }
    await refused(
      t,
      'weights of NaN',
      () =>
        attack(
          linearNetwork(
            [
              [NaN, 0],
              [0, 1],
            ],
            [0, 0],
          ),
          inputs([[1, 1]]),
          [0],
          { epsilon },
        ),
      'NOT_FINITE',
      name,
      'expected finite logits, received NaN for input 0',
    );
  });

  test(`guards: ${name} does not take logits that are not finite for a success`, async (t) => {
    // Logits 0 and x_0 - 5; beyond .6 in the first entry the second, or both, are logarithms of negative numbers.
    for (const label of [0, 1]) {
      const brittle = network((x) => {
        const first = slice(x, [0, 0], [x.shape[0]!, 1]);
        const sound = where(greater(first, 0.6), log(mul(first, -1)), add(first, -5));
        return concat(label === 0 ? [mul(first, 0), sound] : [sound, mul(first, 0)], { axis: 1 });
      });
      const x = inputs([
        [0.55, 0],
        [0.1, 0],
      ]);
      const options = {
        epsilon: 0.2,
        clip: [0, 1] as [number, number],
        norm: norms.includes('linf') ? 'linf' : norms[0]!,
      };
      for (const led of ['fmn', 'ddn'].includes(name) ? [{}, { targets: 1 }] : [{}]) {
        const result = await attack(brittle, x, [label, label], { ...options, ...led });
        t.deepEqual(Array.from(result.success.data()), [0, 0], `label ${label}: none succeeds`);
        const distance = (result as Partial<DistanceResult>).distance;
        if (distance) t.deepEqual(Array.from(distance.data()), [Infinity, Infinity], 'nor is one found at a distance');
        const unsound = rowsOf(brittle.forward(result.adversarial)).map((row) => row.some(Number.isNaN));
        const failed = Array.from(result.failed!.data());
        t.ok(
          unsound.every((each, i) => !each || failed[i] === 1),
          `and what is not finite is told: ${failed.join()}`,
        );
        // The others do not go there within a few steps.
        const goThere = [
          'fgm',
          'advLoss',
          'advAlpha',
          'minimal',
          'pgd',
          'apgd',
          'apgdT',
          'autoAttack',
          'deepFool',
          'fab',
          'ddn',
          'fmn',
        ];
        if (goThere.includes(name)) t.equal(failed[0], 1, 'the first fails');
      }
    }
  });

  test(`guards: ${name} stops when it is told to, with the reason it was given`, async (t) => {
    const model = dense(4, 3, 1);
    const x = uniform([9, 4], { seed: 1 });
    const y = predictions(model, x);
    const reason = new Error('enough');
    const outcome = async (signal: AbortSignal, more: object = {}): Promise<unknown> =>
      attack(model, x, y, { epsilon, signal, ...more }).then(
        () => 'it went on',
        (error: unknown) => error,
      );
    t.equal(await outcome(AbortSignal.abort(reason)), reason, 'before');
    const during = new AbortController();
    let batches = 0;
    const onProgress = (): void => {
      if (++batches === 2) during.abort(reason);
    };
    t.equal(await outcome(during.signal, { batchSize: 2, onProgress }), reason, 'between batches');
    t.equal(batches, 2, 'no batch after it');
    const late = new AbortController();
    await attack(model, x, y, { epsilon, signal: late.signal, batchSize: 2 });
    late.abort(reason);
    t.pass('an abort after the end is nothing');
    t.equal(((await outcome(AbortSignal.abort())) as Error).name, 'AbortError', 'the default reason');
    const failing = new Error('the progress bar broke');
    t.equal(
      await outcome(new AbortController().signal, {
        onProgress: () => {
          throw failing;
        },
      }),
      failing,
      "a callback's error is passed on",
    );
  });
}

test('guards: options of minimal', async (t) => {
  const model = dense(4, 3, 1);
  const given =
    (options: object): (() => unknown) =>
    () =>
      attacks.minimal(model, inputs([[1, 2, 3, 4]]), [0], options);
  for (const steps of [0, 1.5])
    await refused(
      t,
      `${steps} steps`,
      given({ steps }),
      'INVALID_ARGUMENT',
      `minimal: steps: expected a whole number of at least 1, received ${steps}`,
    );
  await refused(
    t,
    'steps of the probabilities',
    given({ steps: 2, linearize: 'probabilities' }),
    'INVALID_ARGUMENT',
    "minimal: steps: expected 1 with linearize 'probabilities', received 2",
    "linearize 'logits' to iterate",
  );
  for (const overshoot of [-1, Infinity, 1e30])
    await refused(
      t,
      `overshoot ${overshoot}`,
      given({ overshoot }),
      'INVALID_ARGUMENT',
      'minimal: overshoot: expected',
      `received ${overshoot}`,
    );
  await refused(
    t,
    'linearize',
    given({ linearize: 'logit' }),
    'INVALID_ARGUMENT',
    "minimal: linearize: expected one of probabilities, logits, received 'logit'",
    "did you mean 'logits'?",
  );
  t.ok((await given({})()) !== undefined, 'none are needed');
  await refused(
    t,
    'no epsilon where one is needed',
    () => attacks.advLoss(model, inputs([[1, 2, 3, 4]]), [0], {} as { epsilon: number }),
    'INVALID_ARGUMENT',
    'advLoss: epsilon',
  );
});

test('guards: a network that looks like probabilities only by chance is let through', async (t) => {
  // The first of these rows sums to 1; the others show that they are logits.
  const model = new nn.Linear(2, 2).eval();
  model.loadStateDict({
    weight: tensor([
      [1, 0],
      [0, 1],
    ]),
    bias: tensor([0, 0]),
  });
  const { success } = await attacks.advLoss(
    model,
    inputs([
      [0.25, 0.75],
      [2, 1],
      [0.5, 3],
    ]),
    [1, 0, 1],
    { epsilon },
  );
  t.equal(success.shape[0], 3, 'logits');
});
