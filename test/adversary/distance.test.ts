import test from 'tape';
import {
  add,
  attacks,
  cast,
  concat,
  greater,
  log,
  mul,
  slice,
  sub,
  sum,
  transfer,
  uniform,
  where,
  worstCase,
  type DefinedAttack,
  type DistanceOptions,
  type DistanceResult,
  type NormName,
  type Target,
  type Tensor,
} from '../../src/index.js';
import {
  dense,
  dot,
  inputs,
  length,
  linearNetwork,
  matrix,
  minus,
  moves,
  network,
  numbers,
  predictions,
  rowsOf,
} from './networks.js';
import { labelsFor } from './faults.js';
import { quick } from './quick.js';
import { refused } from './refused.js';
import { farthest } from '../tensor/numbers.js';
import { solver } from './solver.js';

// The attacks that look for the shortest perturbation, on networks whose shortest perturbations are known.

type Options = DistanceOptions & Record<string, unknown>;
type DistanceAttack = DefinedAttack<Options, DistanceResult>;

interface Entry {
  /** What it is called with. */
  thorough: Record<string, unknown>;
  /** By how much it may miss the shortest, relative. */
  tolerance: number;
  /** Whether it needs a range. */
  boxed?: boolean;
  /** Whether it stops at the first success and looks for none nearer, in a box perhaps short of it: held to soundness, and to two classes without a box. */
  greedy?: boolean;
  /** Whether it compares the ways to all classes. */
  everyClass?: boolean;
  /** Whether it can be led to a class. */
  targeted: boolean;
}

const entries: Record<string, Entry> = {
  carliniWagner: { thorough: { steps: 200, rate: 0.03, constant: 0.1 }, tolerance: 0.02, targeted: true },
  deepFool: { thorough: {}, tolerance: 0.025, greedy: true, targeted: false },
  fab: { thorough: { steps: 60 }, tolerance: 0.025, everyClass: true, targeted: true },
  fmn: { thorough: { steps: 300 }, tolerance: 0.02, targeted: true },
  ddn: { thorough: { steps: 300 }, tolerance: 0.03, targeted: true },
  ead: { thorough: { steps: 300, rate: 0.003, beta: 0.03, constant: 1 }, tolerance: 0.03, targeted: true },
  lbfgs: { thorough: {}, tolerance: 0.02, targeted: true },
  hopSkipJump: { thorough: { steps: 30 }, tolerance: 0.05, boxed: true, targeted: true },
};

const each = Object.entries(entries).map(([name, entry]) => {
  const attack = (attacks as unknown as Record<string, DistanceAttack>)[name]!;
  return { name, attack, norms: attack.norms, ...entry };
});

/** What a result says that is not so. */
function faults(
  model: Target,
  x: Tensor,
  y: readonly number[],
  result: DistanceResult,
  {
    norm,
    clip,
    epsilon = Infinity,
    targets,
  }: { norm: NormName; clip?: [number, number]; epsilon?: number; targets?: readonly number[] },
): string[] {
  const found: string[] = [];
  const [before, after] = [predictions(model, x), predictions(model, result.adversarial)];
  const made = rowsOf(result.adversarial);
  const [success, norms, distance, queries] = (['success', 'norms', 'distance', 'queries'] as const).map((key) =>
    Array.from(result[key].data()),
  );
  moves(x, result.adversarial).forEach((move, i) => {
    const size = length[norm](move);
    const won = targets === undefined ? after[i] !== y[i] : after[i] === targets[i];
    const wonBefore = targets === undefined ? before[i] !== y[i] : before[i] === targets[i];
    if (success![i] !== (won ? 1 : 0)) found.push(`input ${i}: success ${success![i]}, class ${after[i]}`);
    if (!won && size > 0) found.push(`input ${i}: moved ${size} for nothing`);
    if (wonBefore && size > 0) found.push(`input ${i}: moved although it was wrong`);
    if (Math.abs(norms![i]! - size) > 1e-12 + 1e-9 * size) found.push(`input ${i}: norm ${norms![i]} for ${size}`);
    if (distance![i] !== (won ? norms![i] : Infinity)) found.push(`input ${i}: distance ${distance![i]}`);
    if (!(size <= epsilon)) found.push(`input ${i}: ${size} beyond epsilon`);
    if (!(queries![i]! >= 1)) found.push(`input ${i}: ${queries![i]} queries`);
    if (!made[i]!.every(Number.isFinite)) found.push(`input ${i}: not finite`);
    const [low, high] = clip?.map(x.dtype === 'float32' ? Math.fround : Number) ?? [-Infinity, Infinity];
    if (!made[i]!.every((value) => value >= low! && value <= high!)) found.push(`input ${i}: outside the range`);
  });
  return found;
}

