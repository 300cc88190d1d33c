import test from 'tape';
import {
  accuracy,
  accuracyCurve,
  add,
  attacks,
  concat,
  div,
  evaluate,
  fromArrays,
  models,
  mul,
  nn,
  sin,
  softmax,
  tensor,
  transferred,
  wilson,
  type AttackName,
  type Dataset,
  type Figure,
  type Target,
  type Tensor,
} from '../../src/index.js';
import { network, normNames, numbers, predictions } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { specimen } from './specimen.js';

const names = ['advLossSign', 'advLoss', 'advAlpha'] as const;

/** The inputs and labels of a data set, made by hand. */
function plain({ inputs, labels, rows, scale, shape }: Dataset): { x: Tensor; y: number[] } {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from(
    { length: rows.length * size },
    (_, i) => inputs[rows[Math.floor(i / size)]! * size + (i % size)]! * scale,
  );
  return { x: tensor(values, { shape: [rows.length, ...shape] }), y: Array.from(rows, (row) => labels[row]!) };
}

/** Numbers between 0 and 1. */
const seededInputs = (count: number): Float32Array => Float32Array.from(numbers(count, 1, 0, 1));

/** Wilson's interval by its definition: where |p - k/n| = 1.96 √(p (1 - p) / n). */
function wilsonByBisection(k: number, n: number): [number, number] {
  const z = 1.959963984540054;
  const beyond = (p: number): boolean => Math.abs(p - k / n) > z * Math.sqrt((p * (1 - p)) / n);
  const edge = (inside: number, outside: number): number => {
    for (let i = 0; i < 200; i++) {
      const middle = (inside + outside) / 2;
      if (beyond(middle)) outside = middle;
      else inside = middle;
    }
    return inside;
  };
  return [edge(k / n, 0), edge(k / n, 1)];
}

const figure = (standing: readonly boolean[]): Figure => wilson(standing.filter(Boolean).length, standing.length);

test('accuracyCurve: the two attacks by the loss share its gradient', async (t) => {
  const model = new nn.Linear(3, 2, { seed: 1 }).eval();
  let traced = 0;
  const counting = {
    forward: (x: Tensor) => {
      traced++;
      return model.forward(x);
    },
  };
  const data = fromArrays({ inputs: new Float32Array(6), labels: new Uint8Array(2), shape: [3], classes: 2 });
  await accuracyCurve(counting, data, { epsilons: [1] });
  t.equal(
    traced,
    1 + 2 + 3,
    'the guard, a gradient of the loss and one of the classes, and an evaluation for each attack',
  );
});

test('evaluate: agrees with hand counts, with the attacks, with transferred and with the curve', async (t) => {
  const { model, other, data } = await specimen();
  const { x, y } = plain(data);
  const right = (net: Target, inputs: Tensor): boolean[] => predictions(net, inputs).map((label, i) => label === y[i]);
  const clean = right(model, x);
  t.deepEqual(await accuracy(model, data), { correct: clean.filter(Boolean).length, total: 130 }, 'accuracy counts');
  for (const norm of normNames) {
    const epsilons = [0, 0.3, norm === 'linf' ? 1 : 28];
    const result = await evaluate(model, data, { epsilons, norm, attacks: [...names] });
    const curve = await accuracyCurve(model, data, { epsilons, norm });
    t.equal(result.examples, 130, `${norm}: examples`);
    t.deepEqual(result.clean, figure(clean), 'clean');
    t.deepEqual(
      result.robust.map(({ attack, epsilon, norm: by }) => `${attack} ${epsilon} ${by}`),
      epsilons.flatMap((epsilon) => names.map((name) => `${name} ${epsilon} ${norm}`)),
      'one figure each',
    );
    for (const [at, epsilon] of epsilons.entries()) {
      const stands = clean.map(() => true);
      for (const name of names) {
        const { adversarial, success, queries } = await attacks[name](model, x, y, { epsilon, norm });
        const standing = right(model, adversarial);
        standing.forEach((value, i) => (stands[i] &&= value));
        const found = result.robust.find((each) => each.attack === name && each.epsilon === epsilon)!;
        t.deepEqual(found.accuracy, figure(standing), `${name} ${epsilon}: ${found.accuracy.mean}`);
        t.deepEqual(
          standing,
          Array.from(success.data(), (value) => value === 0),
          'success is what is counted',
        );
        t.equal(
          found.queries,
          Array.from(queries.data()).reduce((sum, value) => sum + value, 0),
          'queries',
        );
        t.ok(found.seconds >= 0 && found.accuracy.mean <= result.clean.mean, 'no more than clean');
        t.deepEqual(curve[at]!.accuracy[name], found.accuracy, 'the curve');
        t.deepEqual(
          await transferred(model, model, data, { attack: name, epsilon, norm }),
          found.accuracy,
          'transferred to itself',
        );
        t.deepEqual(
          await transferred(model, other, data, { attack: name, epsilon, norm }),
          figure(right(other, adversarial)),
          'transferred to another',
        );
        [adversarial, success, queries].forEach((each) => {
          each.dispose();
        });
      }
      const worst = result.worst[at]!;
      t.equal(worst.epsilon, epsilon, 'the worst case');
      t.deepEqual(worst.accuracy, figure(stands), 'is what withstands all');
      t.ok(
        result.robust.every((each) => each.epsilon !== epsilon || worst.accuracy.mean <= each.accuracy.mean),
        'and no more than any',
      );
      if (epsilon === 0) t.deepEqual(worst.accuracy, result.clean, 'at length 0 the clean accuracy');
    }
    t.deepEqual(
      curve.map(({ epsilon }) => epsilon),
      epsilons,
      'the lengths of the curve',
    );
  }
});

