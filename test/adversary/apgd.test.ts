import test from 'tape';
import { attacks, cast, mul, slice, uniform, type Tensor } from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { checkpoints } from '../../src/adversary/apgd.js';
import { faults, labelsFor } from './faults.js';
import {
  dense,
  dot,
  dual,
  linearNetwork,
  matrix,
  network,
  normNames,
  predictions,
  rowsOf,
  smallLenet,
} from './networks.js';
import { refused } from './refused.js';

// Auto-PGD and its targeted form.

const list = (x: Tensor): number[] => Array.from(x.data());
const broken = (result: { success: Tensor }): number => list(result.success).filter((one) => one === 1).length;

test('apgd: checkpoints are where the paper has them', (t) => {
  t.deepEqual(checkpoints(100), [22, 41, 57, 70, 80, 87, 93, 99]);
  t.deepEqual(checkpoints(1), [1]);
  t.ok(
    checkpoints(7).every((at) => at <= 7),
    'none after the last step',
  );
  t.end();
});

test('apgd: linear networks give way at their distance, and not before', async (t) => {
  for (const norm of normNames) {
    for (let seed = 1; seed <= 3; seed++) {
      const [w] = matrix(1, 12, seed);
      const zero = w!.map(() => 0);
      const model = linearNetwork([zero, w!, zero, zero], [0, 0, -9, -10], 'float64');
      const x = cast(uniform([30, 12], { seed }), 'float64');
      const gaps = rowsOf(x).map((row) => dot(row, w!));
      const y = gaps.map((gap) => (gap > 0 ? 1 : 0));
      const distances = gaps.map((gap) => Math.abs(gap) / dual[norm](w!));
      const epsilon = [...distances].sort((a, b) => a - b)[15]! * 1.0001;
      for (const name of ['apgd', 'apgdT'] as const) {
        const { success } = await attacks[name](model, x, y, { norm, epsilon });
        t.deepEqual(
          list(success).filter((one, i) =>
            one === 1 ? distances[i]! > epsilon : distances[i]! < epsilon * (norm === 'l1' ? 0.9 : 1),
          ),
          [],
          `${name}, ${norm}, seed ${seed}`,
        );
      }
    }
  }
});

test('apgd: never longer than asked, outside the range, or for nothing', async (t) => {
  for (const [seed, [low, high]] of (
    [
      [0, 1],
      [-2.1179, 2.64],
    ] as const
  ).entries()) {
    for (const dtype of ['float32', 'float64'] as const) {
      const model = dense(15, 5, seed).to(dtype);
      const x = cast(uniform([9, 3, 5], { low, high, seed }), dtype);
      const y = labelsFor(model, x, 5);
      for (const norm of normNames) {
        for (const epsilon of [0, 0.003, 0.7]) {
          for (const clip of [undefined, [low, high] as [number, number]]) {
            const options = { norm, epsilon, ...(clip && { clip }), steps: 10 };
            for (const result of [
              await attacks.apgd(model, x, y, options),
              await attacks.apgdT(model, x, y, { ...options, classes: 2 }),
            ])
              t.deepEqual(faults(model, x, y, result, options), [], `${dtype}, ${JSON.stringify(options)}`);
          }
        }
      }
    }
  }
});

test('apgd: results depend neither on the batch size nor on the company', async (t) => {
  const images = uniform([23, 1, 16, 16], { seed: 5 });
  for (const [what, model] of [
    ['mlp', dense(256, 5, 1, [20, 20])],
    ['lenet', smallLenet(2)],
  ] as const) {
    const y = labelsFor(model, images, 5, 4);
    for (const name of ['apgd', 'apgdT'] as const) {
      for (const norm of normNames) {
        const epsilon = { l1: 2.4, l2: 0.3, linf: 0.018 }[norm] * (name === 'apgdT' ? 0.6 : 1);
        const options = {
          norm,
          epsilon,
          clip: [0, 1] as [number, number],
          steps: 12,
        };
        const whole = await attacks[name](model, images, y, options);
        for (const batchSize of [7, 1]) {
          const other = await attacks[name](model, images, y, { ...options, batchSize });
          t.deepEqual(list(other.success), list(whole.success), `${what}: ${name}, ${norm}, batches of ${batchSize}`);
          const off = farthest(whole.adversarial.data(), other.adversarial.data());
          t.ok(off < 1e-5, `the same points: ${off}`);
        }
        const rows = Int32Array.from([9, 10, 11, 12, 13, 14]);
        const part = await attacks[name](model, slice(images, [9], [15]), y.slice(9, 15), { ...options, rows });
        const off = farthest(part.adversarial.data(), slice(whole.adversarial, [9], [15]).data());
        t.ok(off < 1e-5, `six of them alone: ${off}`);
        t.ok(broken(whole) > 6 && broken(whole) < 23, `${broken(whole)} of 23 broken`);
      }
    }
  }
});

