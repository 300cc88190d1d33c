import test from 'tape';
import {
  attacks,
  cast,
  mul,
  neg,
  nn,
  relu,
  scope,
  sub,
  sum,
  tensor,
  uniform,
  type AttackOptions,
  type AttackResult,
  type Target,
  type Tensor,
} from '../../src/index.js';
import { faults, labelsFor } from './faults.js';
import { farthest, identical, sameBits, sizeOf } from '../tensor/numbers.js';
import {
  dense,
  inputs,
  length,
  linearNetwork,
  matrix,
  moves,
  network,
  normNames,
  numbers,
  predictions,
  rowsOf,
  smallLenet,
} from './networks.js';

// What every attack owes: never longer than asked, never NaN, never outside the range, the same whatever the batch.

type AnyAttack = (
  model: Target,
  x: Tensor,
  y: number[],
  options: AttackOptions & { epsilon: number },
) => Promise<AttackResult>;

// Those of one step, and minimal: the iterative ones have tests of their own.
const { advAlpha, advLoss, advLossSign, minimal } = attacks;
const all: Record<string, AnyAttack> = { advAlpha, advLoss, advLossSign, minimal };
const budgeted = Object.entries(all).filter(([name]) => name !== 'minimal');

const ranges = [
  [0, 1],
  [0, 255],
  [-3, -1],
  [-2.1179, 2.64],
] as const;
const epsilons = [0, 1e-4, 0.003, 0.3, 1.5, 30];

for (const [name, attack] of Object.entries(all)) {
  test(`attacks: ${name} is never longer than asked, nor outside the range`, async (t) => {
    for (const [seed, [low, high]] of ranges.entries()) {
      for (const dtype of ['float32', 'float64'] as const) {
        const shape = [
          [6, 9],
          [6, 3, 5, 7],
        ][seed % 2]!;
        const model = dense(sizeOf(shape.slice(1)), 4, seed).to(dtype);
        const x = cast(uniform(shape, { low, high, seed }), dtype);
        const y = labelsFor(model, x, 4);
        for (const norm of normNames) {
          for (const epsilon of epsilons) {
            const diameter = (high - low) * { l1: x.size / 6, l2: Math.sqrt(x.size / 6), linf: 1 }[norm];
            const range: [number, number] = [low, high];
            for (const clip of epsilon > diameter ? [undefined] : [undefined, range]) {
              const options = { norm, epsilon, ...(clip && { clip }) };
              const result = await attack(model, x, y, options);
              const wrong = faults(model, x, y, result, options);
              t.deepEqual(wrong, [], `${dtype} in [${low}, ${high}], ${JSON.stringify(options)}`);
              Object.values(result).forEach((each: Tensor) => {
                each.dispose();
              });
            }
          }
        }
      }
    }
  });
}

test('attacks: a budget is used up, but for what rounding needs', async (t) => {
  for (const [name, attack] of budgeted) {
    for (const [low, high] of ranges) {
      const model = dense(40, 4, 1);
      const x = uniform([8, 40], { low, high, seed: 2 });
      for (const norm of normNames) {
        for (const epsilon of [0.01, 0.3, 30]) {
          const { adversarial } = await attack(model, x, predictions(model, x), { norm, epsilon });
          const made = rowsOf(adversarial);
          const short = moves(x, adversarial).map((move, i) => {
            const moved = made[i]!.filter((_, at) => move[at] !== 0);
            return epsilon - length[norm](move) - 2 ** -21 * (epsilon + length[norm](moved));
          });
          t.ok(
            Math.max(...short) <= 0,
            `${name}, ${norm}, epsilon ${epsilon} in [${low}, ${high}]: ${Math.max(...short)} too short`,
          );
        }
      }
    }
  }
});

test('attacks: minimal with a budget moves that far where the minimal perturbation is longer', async (t) => {
  // The gap is 100: linearised probabilities ask for a length of 1e41.
  const confident = linearNetwork(
    [
      [100, 0],
      [0, 0],
    ],
    [0, 0],
  );
  for (const norm of normNames) {
    for (const clip of [undefined, [-5, 5] as [number, number]]) {
      const { adversarial, success, norms } = await attacks.minimal(confident, inputs([[1, 1]]), [0], {
        norm,
        epsilon: 2,
        ...(clip && { clip }),
      });
      t.ok(Math.abs(rowsOf(adversarial)[0]![0]! + 1) < 1e-5, `${norm}: ${adversarial.toArray().toString()}`);
      t.ok(norms.item() <= 2 && success.item() === 1, 'and succeeds');
    }
  }
  // Shortened from far beyond, and from the place where the input would be 0 and rounding nothing.
  for (const far of [1e2, 1e7]) {
    for (let seed = 0; seed < 20; seed++) {
      const x = inputs([numbers(7, seed, 50, far)]);
      const toZero = linearNetwork([rowsOf(x)[0]!.map((value) => value / far), numbers(7, seed, 0, 0)], [0, 0]);
      const result = await attacks.minimal(toZero, x, [0], { linearize: 'logits', epsilon: 1 });
      const size = length.l2(moves(x, result.adversarial)[0]!);
      t.ok(size <= 1 && (far > 1e3 || size > 0.999), `from ${far}: moved ${size}`);
    }
  }
});