test('evaluate: a wrong input that the perturbation would put right still counts as wrong', async (t) => {
  // The class changes with every half turn of 5 x: a long step from a wrong place may end in a right one.
  const waves = network((x) => concat([sin(mul(x, 5)), mul(x, 0)], { axis: 1 }));
  const data = fromArrays({ inputs: seededInputs(60), labels: new Uint8Array(60), shape: [1], classes: 2 });
  const epsilons = [0, 0.2, 0.5, 0.9];
  const { clean, robust } = await evaluate(waves, data, { epsilons, attacks: [...names] });
  t.ok(clean.mean > 0.2 && clean.mean < 0.8, `clean ${clean.mean}`);
  const curve = await accuracyCurve(waves, data, { epsilons });
  for (const { attack, epsilon, accuracy: found } of robust) {
    const point = curve.find((each) => each.epsilon === epsilon)!;
    t.deepEqual(point.accuracy[attack as (typeof names)[number]], found, `${attack}, ${epsilon}: ${found.mean}`);
    t.ok(found.mean <= clean.mean, 'no more than clean');
  }
  const { x, y } = plain(data);
  const wrong = predictions(waves, x).map((label, i) => label !== y[i]);
  const further = predictions(waves, add(x, 0.5)).filter((label, i) => wrong[i]! && label === y[i]);
  t.ok(further.length > 0, 'there are such inputs');
});

test("evaluate: intervals are Wilson's", async (t) => {
  const { model, data } = await specimen();
  const { robust, clean, worst } = await evaluate(model, data, {
    epsilons: [0.5, 28],
    attacks: ['advLoss', 'advAlpha'],
  });
  for (const { mean, low, high, n } of [
    clean,
    ...robust.map(({ accuracy: each }) => each),
    ...worst.map(({ accuracy: each }) => each),
  ]) {
    const [least, most] = wilsonByBisection(Math.round(mean * n), n);
    t.ok(n === 130 && Math.abs(low - least) < 1e-9 && Math.abs(high - most) < 1e-9, `${mean}: ${low} to ${high}`);
  }
  t.equal(worst[1]!.accuracy.low, 0, 'also where nothing withstands');
});

