import test from 'tape';
import {
  add,
  attacks,
  concat,
  datasets,
  div,
  evaluate,
  fromArrays,
  greater,
  log,
  models,
  mul,
  slice,
  tensor,
  where,
  wilson,
  type AttackChoice,
  type AttackEntry,
  type BudgetedOptions,
  type Evaluation,
  type Figure,
  type RobustFigure,
} from '../../src/index.js';
import { length, moves, network, predictions } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { Examples } from '../../src/training/examples.js';
import { specimen } from './specimen.js';

const deepFool = ['minimal', { linearize: 'logits', steps: 50 }] as const;

/** What an attack of the tests is asked. */
interface Asked extends Required<Pick<BudgetedOptions, 'rows' | 'epsilon' | 'norm' | 'batchSize'>> {
  colour: string;
  targets: Int32Array;
}

const figureOf = ({ robust }: Evaluation, attack: string, epsilon: number): RobustFigure =>
  robust.find((figure) => figure.attack === attack && figure.epsilon === epsilon)!;

/** The figures, without times. */
const timeless = ({ clean, worst, robust, cost, flags }: Evaluation): unknown => ({
  clean,
  worst,
  flags,
  robust: robust.map((each) => ({ ...each, seconds: 0 })),
  cost: { ...cost, seconds: 0 },
});

const count = (standing: ArrayLike<number>): Figure =>
  wilson(
    Array.from(standing).reduce((sum, each) => sum + each, 0),
    standing.length,
  );

test('evaluate: distance attacks run once, and their distances give the whole curve', async (t) => {
  const { model, data } = await specimen();
  const epsilons = [0, 0.3, 1, 3];
  const result = await evaluate(model, data, { epsilons, attacks: ['advLoss', deepFool] });
  const examples = new Examples(data);
  const { x, y } = examples.batch(tensor(data.rows));
  const { adversarial, queries } = await attacks.minimal(model, x, y, { linearize: 'logits', steps: 50 });
  const [labels, clean, after] = [y.data(), predictions(model, x), predictions(model, adversarial)];
  const far = moves(x, adversarial).map(length.l2);
  const distances = far.map((each, i) => (clean[i] !== labels[i] ? 0 : after[i] === labels[i] ? Infinity : each));
  t.deepEqual(
    Array.from(result.outcomes.distances[0]!.distances, (each) => each.toFixed(6)),
    distances.map((each) => each.toFixed(6)),
    'the distance of each example, measured by hand',
  );
  for (const epsilon of epsilons) {
    const { accuracy, distance, queries: all } = figureOf(result, 'minimal', epsilon);
    t.deepEqual(accuracy, wilson(distances.filter((each) => each > epsilon).length, 130), `accuracy at ${epsilon}`);
    t.ok(distance && all === Array.from(queries.data()).reduce((sum, each) => sum + each, 0), 'the cost of one run');
  }
  const sorted = distances.filter((_, i) => clean[i] === labels[i]).sort((a, b) => a - b);
  const [summary] = result.distances;
  t.equal(summary!.examples, sorted.length, 'of those that are right');
  t.ok(Math.abs(summary!.median! - sorted[Math.ceil(sorted.length / 2) - 1]!) < 1e-6, `median ${summary!.median}`);
  t.ok(
    summary!.quantiles.every(
      ({ part, distance }) => Math.abs(distance! - sorted[Math.ceil(part * sorted.length) - 1]!) < 1e-6,
    ),
    'quantiles',
  );
  t.equal(result.cost.backwards, 130 + result.robust.filter((each) => each.distance)[0]!.backwards + 3 * 130);
  examples.dispose();
});