test('attacks: where there is no gradient nothing moves and nothing is NaN', async (t) => {
  const dead = new nn.Sequential(
    linearNetwork(matrix(5, 4, 1), [-99, -99, -99, -99, -99]),
    new nn.ReLU(),
    linearNetwork(matrix(3, 5, 2), [1, 0, -1]),
  ).eval();
  const flat = linearNetwork(matrix(3, 4, 0, 0, 0), [3, 0, -1]);
  const equal = linearNetwork(matrix(3, 4, 0, 0, 0), [0, 0, 0]);
  const alike = linearNetwork(
    [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ],
    [1, 1, 1],
  );
  const cut = network((x) => mul(relu(sub(neg(x), 10)), 1));
  for (const [what, model, K] of [
    ['dead ReLU', dead, 3],
    ['constant', flat, 3],
    ['equal logits', equal, 3],
    ['one function for all', alike, 3],
    ['no parameter', cut, 4],
  ] as const) {
    const x = uniform([5, 4], { seed: 1 });
    const y = labelsFor(model, x, K, 3);
    for (const [name, attack] of Object.entries(all)) {
      for (const norm of normNames) {
        const options = { norm, epsilon: 0.5 };
        const result = await attack(model, x, y, options);
        t.deepEqual(faults(model, x, y, result, options), [], `${what}: ${name}, ${norm}`);
        t.equal(farthest(result.adversarial.data(), x.data()), 0, 'nothing moves');
      }
    }
    const { direction, length: asked } = await attacks.minimal(model, x, y, {});
    t.ok(
      direction.data().every((value) => value === 0) && asked.data().every((value) => value === Infinity),
      `${what}: minimal has no direction and no length`,
    );
  }
});

test('attacks: tiny gradients have a direction', async (t) => {
  for (const scale of [1e-12, 1e-25, 1e-37]) {
    const model = linearNetwork(
      [
        [3 * scale, 4 * scale],
        [0, 0],
      ],
      [scale, 0],
    );
    for (const [name, attack] of budgeted) {
      const [move] = moves(inputs([[0, 0]]), (await attack(model, inputs([[0, 0]]), [0], { epsilon: 1 })).adversarial);
      t.ok(Math.abs(length.l2(move!) - 1) < 1e-5, `${name} at ${scale}: ${String(move)}`);
    }
  }
});

test('attacks: two classes, a thousand classes', async (t) => {
  for (const [K, B] of [
    [2, 6],
    [1000, 3],
  ] as const) {
    const model = dense(10, K, 1, [8]);
    const x = uniform([B, 10], { seed: 3 });
    const y = labelsFor(model, x, K);
    for (const [name, attack] of Object.entries(all)) {
      for (const norm of normNames) {
        const options = { norm, epsilon: 0.7 };
        const result = await attack(model, x, y, options);
        t.deepEqual(faults(model, x, y, result, options), [], `${K} classes: ${name}, ${norm}`);
        if (K === 2) {
          const { adversarial } = await attacks.advLoss(model, x, y, options);
          if (name === 'advAlpha')
            t.ok(
              farthest(result.adversarial.data(), adversarial.data()) < 1e-6,
              'with two classes Adv_Alpha is Adv_Loss',
            );
        }
      }
    }
  }
});

const parts = (result: AttackResult): [string, Tensor][] => Object.entries(result) as [string, Tensor][];

test('attacks: results do not depend on the batch size', async (t) => {
  const images = uniform([23, 1, 16, 16], { seed: 5 });
  for (const [what, model] of [
    ['mlp', dense(256, 5, 1, [20, 20])],
    ['lenet', smallLenet(2)],
  ] as const) {
    const y = labelsFor(model, images, 5, 4);
    for (const [name, attack] of Object.entries(all)) {
      for (const norm of normNames) {
        const steps = name === 'minimal' ? { steps: 4, linearize: 'logits' } : {};
        const options = { norm, epsilon: 0.8, clip: [0, 1] as [number, number], ...steps };
        const [whole, ...others] = [
          await attack(model, images, y, { ...options, batchSize: 500 }),
          await attack(model, images, y, { ...options, batchSize: 7 }),
          await attack(model, images, y, { ...options, batchSize: 1 }),
        ];
        for (const other of others) {
          // Matrix products round the last rows of a batch in an order of their own: 1e-5 is for them. The rest is exact.
          const different = parts(whole).flatMap(([key, value]) => {
            const same = (other as unknown as Record<string, Tensor>)[key]!;
            const most = value.dtype === 'int32' ? 0 : 1e-5;
            const off = farthest(value.data(), same.data());
            return value.dtype === same.dtype && value.shape.join() === same.shape.join() && off <= most
              ? []
              : [`${key}: ${off}`];
          });
          t.deepEqual(different, [], `${what}: ${name}, ${norm}`);
        }
        t.ok(scope(() => sum(cast(whole.success, 'float64')).item()) > 0, 'and something was attacked');
        [whole, ...others].flatMap(parts).forEach(([, value]) => {
          value.dispose();
        });
      }
    }
  }
});

