import test from 'tape';
import {
  adversarialInputs,
  argmax,
  attacks,
  datasets,
  methods,
  models,
  nn,
  norms,
  planned,
  reachBound,
  scope,
  sub,
  take,
  tensor,
  uniform,
  type Method,
  type Tensor,
} from '../../src/index.js';
import { withRandomness } from '../../src/nn/randomness.js';
import { CarriedPerturbations } from '../../src/training/carried.js';
import { learn } from '../../src/training/step.js';
import { length, moves, rowsOf } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { finish, sameWeights } from './trained.js';

const whole = (values: number[]): Tensor => tensor(values, { dtype: 'int32' });

/** What inputs a method learns from: those of the last evaluation. */
function learnedFrom(made: Method, x: Tensor, { rows, seed = 1 }: { rows: number[]; seed?: number }): Tensor {
  const model = models.mlp({ inputs: 6, hidden: [9, 8], classes: 3, seed: 1 });
  const asked: Tensor[] = [];
  const forward = model.forward.bind(model);
  model.forward = (input) => {
    asked.push(input);
    return forward(input);
  };
  const y = whole(rows.map((row) => row % 3));
  withRandomness({ seed, rows: whole(rows), tick: whole([0]) }, () => {
    const prepared = made.prepare({ model, x, y });
    if (typeof prepared === 'function') prepared();
    else prepared.loss(prepared.inputs);
  });
  model.dispose();
  return asked.at(-1)!;
}

const count = 300;
const rows = Array.from({ length: count }, (_, row) => row);

test('adversaries that start anywhere: inside the ball and the range, by example and seed', (t) => {
  for (const norm of ['l2', 'linf'] as const) {
    const epsilon = { l2: 0.6, linf: 0.2 }[norm];
    const makes: [string, Method][] = [
      ['pgd', methods.pgd({ norm, epsilon, steps: 3 })],
      ['pgd without steps to speak of', methods.pgd({ norm, epsilon, steps: 1, stepSize: 0 })],
      ['fast', methods.fast({ norm, epsilon })],
      ['trades', methods.trades({ norm, epsilon, steps: 2 })],
      ['mart', methods.mart({ norm, epsilon, steps: 2 })],
      ['lwa', methods.lwa({ norm, epsilon, steps: 2, randomStart: true, perturbation: 'alpha' })],
      ['clipped', methods.pgd({ norm, epsilon, clip: [0, 1] })],
    ];
    for (const [name, made] of makes) {
      scope(() => {
        const x = uniform([count, 6], { seed: 4 });
        const at = learnedFrom(made, x, { rows });
        const lengths = moves(x, at).map(length[norm]);
        t.ok(Math.max(...lengths) <= epsilon, `${norm}, ${name}: at most epsilon, ${Math.max(...lengths)}`);
        t.ok(Math.max(...lengths) > 0.9 * epsilon, 'and nearly as much');
        const few = [7, 3, 250];
        const own = tensor(few.map((row) => rowsOf(x)[row]!));
        const again = rowsOf(learnedFrom(made, own, { rows: few }));
        const same = few.every((row, i) =>
          again[i]!.every((value, j) => Math.abs(value - rowsOf(at)[row]![j]!) < 1e-5),
        );
        t.ok(same, 'the same in other company');
        t.notDeepEqual(rowsOf(learnedFrom(made, x, { rows, seed: 2 })), rowsOf(at), 'another seed, another start');
        if (name === 'clipped')
          t.ok(
            at.data().every((value) => value >= 0 && value <= 1),
            'inside the range',
          );
        if (name !== 'pgd without steps to speak of') return;
        // Uniform in the ball: half of the volume is inside of the 2^(-1/6)th of the radius.
        const median = { l2: 2 ** (-1 / 6), linf: 2 ** (-1 / 6) }[norm] * epsilon;
        const inner = lengths.filter((each) => each < median).length / count;
        t.ok(Math.abs(inner - 0.5) < 0.1, `half of them in half of the volume: ${inner}`);
      });
    }
  }
  t.end();
});