test('evaluate: each attack on the survivors only', async (t) => {
  const { model, data } = await specimen();
  const chosen: AttackChoice[] = ['advLossSign', 'advLoss', deepFool, 'advAlpha'];
  const options = { epsilons: [0.4, 0.9], attacks: chosen, clip: [0, 1] as [number, number] };
  const all = await evaluate(model, data, options);
  const fewer = await evaluate(model, data, { ...options, survivorsOnly: true });
  t.deepEqual(fewer.worst, all.worst, 'what withstands all is the same');
  const labels = ['advLossSign', 'advLoss', 'minimal', 'advAlpha'];
  for (const epsilon of options.epsilons) {
    let standing = Array.from(all.outcomes.clean);
    let before = standing.filter((each) => each === 1).length;
    for (const label of labels) {
      const figure = figureOf(fewer, label, epsilon);
      if (!figure.distance) t.equal(figure.attacked, before, `${label} ${epsilon} sees what is left`);
      const alone = all.outcomes.robust.find((each) => each.attack === label && each.epsilon === epsilon)!.standing;
      standing = standing.map((each, i) => each & alone[i]!);
      t.deepEqual(figure.accuracy, count(standing), 'and what it leaves is counted with those before it');
      before = standing.filter((each) => each === 1).length;
    }
  }
  const alone = figureOf(fewer, 'minimal', 0.4);
  const either = all.outcomes.robust.filter(({ attack }) => attack === 'advLossSign' || attack === 'advLoss');
  const union = Array.from(all.outcomes.clean).filter(
    (right, i) =>
      right === 1 &&
      options.epsilons.some((epsilon) => either.every((each) => each.epsilon !== epsilon || each.standing[i] === 1)),
  );
  t.equal(alone.attacked, union.length, 'a distance attack sees what stands at any length');
  t.ok(fewer.cost.queries < all.cost.queries, 'cheaper');
});

test('evaluate: nothing depends on the batch size', async (t) => {
  const { model, other, data } = await specimen();
  for (const survivorsOnly of [false, true]) {
    const options = {
      epsilons: [0.4, 1],
      survivorsOnly,
      attacks: ['advLoss', deepFool, { name: 'advAlpha', source: other, label: 'from another' }] as AttackChoice[],
    };
    const whole = await evaluate(model, data, options);
    for (const batchSize of [3, 40]) {
      const again = await evaluate(model, data, { ...options, batchSize });
      const { distances, outcomes } = again;
      const { outcomes: expected } = whole;
      t.deepEqual(timeless(again), timeless(whole), `batches of ${batchSize}`);
      t.deepEqual(outcomes.robust, expected.robust, 'the same examples');
      const gap = outcomes.distances[0]!.distances.map((each, i) => {
        const other = expected.distances[0]!.distances[i]!;
        return each === other || (Number.isNaN(each) && Number.isNaN(other)) ? 0 : Math.abs(each - other);
      });
      t.ok(Math.max(...gap) < 1e-5, `distances to ${Math.max(...gap)}`);
      t.ok(Math.abs(distances[0]!.median! - whole.distances[0]!.median!) < 1e-5, 'median');
    }
  }
});

test('evaluate: attacks with options, of one’s own, and from another network', async (t) => {
  const { model, other, data } = await specimen();
  const seen: unknown[] = [];
  const mine: AttackEntry = {
    name: 'mine',
    attack: (net, x, y, { colour, rows, epsilon, norm, targets, batchSize }: Asked) => {
      seen.push({ colour, rows, epsilon, norm, targets, batchSize });
      return attacks.advLoss(net, x, y, { epsilon, norm, rows });
    },
    options: { colour: 'red', targets: Array.from({ length: 130 }, (_, i) => i % 10) },
  };
  const result = await evaluate(model, data, {
    epsilons: [0.5],
    batchSize: 7,
    attacks: [['advLoss', {}], mine, { name: 'advLoss', source: other, label: 'fixed' }],
  });
  t.deepEqual(
    result.robust.map(({ attack, blackBox }) => [attack, blackBox]),
    [
      ['advLoss', false],
      ['mine', false],
      ['fixed', true],
    ],
  );
  t.deepEqual(result.robust[0]!.accuracy, result.robust[1]!.accuracy, 'the same attack in other clothes');
  t.deepEqual(
    seen,
    [
      [0, 70],
      [70, 130],
    ].map(([start, end]) => ({
      colour: 'red',
      rows: data.rows.slice(start, end),
      epsilon: 0.5,
      norm: 'l2',
      targets: Int32Array.from({ length: end! - start! }, (_, i) => (start! + i) % 10),
      batchSize: 7,
    })),
    'it is given its options, the numbers and the targets of its examples',
  );
  const examples = new Examples(data);
  const { x, y } = examples.batch(tensor(data.rows));
  const { adversarial } = await attacks.advLoss(other, x, y, { epsilon: 0.5 });
  const [labels, clean, after] = [y.data(), predictions(model, x), predictions(model, adversarial)];
  t.deepEqual(
    result.robust[2]!.accuracy,
    wilson(after.filter((label, i) => label === labels[i] && clean[i] === labels[i]).length, 130),
    'inputs made on the one network, counted on the other',
  );
  examples.dispose();
});