test('apgd: at least as strong as pgd, and as strong on confident networks', async (t) => {
  const model = dense(20, 6, 3, [30, 30]);
  const x = uniform([60, 20], { seed: 2 });
  const y = predictions(model, x);
  const confident = network((input) => mul(model.forward(input), 1000));
  for (const norm of normNames) {
    const options = { norm, epsilon: { l1: 1, l2: 0.3, linf: 0.08 }[norm], clip: [0, 1] as [number, number] };
    const pgd = broken(await attacks.pgd(model, x, y, options));
    const [soft, hard] = [
      broken(await attacks.apgd(model, x, y, options)),
      broken(await attacks.apgd(confident, x, y, options)),
    ];
    const [dlr, targeted] = [
      broken(await attacks.apgd(confident, x, y, { ...options, loss: 'dlr' })),
      broken(await attacks.apgdT(confident, x, y, options)),
    ];
    const counts = `${norm}: pgd ${pgd}, apgd ${soft}, confident ${hard}, dlr ${dlr}, apgdT ${targeted}`;
    t.ok(pgd > 5 && pgd < 55 && soft >= pgd - 1 && hard >= soft - 1 && targeted >= soft - 1, counts);
  }
});

test('apgd: with targets it leads to them; apgdT does with fewer classes what can be done', async (t) => {
  const model = dense(12, 4, 3, [20]);
  const x = uniform([20, 12], { seed: 2 });
  const y = predictions(model, x);
  for (const loss of ['crossEntropy', 'dlr'] as const) {
    const targets = y.map((label) => (label + 1) % 4);
    const { adversarial, success } = await attacks.apgd(model, x, y, { epsilon: 2, targets, loss });
    const now = predictions(model, adversarial);
    t.deepEqual(
      list(success),
      now.map((label, i) => (label === targets[i] ? 1 : 0)),
      `${loss}: success is the target`,
    );
    t.ok(list(success).filter((one) => one === 1).length > 15, 'most are led there');
  }
  const warnings: string[] = [];
  const hear = (warning: Error & { code?: string }): number => warnings.push(`${warning.code}: ${warning.message}`);
  process.on('warning', hear);
  const two = dense(12, 2, 3, [20]);
  const labels = predictions(two, x);
  const few = await attacks.apgdT(two, x, labels, { epsilon: 1 });
  t.ok(
    broken(few) >= broken(await attacks.pgd(two, x, labels, { epsilon: 1 })) && broken(few) > 0,
    `${broken(few)} of 20 with two classes`,
  );
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', hear);
  t.ok(
    warnings.some((said) => said.startsWith('SPARRING_FEW_CLASSES: apgdT: with 2 classes')),
    warnings.join(),
  );
  await refused(
    t,
    'dlr of two',
    () => attacks.apgd(two, x, labels, { epsilon: 1, loss: 'dlr' }),
    'INVALID_ARGUMENT',
    'apgd: loss',
    'dlr needs 3',
  );
});

test('apgd: every step costs what it must', async (t) => {
  const model = dense(12, 4, 3, [20]);
  const x = uniform([6, 12], { seed: 2 });
  const y = predictions(model, x);
  for (const [norm, evaluations] of [
    ['linf', 21],
    ['l2', 21],
    ['l1', 23],
  ] as const) {
    const { queries, backwards } = await attacks.apgd(model, x, y, {
      norm,
      epsilon: 1e-6,
      steps: 20,
      restarts: 2,
      eot: 3,
    });
    t.deepEqual([...new Set(list(queries))], [2 + 2 * 3 * evaluations], `${norm}: queries`);
    t.deepEqual([...new Set(list(backwards))], [2 * 3 * evaluations], 'backwards');
  }
});