test('lwa: several steps in every norm', (t) => {
  for (const norm of ['l1', 'l2', 'linf'] as const) {
    scope(() => {
      const x = uniform([count, 6], { seed: 4 });
      const epsilon = 0.3;
      const loss = (made: Method): number => {
        const model = models.mlp({ inputs: 6, hidden: [9, 8], classes: 3, seed: 1 });
        const at = learnedFrom(made, x, { rows });
        const longest = Math.max(...rowsOf(norms[norm].length(tensor(moves(x, at)))).flat());
        t.ok(longest <= epsilon * (1 + 1e-6), `${norm}: at most epsilon`);
        const value = nn.crossEntropyLoss(model.forward(at), whole(rows.map((row) => row % 3))).item();
        model.dispose();
        return value;
      };
      const [one, several] = [loss(methods.lwa({ norm, epsilon })), loss(methods.lwa({ norm, epsilon, steps: 8 }))];
      t.ok(several > one - 1e-6, `${norm}: eight steps ${several}, one ${one}`);
    });
  }
  t.end();
});

test('free: a step is several updates', async (t) => {
  const data = take((await datasets.sample()).train, 60);
  const trained = async (method: Method, epochs: number): Promise<nn.Sequential> => {
    const model = models.mlp({ hidden: [10], seed: 1 });
    const { steps } = await finish(model, data, {
      method,
      epochs,
      batchSize: 60,
      schedule: () => 1,
      optimizer: { name: 'adam' },
    });
    t.equal(steps, epochs, 'steps are batches');
    return model;
  };
  // One batch is all of the data, so that two epochs are the same batch twice: in another order, to which sums are not blind.
  const still = await trained(methods.free({ epsilon: 0, replays: 4 }), 2);
  const normal = await trained(methods.normal(), 8);
  const far = Math.max(
    ...still.parameters().map((each, i) => {
      const theirs = normal.parameters()[i]!.data();
      return Math.max(...Array.from(each.data(), (value, j) => Math.abs(value - theirs[j]!)));
    }),
  );
  t.ok(far < 1e-4, `with epsilon 0 it is normal training, each step four times, Adam's clock among them (${far})`);
  const moving = await trained(methods.free({ epsilon: 1, replays: 4 }), 2);
  t.notOk(sameWeights(still, moving), 'with another it is not');
  for (const model of [still, normal, moving]) model.dispose();
});

test('free: a batch begins where the last one was left', async (t) => {
  const epsilon = 0.1;
  const free = methods.free({ epsilon, replays: 3, clip: [0, 1] });
  const model = models.mlp({ inputs: 6, hidden: [9], classes: 3, seed: 1 });
  const asked: number[][][] = [];
  const forward = model.forward.bind(model);
  model.forward = (input) => {
    asked.push(rowsOf(input));
    return forward(input);
  };
  const optimizer = new nn.SGD(model.parameters());
  const carried = new CarriedPerturbations(4, [6]);
  const perturbations = (): number[][] => rowsOf(carried.stateDict().perturbations!);
  const batch = (size: number, seed: number): number[][] =>
    scope(() => {
      const x = uniform([size, 6], { seed });
      const y = whole(Array.from({ length: size }, (_, row) => row % 3));
      const rate = tensor(0.01, { dtype: 'float64' });
      learn(free, { model, x, y, carried: carried.first(size) }, optimizer, {
        rate,
        tick: tensor(0, { dtype: 'int32' }),
      });
      return rowsOf(x);
    });
  const near = (a: number[][], b: number[][]): boolean =>
    a.every((row, i) => row.every((value, j) => Math.abs(value - b[i]![j]!) < 1e-6));

  const first = batch(4, 1);
  t.ok(asked.length === 3 && near(asked[0]!, first), 'the first batch begins without');
  const left = perturbations();
  const last = asked[2]!.map((row, i) => row.map((value, j) => value - first[i]![j]!));
  t.notOk(near(left, last), 'the last update moves the inputs too, for the next batch');
  t.ok(
    left.every((row) => length.l2(row) <= epsilon + 1e-6 && length.l2(row) > 0),
    'inside the ball',
  );
  const second = batch(3, 2);
  const begun = second.map((row, i) => row.map((value, j) => Math.min(1, Math.max(0, value + left[i]![j]!))));
  t.ok(near(asked[3]!, begun), 'a smaller batch begins with the first of them, inside the range');
  t.ok(near([perturbations()[3]!], [left[3]!]) && !near(perturbations(), left), 'the others wait for the next');
  for (const part of [model, optimizer, carried]) part.dispose();

  const data = take((await datasets.sample()).train, 50);
  const trained = async (method: Method): Promise<nn.Sequential> => {
    const network = models.mlp({ hidden: [10], seed: 1 });
    await finish(network, data, { method, batchSize: 20 });
    return network;
  };
  const [once, again, anew] = [await trained(free), await trained(free), await trained({ ...free, carries: false })];
  t.ok(sameWeights(once, again), 'the same seed, the same weights');
  t.notOk(sameWeights(once, anew), 'a training carries them');
  for (const network of [once, again, anew]) network.dispose();
});