const settings = (options: Options): Parameters<typeof faults>[4] => options as unknown as Parameters<typeof faults>[4];

test('distance: on linear networks the shortest way that a solver finds, with and without a box', async (t) => {
  const nearest = await solver();
  for (const { name, attack, norms, thorough, tolerance, boxed, greedy, everyClass } of each) {
    for (const norm of norms) {
      for (const clip of [undefined, [0, 1] as [number, number]]) {
        if (boxed && !clip) continue;
        // With more classes only those find the nearest that look at them all.
        const [K, D, B] = [everyClass ? 4 : 2, 12, 6];
        const [weight, bias] = [matrix(K, D, 11), numbers(K, 12)];
        const points = matrix(B, D, 13, 0, 1).map((row) =>
          row.map((value) => (value < 0.25 ? 0 : value > 0.75 ? 1 : value)),
        );
        const model = linearNetwork(weight, bias, 'float64');
        const x = inputs(points, 'float64');
        const y = predictions(model, x);
        const options = { ...thorough, norm, ...(clip && { clip }) };
        const result = await attack(model, x, y, options);
        t.deepEqual(faults(model, x, y, result, settings(options)), [], `${name}, ${norm}: a sound result`);
        if (greedy && clip) continue;
        const worst = points.map((point, i) => {
          const best = weight.flatMap((row, k) => {
            if (k === y[i]) return [];
            const w = minus(row, weight[y[i]!]!);
            return [nearest(norm, w, -dot(w, point) - bias[k]! + bias[y[i]!]!, point, clip)];
          });
          const found = result.distance.data()[i]!;
          const least = Math.min(...best);
          return least === Infinity ? (found === Infinity ? 0 : -1) : found / least - 1;
        });
        t.ok(
          worst.every((excess) => excess > -1e-6 && excess <= tolerance),
          `${name}, ${norm}, ${clip ? 'box' : 'no box'}: ${Math.max(...worst).toFixed(4)} too long at worst, ${Math.min(...worst).toExponential(1)} at best`,
        );
      }
    }
  }
});

test('distance: to a curved boundary', async (t) => {
  // Class 1 inside an ellipse x² + 4 y² = 1, class 0 outside.
  const ellipse = network((x) => {
    const value = sum(mul(mul(x, x), inputs([[1, 4]], x.dtype as 'float64')), { axes: [-1], keepDims: true });
    return concat([sub(value, 1), mul(value, 0)], { axis: 1 });
  });
  const points = [
    [2, 0],
    [0, 1.5],
    [1.2, 0.9],
    [-0.8, 0.9],
  ];
  const angles = Array.from({ length: 200000 }, (_, i) => (2 * Math.PI * i) / 200000);
  for (const { name, attack, norms, thorough, tolerance, boxed, greedy } of each) {
    for (const norm of norms) {
      const x = inputs(points, 'float64');
      const options = { ...thorough, norm, ...(boxed && { clip: [-2, 2] as [number, number] }) };
      const result = await attack(ellipse, x, [0, 0, 0, 0], options);
      t.deepEqual(faults(ellipse, x, [0, 0, 0, 0], result, settings(options)), [], `${name}, ${norm}: a sound result`);
      const excess = points.map(([a, b], i) => {
        const least = angles.reduce(
          (best, angle) => Math.min(best, length[norm]([Math.cos(angle) - a!, Math.sin(angle) / 2 - b!])),
          Infinity,
        );
        return result.distance.data()[i]! / least - 1;
      });
      t.ok(
        // The angles are 3e-5 apart.
        excess.every((value) => value > -5e-5 && value <= (greedy ? 0.1 : Math.max(tolerance, 0.01))),
        `${name}, ${norm}: ${excess.map((value) => value.toFixed(4)).join(' ')} too long`,
      );
    }
  }
});

/** A network of two inputs, small enough to be searched in full. */
const plane = dense(2, 3, 5, [12, 12]).to('float64').eval();

