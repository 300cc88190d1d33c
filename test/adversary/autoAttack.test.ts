import test from 'tape';
import { attacks, models, mul, scope, slice, uniform, type Target, type Tensor } from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { Noisy, Rounded, Saturated, Stepped } from '../evaluation/masked.js';
import { faults, labelsFor } from './faults.js';
import { dense, linearNetwork, matrix, network, normNames, predictions, smallLenet } from './networks.js';
import { refused } from './refused.js';

// The standard protocol.

const list = (x: Tensor): number[] => Array.from(x.data());
const broken = (result: { success: Tensor }): number => list(result.success).filter((one) => one === 1).length;
const clip: [number, number] = [0, 1];

test('autoAttack: what withstands has cost what the protocol asks', async (t) => {
  const model = dense(9, 12, 1);
  const x = uniform([1, 9], { seed: 2 });
  const y = predictions(model, x);
  const [once, each] = [(evaluations: number) => 2 + evaluations, 101];
  // FAB looks twice a step, and before and after; l1 begins each of its three radii with one more look.
  const expected = {
    linf: [once(each), once(9 * each), once(9 * 100 * 2), once(50)],
    l2: [once(each), once(9 * each), once(9 * 100 * 2), once(5000)],
    l1: [once(5 * (each + 2)), once(5 * (each + 2)), once(9 * 100 * 2), once(50)],
  };
  for (const norm of normNames) {
    const fewer = norm === 'l2' ? {} : { queries: 50 };
    const { queriesBy, queries, by } = await attacks.autoAttack(model, x, y, { norm, epsilon: 1e-6, ...fewer });
    t.deepEqual(list(queriesBy), expected[norm], `${norm}: 100 steps, 9 targets (l1: 5 starts and 5), 5000 queries`);
    t.equal(
      queries.item(),
      expected[norm].reduce((sum, count) => sum + count),
      'what raises nothing is counted too',
    );
    t.deepEqual(list(by), [-1]);
  }
  const rand = await attacks.autoAttack(model, x, y, { norm: 'linf', epsilon: 1e-6, version: 'rand' });
  t.deepEqual(list(rand.queriesBy), [once(20 * each), once(20 * each)], 'rand: two attacks, 20 evaluations a gradient');
  t.deepEqual(list(rand.backwards), [40 * each]);
});

test('autoAttack: the attacks of the protocol, each on what has withstood those before', async (t) => {
  const model = smallLenet(2);
  const x = uniform([40, 1, 16, 16], { seed: 5 });
  const y = labelsFor(model, x, 5, 7);
  const [steps, queries] = [10, 60];
  const firsts = new Set<number>();
  for (const norm of normNames) {
    const options = { norm, epsilon: { l1: 0.5, l2: 0.09, linf: 0.008 }[norm], clip };
    const both = await attacks.autoAttack(model, x, y, { ...options, steps, queries });
    t.deepEqual(faults(model, x, y, both, options), [], norm);
    const alone = [
      await attacks.apgd(model, x, y, { ...options, steps, restarts: norm === 'l1' ? 5 : 1 }),
      await attacks.apgdT(model, x, y, { ...options, steps, classes: norm === 'l1' ? 5 : 9 }),
      await attacks.fab(model, x, y, { ...options, steps, targets: 9 }),
      await attacks.square(model, x, y, { ...options, queries }),
    ];
    const clean = predictions(model, x);
    const first = y.map((label, i) =>
      label === clean[i] ? alone.findIndex(({ success }) => success.data()[i] === 1) : -2,
    );
    t.deepEqual(list(both.by), first, 'the first that breaks it');
    first.forEach((by) => firsts.add(by));
    t.deepEqual(
      both.queriesBy.toArray(),
      first.map((by, i) => alone.map(({ queries }, at) => (by === -1 || at <= Math.max(by, 0) ? list(queries)[i] : 0))),
      'at its cost',
    );
    const other = await attacks.autoAttack(model, x, y, { ...options, steps, queries, batchSize: 15 });
    t.deepEqual(list(other.by), list(both.by), 'the same in batches');
    t.ok(farthest(other.adversarial.data(), both.adversarial.data()) < 1e-5);
    const rows = Int32Array.from([9, 10, 11, 12, 13, 14]);
    const part = slice(x, [9], [15]);
    const some = await attacks.autoAttack(model, part, y.slice(9, 15), { ...options, steps, queries, rows });
    t.ok(farthest(some.adversarial.data(), slice(both.adversarial, [9], [15]).data()) < 1e-5, 'and in other company');
  }
  t.ok(firsts.size >= 4, `of all kinds: ${[...firsts].join()}`);
});

test('autoAttack: hidden gradients save no network', async (t) => {
  const inner = models.mlp({ inputs: 64, hidden: [24], classes: 5, initializer: 'heNormal', seed: 3 }).eval();
  const x = uniform([16, 1, 8, 8], { seed: 4 });
  let bySquare = 0;
  const [saturated, stepped] = [new Saturated(inner).eval(), new Stepped(inner).eval()];
  for (const norm of normNames) {
    const epsilon = { l1: 1.5, l2: 0.3, linf: 0.06 }[norm];
    const options = { norm, epsilon, clip, steps: 20, queries: 300 };
    const run = (model: Target) => attacks.autoAttack(model, x, predictions(model, x), options);
    const [honest, loud] = [broken(await run(inner)), broken(await run(saturated))];
    t.ok(honest > 3 && honest < 16 && loud >= honest - 1, `${norm}: ${honest} broken, ${loud} with logits x 1000`);
    const wide = { norm, epsilon: { l1: 3, l2: 0.5, linf: 0.06 }[norm], clip };
    const y = predictions(stepped, x);
    const still = broken(await attacks.pgd(stepped, x, y, { ...wide, randomStart: false }));
    const noise = broken(await attacks.noise(stepped, x, y, { ...wide, repeats: 300 }));
    const flat = await attacks.autoAttack(stepped, x, y, { ...wide, steps: 20, queries: 400 });
    t.equal(still, 0, 'no gradient leads through the sign');
    t.ok(broken(flat) > 4 && broken(flat) > 0.5 * noise, `${broken(flat)} broken behind the sign, ${noise} by noise`);
    bySquare += list(flat.by).filter((by) => by === 3).length;
  }
  t.ok(bySquare > 4, `${bySquare} by square, which needs no gradient`);
});