test('adversarial training: options', async (t) => {
  t.deepEqual(methods.pgd().settings, { epsilon: 1.5, norm: 'l2', steps: 10, randomStart: true }, 'pgd');
  t.deepEqual(methods.fast().settings, { epsilon: 1.5, norm: 'l2' }, 'fast');
  t.deepEqual(methods.free().settings, { epsilon: 1.5, norm: 'l2', replays: 4 }, 'free');
  t.equal(methods.trades().settings.beta, 6, 'trades');
  t.equal(methods.mart().settings.beta, 5, 'mart');
  for (const [make, said] of [
    [() => methods.pgd({ steps: 0 }), 'pgd: steps: expected a whole number of at least 1, received 0'],
    [() => methods.pgd({ stepSize: -1 }), 'pgd: stepSize: expected a length of at least 0, received -1'],
    [() => methods.pgd({ norm: 'l1' as 'l2' }), "pgd: norm: expected one of l2, linf, received 'l1'"],
    [() => methods.pgd({ clip: [1, 0] }), 'pgd: clip: expected [low, high] with low < high'],
    [() => methods.free({ replays: 1.5 }), 'free: replays: expected a whole number of at least 1, received 1.5'],
    [() => methods.trades({ beta: -1 }), 'trades: beta: expected a weight of at least 0, received -1'],
    [() => methods.mart({ beta: NaN }), 'mart: beta: expected'],
  ] as const) {
    await refused(t, said, make, 'INVALID_ARGUMENT', said);
  }
});

test('adversarialInputs: what attacks make, and nothing else', async (t) => {
  const model = models.mlp({ inputs: 6, hidden: [9, 8], classes: 5, seed: 1 });
  const x = uniform([7, 6], { seed: 2, low: -2, high: 2 });
  const y = argmax(model.eval().forward(x));
  model.train();
  const epsilon = 0.3;
  const made = (options: object): number[] => [...adversarialInputs(model, x, y, { epsilon, ...options }).data()];
  const all = { loss: attacks.advLoss, lossSign: attacks.advLossSign, alpha: attacks.advAlpha };
  for (const [direction, attack] of Object.entries(all)) {
    for (const norm of ['l1', 'l2', 'linf'] as const) {
      const { adversarial } = await attack(model.eval(), x, y, { epsilon, norm, clip: [-2, 2] });
      const expected = adversarial.data();
      model.train();
      const found = made({ direction, norm, clip: [-2, 2] });
      t.ok(
        found.every((value, at) => Math.abs(value - expected[at]!) < 1e-6),
        `${direction}, ${norm}`,
      );
    }
  }
  t.ok(model.training, 'the network is in the mode that it was in');
  t.deepEqual(made({ direction: 'alpha', reach: reachBound(model.eval()) }), made({ direction: 'alpha' }), 'bounded');
  const near = adversarialInputs(model, x, y, { epsilon, steps: 5, stepSize: 0.2 });
  t.ok(
    norms.l2
      .length(sub(near, x))
      .data()
      .every((length) => length <= epsilon),
    'several steps stay in the ball',
  );
  const plan = planned((inputs: Tensor, labels: Tensor) => [adversarialInputs(model, inputs, labels, { epsilon })]);
  t.deepEqual([...(await plan(x, y))[0]!.data()], made({}), 'a plan gives the same to the bit');
  plan.dispose();
  const any = (value: unknown): never => value as never;
  const cases: [() => unknown, string][] = [
    [() => adversarialInputs(model, x, y, any({})), 'adversarialInputs: epsilon: expected'],
    [() => adversarialInputs(any(3), x, y, { epsilon }), 'adversarialInputs: expected a module, received 3'],
    [() => adversarialInputs(model, x, any([0]), { epsilon }), 'adversarialInputs: expected a tensor'],
    [() => made({ direction: 'los' }), "did you mean 'loss'"],
  ];
  for (const [call, said] of cases) await refused(t, said, call, 'INVALID_ARGUMENT', said);
});