/** The grid's points [-2, 2]², and the class of each. */
const grid = ((): { points: number[][]; classes: number[] } => {
  const steps = Array.from({ length: 401 }, (_, i) => -2 + i / 100);
  const points = steps.flatMap((a) => steps.map((b) => [a, b]));
  return { points, classes: predictions(plane, inputs(points, 'float64')) };
})();

test('distance: no shorter than an exhaustive search, and on the whole as short', async (t) => {
  const points = matrix(16, 2, 21, -1.5, 1.5);
  const x = inputs(points, 'float64');
  const y = predictions(plane, x);
  const clip: [number, number] = [-2, 2];
  for (const { name, attack, norms, thorough, greedy } of each) {
    for (const norm of norms) {
      const options = { ...thorough, norm, clip };
      const result = await attack(plane, x, y, options);
      t.deepEqual(faults(plane, x, y, result, settings(options)), [], `${name}, ${norm}: a sound result`);
      const ratios = points.flatMap((point, i) => {
        const least = grid.points.reduce(
          (best, at, j) => (grid.classes[j] === y[i] ? best : Math.min(best, length[norm](minus(at, point)))),
          Infinity,
        );
        // The grid's own error is a diagonal of its cells.
        return least < 0.1 || least === Infinity ? [] : [result.distance.data()[i]! / least];
      });
      ratios.sort((a, b) => a - b);
      const median = ratios[Math.floor(ratios.length / 2)]!;
      t.ok(
        ratios.length > 8 && ratios[0]! > 0.8 && median < (greedy ? 1.1 : 1.03),
        `${name}, ${norm}: of ${ratios.length} the median is ${median.toFixed(3)} times the shortest`,
      );
    }
  }
});

test('distance: what every attack owes, whatever the range, the dtype and the limit', async (t) => {
  for (const { name, attack, norms } of each) {
    const found: string[] = [];
    for (const [seed, clip] of (
      [
        [0, 1],
        [-2.1179, 2.64],
      ] as [number, number][]
    ).entries()) {
      for (const dtype of ['float32', 'float64'] as const) {
        const model = dense(15, 4, seed).to(dtype);
        const x = cast(uniform([7, 3, 5], { low: clip[0], high: clip[1], seed }), dtype);
        const y = labelsFor(model, x, 4);
        for (const norm of norms) {
          for (const epsilon of [0, 0.1, undefined]) {
            const options = { ...quick[name], norm, clip, ...(epsilon !== undefined && { epsilon }) };
            const result = await attack(model, x, y, options);
            found.push(...faults(model, x, y, result, settings(options)).map((fault) => `${dtype}, ${norm}: ${fault}`));
          }
        }
      }
    }
    t.deepEqual(found, [], name);
  }
});

test('distance: where there is no gradient nothing is found and nothing is NaN', async (t) => {
  const flat = linearNetwork(matrix(3, 4, 0, 0, 0), [3, 0, -1]);
  const x = inputs(matrix(3, 4, 1, 0, 1));
  for (const { name, attack, norms } of each) {
    for (const norm of norms) {
      const options = { ...quick[name], norm, clip: [0, 1] as [number, number] };
      const result = await attack(flat, x, [0, 0, 1], options);
      t.deepEqual(faults(flat, x, [0, 0, 1], result, settings(options)), [], `${name}, ${norm}`);
      t.deepEqual(result.distance.toArray(), [Infinity, Infinity, 0], 'one was wrong before');
    }
  }
});

test('distance: results do not depend on the batch size or the company', async (t) => {
  const model = dense(30, 5, 7, [20, 20]);
  const x = uniform([15, 30], { seed: 5 });
  const y = labelsFor(model, x, 5, 4);
  for (const { name, attack, norms } of each) {
    for (const norm of norms) {
      const options = { ...quick[name], norm, clip: [0, 1] as [number, number] };
      const whole = await attack(model, x, y, { ...options, batchSize: 500 });
      for (const batchSize of [7, 1]) {
        const other = await attack(model, x, y, { ...options, batchSize });
        const off = farthest(whole.adversarial.data(), other.adversarial.data());
        t.ok(off <= 1e-5, `${name}, ${norm}, ${batchSize} at once: off by ${off}`);
        for (const key of ['success', 'queries', 'backwards'] as const)
          t.deepEqual(other[key].toArray(), whole[key].toArray(), key);
      }
      const some = slice(x, [9], [12]);
      const alone = await attack(model, some, y.slice(9, 12), { ...options, rows: Int32Array.of(9, 10, 11) });
      const off = farthest(slice(whole.adversarial, [9], [12]).data(), alone.adversarial.data());
      t.ok(off <= 1e-5, `${name}, ${norm}, under their numbers: off by ${off}`);
    }
  }
});