test('evaluate: does not depend on the batch size', async (t) => {
  const { model, other, data } = await specimen();
  for (const net of [model, other]) {
    for (const clip of [undefined, [0, 1] as [number, number]]) {
      const options = { epsilons: [0.4, 1], attacks: [...names], ...(clip && { clip }) };
      const counts = async (batchSize: number): Promise<unknown> => {
        const { clean, robust, worst } = await evaluate(net, data, { ...options, batchSize });
        return { clean, worst, robust: robust.map((each) => ({ ...each, seconds: 0 })) };
      };
      const whole = await counts(500);
      for (const batchSize of [1, 7, 13]) t.deepEqual(await counts(batchSize), whole, `batches of ${batchSize}`);
    }
    const curve = await accuracyCurve(net, data, { epsilons: [0, 0.4, 1] });
    for (const batchSize of [1, 7, 130])
      t.deepEqual(
        await accuracyCurve(net, data, { epsilons: [0, 0.4, 1], batchSize }),
        curve,
        `the curve, batches of ${batchSize}`,
      );
    t.deepEqual(await accuracy(net, data, { batchSize: 7 }), await accuracy(net, data), 'accuracy');
    const fixed = { attack: 'advLoss' as const, epsilon: 0.5 };
    t.deepEqual(
      await transferred(net, model, data, { ...fixed, batchSize: 3 }),
      await transferred(net, model, data, fixed),
      'transferred',
    );
  }
});

test('evaluate: progress, and stopping', async (t) => {
  const { model, data } = await specimen();
  const told: [number, number, string][] = [];
  await evaluate(model, data, {
    epsilons: [0.1],
    attacks: ['advLoss', 'advAlpha'],
    batchSize: 6,
    onProgress: (done, total, what) => told.push([done, total, what]),
  });
  for (const name of ['advLoss', 'advAlpha']) {
    const done = told.filter(([, , what]) => what === name).map(([count]) => count);
    t.deepEqual(
      done,
      [...Array.from({ length: 21 }, (_, i) => 6 * (i + 1)), 130],
      `${name}: after each batch, across the chunks`,
    );
  }
  t.ok(
    told.every(([, total]) => total === 130),
    'of all',
  );
  const along: [number, number][] = [];
  await accuracyCurve(model, data, {
    epsilons: [0],
    batchSize: 50,
    onProgress: (done, total) => along.push([done, total]),
  });
  t.deepEqual(
    along,
    [
      [50, 130],
      [100, 130],
      [130, 130],
    ],
    'the curve',
  );

  const reason = new Error('enough');
  const ends = async (
    run: (signal: AbortSignal, stop: () => void) => Promise<unknown>,
  ): Promise<[unknown, unknown]> => {
    const after = new AbortController();
    const outcome = (signal: AbortSignal): Promise<unknown> =>
      run(signal, () => {
        after.abort(reason);
      }).then(
        () => 'it went on',
        (error: unknown) => error,
      );
    return [await outcome(AbortSignal.abort(reason)), await outcome(after.signal)];
  };
  const options = { epsilons: [0.1], batchSize: 20 };
  t.deepEqual(
    await ends((signal, stop) => evaluate(model, data, { ...options, signal, onProgress: stop })),
    [reason, reason],
    'evaluate, before and during',
  );
  t.deepEqual(
    await ends((signal, stop) => accuracyCurve(model, data, { ...options, signal, onProgress: stop })),
    [reason, reason],
    'the curve',
  );
  t.deepEqual(
    await ends((signal, stop) =>
      transferred(model, model, data, { attack: 'advLoss', epsilon: 0.1, batchSize: 20, signal, onProgress: stop }),
    ),
    [reason, reason],
    'transferred',
  );
  t.equal(
    await accuracy(model, data, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error),
    reason,
    'accuracy',
  );
});