test('autoAttack: a shattered gradient and a random input layer save no network', async (t) => {
  const inner = models.mlp({ inputs: 64, hidden: [24], classes: 5, initializer: 'heNormal', seed: 3 }).eval();
  const x = uniform([12, 1, 8, 8], { seed: 4 });
  const options = { norm: 'linf' as const, epsilon: 0.15, clip, steps: 10 };
  const rounded = new Rounded(inner).eval();
  const y = predictions(rounded, x);
  t.equal(broken(await attacks.pgd(rounded, x, y, { ...options, randomStart: false })), 0, 'no gradient leads there');
  const flat = await attacks.autoAttack(rounded, x, y, { ...options, queries: 400 });
  t.ok(broken(flat) > 6, `${broken(flat)} of 12 broken behind the rounding`);
  const clean = predictions(inner, x);
  const honest = broken(await attacks.pgd(inner, x, clean, options));
  const noisy = await attacks.autoAttack(new Noisy(inner).eval(), x, clean, { ...options, version: 'rand' });
  t.ok(honest > 6 && broken(noisy) >= honest - 1, `${broken(noisy)} broken behind the noise, ${honest} without it`);
});

test('autoAttack: with too few classes for a loss another takes its place, and that is said', async (t) => {
  const warnings: string[] = [];
  const hear = (warning: Error & { code?: string }): number => warnings.push(`${warning.code}: ${warning.message}`);
  process.on('warning', hear);
  const x = uniform([20, 12], { seed: 2 });
  for (const classes of [2, 3]) {
    const model = dense(12, classes, 3, [20]);
    const y = predictions(model, x);
    for (const version of ['standard', 'rand'] as const) {
      const options = { epsilon: 0.5, steps: 20, queries: 50 };
      const found = await attacks.autoAttack(model, x, y, { ...options, version });
      t.deepEqual(faults(model, x, y, found, options), [], `${classes} classes, ${version}`);
      t.ok(broken(found) >= broken(await attacks.pgd(model, x, y, { epsilon: 0.5 })), `${broken(found)} broken`);
    }
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', hear);
  const place = 'is not defined, its place is taken by margin';
  t.deepEqual(warnings.sort(), [
    `SPARRING_FEW_CLASSES: apgd: with 2 classes the dlr ${place}`,
    `SPARRING_FEW_CLASSES: apgdT: with 2 classes the targeted dlr ${place}`,
    `SPARRING_FEW_CLASSES: apgdT: with 3 classes the targeted dlr ${place}`,
  ]);
});

test('autoAttack: linear networks give way at their distance', async (t) => {
  const [w] = matrix(1, 12, 4);
  const zero = w!.map(() => 0);
  const model = linearNetwork([zero, w!, zero, zero], [0, 0, -90, -91]);
  const x = uniform([30, 12], { seed: 6 });
  const y = predictions(model, x);
  for (const norm of normNames) {
    const { norms } = await attacks.minimal(model, x, y, { norm, linearize: 'logits' });
    const distances = list(norms);
    const epsilon = [...distances].sort((a, b) => a - b)[15]! * 1.001;
    const { success } = await attacks.autoAttack(model, x, y, { norm, epsilon, queries: 20 });
    t.deepEqual(
      list(success),
      distances.map((distance) => Number(distance < epsilon)),
      norm,
    );
  }
});

test('autoAttack: what is refused, and a network that fails', async (t) => {
  const model = dense(12, 4, 3, [20]);
  const x = uniform([5, 12], { seed: 2 });
  const y = predictions(model, x);
  const asking = (options: object) => () => attacks.autoAttack(model, x, y, { epsilon: 0.1, ...options });
  await refused(t, 'no steps', asking({ steps: 0 }), 'INVALID_ARGUMENT', 'autoAttack: steps', 'received 0');
  await refused(t, 'targets', asking({ targets: y }), 'INVALID_ARGUMENT', 'autoAttack: unknown option');
  await refused(t, 'a negative seed', asking({ seed: -1 }), 'INVALID_ARGUMENT', 'autoAttack: seed', 'received -1');
  await refused(t, 'a version', asking({ version: 'random' }), 'INVALID_ARGUMENT', "did you mean 'rand'?");
  await refused(t, '255ths', asking({ epsilon: 8, norm: 'linf', clip }), 'OUT_OF_RANGE', 'autoAttack: epsilon', '255');
  let calls = 0;
  const failing = network((input) =>
    calls++ < 8 ? model.forward(input) : scope(() => mul(model.forward(input), NaN)),
  );
  const { failed } = await attacks.autoAttack(failing, x, y, { epsilon: 0.1, steps: 3, queries: 3 }).catch(() => ({
    failed: undefined,
  }));
  t.ok(failed === undefined || list(failed).includes(1), 'logits that are not finite are told');
});