test('attacks: labels in any form, progress, and inputs that stay as they were', async (t) => {
  const model = dense(6, 3, 4);
  const x = uniform([5, 6], { seed: 1 });
  const [before, y] = [x.data(), predictions(model, x)];
  const told: [number, number][] = [];
  const first = await attacks.advAlpha(model, x, y, {
    epsilon: 0.4,
    batchSize: 2,
    onProgress: (done, total) => told.push([done, total]),
  });
  for (const labels of [Int32Array.from(y), Uint8Array.from(y), tensor(Int32Array.from(y))]) {
    const again = await attacks.advAlpha(model, x, labels, { epsilon: 0.4 });
    t.ok(identical(first.adversarial, again.adversarial), `labels as ${labels.constructor.name}`);
  }
  t.deepEqual(
    told,
    [
      [2, 5],
      [4, 5],
      [5, 5],
    ],
    'progress after each batch',
  );
  t.ok(sameBits(x.data(), before), 'the inputs are untouched');
});

test('attacks: minimal by the logits is a distance, and iterated it is DeepFool', async (t) => {
  // logits 0 and 3 x + 4 y - 5: the boundary is 1 away in l2, 5/7 in linf, 5/4 in l1.
  const plane = linearNetwork(
    [
      [0, 0],
      [3, 4],
    ],
    [0, -5],
  );
  const distances = { l1: 5 / 4, l2: 1, linf: 5 / 7 };
  for (const norm of normNames) {
    const once = await attacks.minimal(plane, inputs([[0, 0]]), [0], { norm, linearize: 'logits' });
    t.ok(Math.abs(once.length.item() - distances[norm]) < 1e-6, `${norm}: length ${once.length.item()}`);
    t.equal(once.target.item(), 1, 'to the other class');
    const beyond = await attacks.minimal(plane, inputs([[0, 0]]), [0], { norm, linearize: 'logits', overshoot: 0.5 });
    t.ok(
      Math.abs(beyond.norms.item() - 1.5 * distances[norm]) < 1e-6 && beyond.success.item() === 1,
      'overshoot goes beyond',
    );
    t.ok(Math.abs(beyond.length.item() - distances[norm]) < 1e-6, 'and leaves the length alone');
    const steps = await attacks.minimal(plane, inputs([[0, 0]]), [0], { norm, linearize: 'logits', steps: 9 });
    t.ok(
      Math.abs(steps.norms.item() - 1.02 * distances[norm]) < 1e-5,
      'the iteration stops at the first step, 2 % beyond',
    );
    t.equal(steps.queries.item(), 4, 'having looked four times: before, at the start, after the step, at the end');
  }
  const model = dense(30, 5, 7, [40, 40]);
  const x = uniform([40, 30], { seed: 3 });
  const y = predictions(model, x);
  for (const norm of normNames) {
    const one = await attacks.minimal(model, x, y, { norm, linearize: 'logits' });
    const many = await attacks.minimal(model, x, y, { norm, linearize: 'logits', steps: 50 });
    t.ok(
      many.success.data().every((value) => value === 1),
      `${norm}: the iteration leaves no input standing`,
    );
    const half = await attacks.minimal(model, x, y, { norm, linearize: 'logits', steps: 50, epsilon: 0.01 });
    t.ok(
      half.norms.data().every((value) => value <= 0.01),
      'within a budget',
    );
    t.deepEqual(one.length.toArray(), many.length.toArray(), 'length is that of the first linearisation');
  }
});

test('attacks: minimal iterated past a confident boundary does not turn NaN', async (t) => {
  // The first step overshoots to where the other class leads by more than e^709 can hold.
  const steep = linearNetwork(
    [
      [0, 0],
      [100, 0],
    ],
    [100, 0],
  );
  for (const norm of normNames) {
    const { adversarial, success } = await attacks.minimal(
      steep,
      inputs([
        [0, 0],
        [0.9, 0],
      ]),
      [0, 0],
      { norm, steps: 5, linearize: 'logits' },
    );
    t.ok(adversarial.data().every(Number.isFinite), `${norm}: finite`);
    t.deepEqual(success.toArray(), [1, 1], 'and it succeeds');
  }
});