test('evaluate: what it refuses', async (t) => {
  const { model, data } = await specimen();
  const training = models.mlp({ hidden: [4], seed: 1 });
  const probabilities = network((x) => softmax(model.forward(x)));
  const spoilt = models.mlp({ hidden: [], seed: 1 }).eval();
  spoilt.loadStateDict({
    '0.weight': tensor(new Float32Array(7840).fill(NaN), { shape: [10, 784] }),
    '0.bias': tensor(new Float32Array(10)),
  });
  const few = models.mlp({ hidden: [4], classes: 5, seed: 1 }).eval();
  const narrow = models.mlp({ inputs: 10, hidden: [4], seed: 1 }).eval();
  const epsilons = [0.1];

  const calls: [string, (net: Target, options?: object) => Promise<unknown>][] = [
    ['evaluate', (net, options) => evaluate(net, data, { epsilons, ...options })],
    ['accuracyCurve', (net, options) => accuracyCurve(net, data, { epsilons, ...options })],
    ['transferred', (net, options) => transferred(net, net, data, { attack: 'advLoss', epsilon: 0.1, ...options })],
  ];
  for (const [name, call] of calls) {
    await refused(
      t,
      `${name}: training mode`,
      () => call(training),
      'TRAINING_MODE',
      `${name}: expected a network in evaluation mode`,
    );
    await refused(
      t,
      `${name}: probabilities`,
      () => call(probabilities),
      'INVALID_ARGUMENT',
      'expected logits, received probabilities',
    );
    await refused(
      t,
      `${name}: logits that are not finite`,
      () => call(spoilt),
      'NOT_FINITE',
      'expected finite logits, received NaN for input 0',
    );
    await refused(t, `${name}: fewer classes than labels`, () => call(few), 'OUT_OF_RANGE', '0 to 4');
    await refused(t, `${name}: other inputs`, () => call(narrow), 'SHAPE_MISMATCH', '10 numbers');
    await refused(
      t,
      `${name}: a misspelt option`,
      () => call(model, { batchsize: 3 }),
      'INVALID_ARGUMENT',
      'unknown option',
      "did you mean 'batchSize'?",
    );
    await refused(
      t,
      `${name}: an unknown norm`,
      () => call(model, { norm: 'L2' }),
      'INVALID_ARGUMENT',
      "did you mean 'l2'?",
    );
    await refused(
      t,
      `${name}: batches of nothing`,
      () => call(model, { batchSize: 0 }),
      'INVALID_ARGUMENT',
      'batchSize: expected a whole number of at least 1, received 0',
    );
  }
  for (const [name, call] of calls.slice(0, 2)) {
    await refused(
      t,
      `${name}: no lengths`,
      () => call(model, { epsilons: [] }),
      'INVALID_ARGUMENT',
      `${name}: epsilons: expected at least one length, received none`,
    );
    await refused(
      t,
      `${name}: lengths left out`,
      () => call(model, { epsilons: undefined }),
      'INVALID_ARGUMENT',
      `${name}: epsilons`,
      'received undefined',
    );
    for (const value of [-1, NaN, Infinity])
      await refused(
        t,
        `${name}: a length of ${value}`,
        () => call(model, { epsilons: [0, value] }),
        'INVALID_ARGUMENT',
        `${name}: epsilons.1: expected`,
        `received ${value}`,
      );
  }
  await refused(
    t,
    'an unknown attack',
    () => evaluate(model, data, { epsilons, attacks: ['advAlfa' as AttackName] }),
    'INVALID_ARGUMENT',
    'evaluate: attacks.0',
    "did you mean 'advAlpha'?",
  );
  await refused(
    t,
    'an unknown attack',
    () => transferred(model, model, data, { attack: 'advLos' as AttackName, epsilon: 1 }),
    'INVALID_ARGUMENT',
    'transferred: attack',
    "did you mean 'advLoss'?",
  );
  await refused(
    t,
    'inputs outside the range',
    () => evaluate(model, data, { epsilons, clip: [0, 0.5] }),
    'OUT_OF_RANGE',
    'expected inputs between 0 and 0.5 (the clip range)',
  );
  await refused(
    t,
    'accuracy: a misspelt option',
    () => accuracy(model, data, { batchsize: 1 } as object),
    'INVALID_ARGUMENT',
    'accuracy: unknown option',
    "did you mean 'batchSize'?",
  );
  await refused(
    t,
    'accuracy: batches of nothing',
    () => accuracy(model, data, { batchSize: 0 }),
    'INVALID_ARGUMENT',
    'accuracy: batchSize',
  );
  await refused(
    t,
    'a target in training mode',
    () => transferred(model, training, data, { attack: 'advLoss', epsilon: 1 }),
    'TRAINING_MODE',
    'transferred',
  );

  // One spoilt example far behind the first ones.
  const inputs = new Float32Array(40 * 2).fill(0.5);
  inputs[70] = 0;
  const late = fromArrays({ inputs, labels: new Uint8Array(40), shape: [2], classes: 2 });
  const inverse = network((x) => div(-1, x));
  await refused(
    t,
    'a late infinity',
    () => accuracyCurve(inverse, late, { epsilons }),
    'NOT_FINITE',
    'accuracyCurve: expected finite logits',
    'for input 35',
  );
});