test('evaluate: one bad example is told, and does not end the run', async (t) => {
  const inputs = Float32Array.from({ length: 40 * 2 }, (_, i) => 0.3 + (i % 7) / 20);
  inputs[70] = 0;
  const data = fromArrays({ inputs, labels: new Uint8Array(40), shape: [2], classes: 2 });
  const inverse = network((x) => div(-1, x));
  const { flags, notFinite, clean, robust, outcomes } = await evaluate(inverse, data, {
    epsilons: [0.01],
    attacks: ['advLoss'],
    diagnose: false,
  });
  t.deepEqual(notFinite, [35]);
  t.deepEqual(flags[0]!.evidence, { count: 1, rows: [35] });
  t.equal(flags[0]!.name, 'notFinite');
  t.deepEqual([outcomes.clean[35], outcomes.robust[0]!.standing[35]], [0, 0], 'it counts as wrong');
  t.deepEqual([clean.n, robust[0]!.attacked], [40, 39], 'the others are attacked');

  const picky: AttackEntry = {
    name: 'picky',
    attack: (net, x, y, { rows, ...options }: { rows: Int32Array; epsilon: number }) =>
      rows.includes(7)
        ? attacks.advLoss(net, div(x, 0), y, options) // not finite, and refused as such
        : attacks.advLoss(net, x, y, options),
  };
  const shy = await evaluate(inverse, data, { epsilons: [0.01], attacks: [picky], diagnose: false });
  t.deepEqual(shy.notFinite, [7, 35], 'what an attack reports is found among its company');
  t.equal(
    shy.outcomes.robust[0]!.standing.filter((each) => each === 1).length,
    robust[0]!.accuracy.mean * 40 - outcomes.robust[0]!.standing[7]!,
    'and the others have their result',
  );

  // Logits 0 and x_0 - 5; beyond .6 in the first entry, where an attack leads the largest, the second is not a number.
  const brittle = network((x) => {
    const one = slice(x, [0, 0], [x.shape[0]!, 1]);
    return concat([mul(one, 0), where(greater(one, 0.6), log(mul(one, -1)), add(one, -5))], { axis: 1 });
  });
  for (const name of ['pgd', 'fgsm', 'deepFool', 'ddn'] as const) {
    const onTheWay = await evaluate(brittle, data, { epsilons: [0.04], attacks: [name], diagnose: false });
    const { standing } = onTheWay.outcomes.robust[0]!;
    t.ok(onTheWay.notFinite.length > 0, `${name}: ${onTheWay.notFinite.length} meet with it on the way`);
    t.deepEqual(
      onTheWay.flags.map(({ name }) => name),
      ['notFinite'],
      'which is told',
    );
    t.ok(
      onTheWay.notFinite.every((place) => standing[place] === 0),
      'and they do not count as standing',
    );
    t.equal(standing.filter((each) => each === 1).length, 40 - onTheWay.notFinite.length, 'the others do');
  }

  inputs[0] = 0;
  const first = fromArrays({ inputs, labels: new Uint8Array(40), shape: [2], classes: 2 });
  const early = await evaluate(inverse, first, { epsilons: [0.01], attacks: ['advLoss'] });
  t.deepEqual(early.notFinite, [0, 35], 'also among the very first');
});