test('distance: targeted attacks lead to their targets or report nothing', async (t) => {
  const model = dense(12, 4, 3, [16]).to('float64').eval();
  const x = cast(uniform([10, 12], { seed: 8 }), 'float64');
  const y = predictions(model, x);
  const targets = y.map((label, i) => (label + 1 + (i % 3)) % 4);
  for (const { name, attack, norms, thorough, targeted } of each) {
    if (!targeted) {
      await refused(t, name, () => attack(model, x, y, { targets }), 'INVALID_ARGUMENT', 'targets');
      continue;
    }
    for (const norm of norms) {
      const options = { ...thorough, norm, targets, clip: [-2, 3] as [number, number] };
      const result = await attack(model, x, y, options);
      t.deepEqual(faults(model, x, y, result, settings(options)), [], `${name}, ${norm}: a sound result`);
      const found = Array.from(result.success.data()).reduce((a, b) => a + b, 0);
      t.ok(found >= 9, `${name}, ${norm}: ${found} of 10 reach their targets`);
      const free = await attack(model, x, y, { ...thorough, norm, clip: [-2, 3] });
      const sum = (all: DistanceResult): number => Array.from(all.norms.data()).reduce((a, b) => a + b, 0);
      t.ok(sum(free) <= sum(result) * 1.02, 'and any class is no farther');
    }
  }
});

test('distance: a number of targets is the nearest of the ways to each of the likeliest classes', async (t) => {
  const model = dense(12, 5, 3, [16]).to('float64').eval();
  const x = cast(uniform([7, 12], { seed: 8 }), 'float64');
  const logits = rowsOf(model.forward(x));
  const y = predictions(model, x);
  // One of the inputs is wrong already.
  y[3] = (y[3]! + 1) % 5;
  const wrong = logits.map((row, i) => row.map((_, k) => k).filter((k) => k !== y[i]));
  const likeliest = wrong.map((classes, i) => classes.sort((a, b) => logits[i]![b]! - logits[i]![a]!));
  for (const { name, attack, norms, thorough, targeted } of each) {
    if (!targeted || ['fab', 'hopSkipJump'].includes(name)) continue;
    for (const norm of norms) {
      for (const count of [1, 2, 9]) {
        const options = { ...thorough, norm, clip: [-2, 3] as [number, number] };
        const led = await attack(model, x, y, { ...options, targets: count, batchSize: 3 });
        t.deepEqual(faults(model, x, y, led, settings(options)), [], `${name}, ${norm}, ${count}: a sound result`);
        const ways: DistanceResult[] = [];
        for (let place = 0; place < Math.min(count, 4); place++)
          ways.push(await attack(model, x, y, { ...options, targets: likeliest.map((classes) => classes[place]!) }));
        const nearest = y.map((_, i) => (i === 3 ? 0 : Math.min(...ways.map(({ distance }) => distance.data()[i]!))));
        const off = farthest(led.distance.data(), nearest);
        t.ok(off < 1e-9, `${name}, ${norm}, ${count}: the nearest of them, off by ${off}`);
        const rows = led.backwards.data();
        const sums = ways.map(({ backwards }) => backwards.data()).reduce((a, b) => a.map((value, i) => value + b[i]!));
        t.deepEqual(
          [...rows].filter((_, i) => i !== 3),
          [...sums].filter((_, i) => i !== 3),
          'and at the price of them all',
        );
        t.equal(rows[3], 0, 'but for who was wrong before');
      }
    }
  }
});