test('evaluate: what it refuses of attacks and data', async (t) => {
  const { model, data } = await specimen();
  const run = (options: object, set = data) => evaluate(model, set, { epsilons: [0.5], ...options });
  const cases: [string, object, string[]][] = [
    ['an unknown attack with options', { attacks: [['advLos', {}]] }, ['attacks.0', "did you mean 'advLoss'?"]],
    ['an unknown attack as an entry', { attacks: ['advLoss', { name: 'advAlfa' }] }, ['attacks.1', "'advAlpha'?"]],
    ['no attacks', { attacks: [] }, ['attacks: expected at least one attack']],
    ['an attack that is none', { attacks: [3] }, ['attacks.0: expected a name', 'received number']],
    ['an unknown member', { attacks: [{ name: 'advLoss', opions: {} }] }, ["did you mean 'options'?"]],
    ['no function', { attacks: [{ name: 'mine', attack: 3 }] }, ['attacks.0: attack: expected a function']],
    ['one label twice', { attacks: ['advLoss', 'advLoss'] }, ["'advLoss' twice"]],
    ['epsilon of an attack', { attacks: [['advLoss', { epsilon: 3 }]] }, ['attacks.0: options.epsilon']],
    [
      'a targeted attack without targets',
      { attacks: [['minimal', { targeted: true }]] },
      ['targeted: expected targets'],
    ],
    ['too few targets', { attacks: [['minimal', { targets: [1] }]] }, ['targets: expected 130 classes', 'received 1']],
    ['a misspelt option of an attack', { attacks: [['minimal', { step: 3 }]] }, ['minimal', "did you mean 'steps'?"]],
    [
      'an attack that does not work in the norm, before any is run',
      { attacks: ['advLoss', 'ddn'], norm: 'linf' },
      ['attacks.1: norm: expected l2 for ddn', "received 'linf'"],
    ],
    ['rows', { rows: data.rows }, ['unknown option']],
  ];
  for (const [what, options, said] of cases) await refused(t, what, () => run(options), 'INVALID_ARGUMENT', ...said);
  const beyond: [object, string[]][] = [
    [{ epsilons: [28.1] }, ['at most 28, the l2 diameter of inputs of [1,28,28] in 0 to 1', 'received 28.1']],
    [{ epsilons: [0.1, 8], norm: 'linf' }, ['at most 1', 'received 8', 'grey levels, divide it by 255']],
    [{ epsilons: [785], norm: 'l1' }, ['at most 784']],
  ];
  for (const [options, said] of beyond)
    await refused(t, `epsilons ${JSON.stringify(options)}`, () => run(options), 'OUT_OF_RANGE', ...said);
  const empty = { ...data, rows: new Int32Array() };
  await refused(t, 'no examples', () => run({}, empty), 'INVALID_ARGUMENT', 'at least one example');
  const [, second] = data.rows;
  const labels = Int32Array.from(data.labels);
  labels[second!] = 10;
  await refused(t, 'a label', () => run({}, { ...data, labels }), 'OUT_OF_RANGE', '0 to 9, received 10');
  const tight = { ...data, range: [0, 0.5] as const };
  await refused(t, 'the range of the data', () => run({}, tight), 'OUT_OF_RANGE', '(the range of the data)');
  const train = models.mlp({ hidden: [4], seed: 1 });
  await refused(
    t,
    'a source in training mode',
    () => run({ attacks: [{ name: 'advLoss', source: train }] }),
    'TRAINING_MODE',
    'evaluate',
  );
  const { test: sample } = await datasets.sample();
  const few = models.mlp({ hidden: [4], classes: 9, seed: 1 }).eval();
  await refused(
    t,
    'a label beyond the network, far behind',
    () => evaluate(few, sample, { epsilons: [0.1] }),
    'OUT_OF_RANGE',
    '0 to 8, received 9',
  );
});