test('distance: a number of targets through a transfer and the worst of several', async (t) => {
  const [model, source] = [3, 4].map((seed) => dense(12, 4, seed, [16]).eval());
  const x = uniform([6, 12], { seed: 8 });
  const y = predictions(model!, x);
  const led = { targets: 2, steps: 30 };
  const made = await attacks.fmn(source!, x, y, led);
  const moved = await transfer({ source: source!, attack: attacks.fmn })(model!, x, y, led);
  const after = predictions(model!, moved.adversarial);
  t.deepEqual(
    [...moved.success.data()],
    after.map((label, i) => (label === y[i] ? 0 : 1)),
    'any class but the label counts',
  );
  t.equal(farthest(moved.adversarial.data(), made.adversarial.data()), 0, 'what the source gave');
  const own = await attacks.fmn(model!, x, y, led);
  const worst = await worstCase([{ name: 'fmn', attack: attacks.fmn }])(model!, x, y, led);
  t.deepEqual([...worst.norms.data()], [...own.norms.data()], 'the only one is the worst');
  for (const targets of [NaN, '3', 0] as never[])
    await refused(
      t,
      String(targets),
      () => attacks.fmn(model!, x, y, { targets }),
      'INVALID_ARGUMENT',
      'fmn: targets: expected',
    );
});

test('distance: all tell of logits that are not finite where they find nothing else', async (t) => {
  // Logits 0, x_0 - 1 and x_1 - 2; past x_0 = .5 the second is the logarithm of a negative number.
  const brittle = network((x) => {
    const column = (at: number): Tensor => slice(x, [0, at], [x.shape[0]!, at + 1]);
    const [first, second] = [column(0), column(1)];
    const sound = add(first, -1);
    return concat([mul(first, 0), where(greater(first, 0.5), log(mul(first, -1)), sound), add(second, -9)], {
      axis: 1,
    });
  });
  for (const name of ['carliniWagner', 'ead', 'lbfgs', 'fmn', 'ddn', 'fab'] as const) {
    const options = { steps: 100, ...(['carliniWagner', 'ead'].includes(name) && { rate: 0.05 }) };
    const more = ['carliniWagner', 'ead', 'lbfgs'].includes(name) ? { constant: 2, searchSteps: 2 } : {};
    const result = await (attacks[name] as DistanceAttack)(brittle, inputs([[0.1, 0]]), [0], { ...options, ...more });
    t.deepEqual([result.success.item(), result.distance.item(), result.failed.item()], [0, Infinity, 1], name);
  }
});

test('distance: FAB-T goes to so many classes, with one backward row a step for each', async (t) => {
  const model = dense(12, 6, 3, [16]).to('float64').eval();
  const x = cast(uniform([8, 12], { seed: 8 }), 'float64');
  const y = predictions(model, x);
  const all = await attacks.fab(model, x, y, { steps: 30 });
  const each = await attacks.fab(model, x, y, { steps: 30, targets: 9 });
  t.deepEqual([...new Set(all.backwards.data())], [150], 'all five other classes in each step');
  t.deepEqual([...new Set(each.backwards.data())], [150], 'each of the five in a run of its own');
  t.deepEqual([...new Set(each.queries.data())], [302], 'two evaluations a step, one before and one after');
  const excess = Array.from(each.distance.data(), (value, i) => value / all.distance.data()[i]!);
  t.ok(Math.max(...excess) < 1.02, `and no farther: ${Math.max(...excess)}`);
});

test('distance: Carlini-Wagner moves pixels at the walls', async (t) => {
  // The other class is reached by the pixels that begin at exactly 0 and 1 alone.
  const model = linearNetwork(
    [
      [0, 0, 0],
      [2, -2, 0],
    ],
    [1, 0],
  );
  // 2 a + 2 b = 3, from a = 0 and b = 0: both move by 3/4. A pixel at a wall has 7 units of its variable to go before it moves.
  for (const options of [{}, { steps: 300, rate: 0.1 }]) {
    const { distance, adversarial } = await attacks.carliniWagner(model, inputs([[0, 1, 0.5]]), [0], {
      clip: [0, 1],
      ...options,
    });
    const excess = distance.item() / (1.5 / Math.SQRT2) - 1;
    t.ok(excess >= 0 && excess < 0.01, `${excess} too long: ${adversarial.toArray().toString()}`);
  }
});

test('distance: DeepFool lengthens the total once, not every step', async (t) => {
  // The slope halves on the way, so that several steps are taken: the boundary is at x = 1.
  const bent = network((x) => {
    const z = sub(mul(x, x), 1);
    return concat([mul(z, 0), z], { axis: 1 });
  });
  const { distance, queries } = await attacks.deepFool(bent, inputs([[0.4]], 'float64'), [0]);
  const first = (1 - 0.16) / 0.8;
  t.ok(queries.item() >= 4 && Math.abs(distance.item() - 1.02 * (first + 1e-4)) < 1e-9, String(distance.item()));
});
