import test from 'tape';
import { vjp } from '../../src/autodiff/autodiff.js';
import { dropout, full, normal, reshape, slice, uniform } from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, identical, sameBits, withThreads } from './numbers.js';

type Words = [number, number, number, number];

/** Philox4x32-10 by the book (Salmon et al. 2011), in big integers. */
function philox(counter: Words, key: [number, number]): Words {
  let c = counter.map(BigInt);
  let k = key.map(BigInt);
  const low = (value: bigint): bigint => value & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2511f53n * c[0]!;
    const b = 0xcd9e8d57n * c[2]!;
    c = [(b >> 32n) ^ c[1]! ^ k[0]!, low(b), (a >> 32n) ^ c[3]! ^ k[1]!, low(a)];
    k = [low(k[0]! + 0x9e3779b9n), low(k[1]! + 0xbb67ae85n)];
  }
  return c.map(Number) as Words;
}

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

const whole = (values: number | number[]): Tensor => tensor(values, { dtype: 'int32' });
const unit = (word: number): number => (word >>> 8) * 2 ** -24;

test('random: the generator gives its authors’ numbers', (t) => {
  // The known answers that are published with Random123.
  const ones = 0xffffffff;
  t.equal(hex(philox([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  t.equal(hex(philox([ones, ones, ones, ones], [ones, ones])), '408f276d 41c83b0e a20bc7c6 6d5451fd');
  t.equal(
    hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
  const cases: [seed: number, stream: number, row: number, tick: number][] = [
    [0, 0, 0, 0],
    [1, 2, 3, 4],
    [2 ** 53 - 1, 2 ** 32 - 1, 2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 32, 0x03707344, -1, -(2 ** 31)],
  ];
  for (const [seed, stream, row, tick] of cases) {
    const key: [number, number] = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    const words = [0, 1, 2].flatMap((block) => philox([block, row >>> 0, tick >>> 0, stream], key));
    const drawn = uniform([1, 11], { seed, stream, rows: whole([row]), tick: whole(tick), dtype: 'float64' });
    t.deepEqual(
      [...drawn.data()],
      words.slice(0, 11).map(unit),
      `uniform of seed ${seed}, stream ${stream}, row ${row}, tick ${tick}`,
    );
    const bell = normal([1, 11], { seed, stream, rows: whole([row]), tick: whole(tick), dtype: 'float64' });
    const expected = Array.from({ length: 12 }, (_, i) => {
      const [first, second] = [words[i - (i % 2)]!, words[i - (i % 2) + 1]!];
      const radius = Math.sqrt(-2 * Math.log((first + 1) * 2 ** -32));
      return radius * (i % 2 === 0 ? Math.cos : Math.sin)(2 * Math.PI * second * 2 ** -32);
    });
    t.ok(farthest(bell.data(), expected.slice(0, 11)) < 1e-14, 'normal');
  }
  t.end();
});

test('random: a number depends on its example and place only', (t) => {
  for (const draw of [uniform, normal]) {
    const all = draw([500, 7], { seed: 5 });
    t.ok(identical(draw([7, 7], { seed: 5 }), slice(all, [0], [7])), `${draw.name}: in a batch of 7 as of 500`);
    t.ok(identical(draw([1, 7], { seed: 5, rows: whole([499]) }), slice(all, [499])), 'alone');
    const mixed = draw([3, 7], { seed: 5, rows: whole([40, 3, 40]) });
    t.ok(
      identical(slice(mixed, [0], [1]), slice(all, [40], [41])) && identical(slice(mixed, [2]), slice(all, [40], [41])),
      'in any order',
    );
    t.ok(identical(draw([500, 7], { seed: 5 }), all), 'again');
    t.ok(identical(draw([500, 7, 1], { seed: 5 }), reshape(all, [500, 7, 1])), 'in another shape');
    t.ok(sameBits(draw([500, 5], { seed: 5 }).data().slice(0, 5), all.data().slice(0, 5)), 'whatever follows');
    t.ok(
      identical(
        withThreads(1, () => draw([500, 7], { seed: 5 })),
        all,
      ),
      'on any number of threads',
    );
    const plan = planned((rows: Tensor, tick: Tensor) => [draw([7, 7], { seed: 5, rows, tick })]);
    t.ok(identical(plan.sync(whole([0, 1, 2, 3, 4, 5, 6]), whole(0))[0]!, slice(all, [0], [7])), 'in a plan');
    t.notOk(
      identical(plan.sync(whole([0, 1, 2, 3, 4, 5, 6]), whole(1))[0]!, slice(all, [0], [7])),
      'whose tick moves on',
    );
    plan.dispose();
    const others = [
      draw([500, 7], { seed: 6 }),
      draw([500, 7], { seed: 5, stream: 1 }),
      draw([500, 7], { seed: 5, tick: whole(1) }),
    ];
    for (const other of others) {
      const equal = other.data().filter((value, i) => value === all.data()[i]).length;
      t.ok(equal < 4, 'other seeds, streams and ticks give other numbers');
    }
  }
  t.deepEqual(uniform([], { seed: 1 }).shape, []);
  t.deepEqual(uniform([0, 3], { seed: 1 }).shape, [0, 3]);
  t.deepEqual(normal([3, 0], { seed: 1 }).shape, [3, 0]);
  t.end();
});

/** Mean, variance, skewness and kurtosis. */
function moments(values: ArrayLike<number>): [number, number, number, number] {
  const n = values.length;
  const list = Array.from(values);
  const mean = list.reduce((total, value) => total + value, 0) / n;
  const central = (power: number): number => list.reduce((total, value) => total + (value - mean) ** power, 0) / n;
  const variance = central(2);
  return [mean, variance, central(3) / variance ** 1.5, central(4) / variance ** 2];
}

/** The largest distance of the distribution of the values from one whose cumulative function is given. */
function kolmogorov(values: ArrayLike<number>, cumulative: (x: number) => number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted.reduce((most, value, i) => {
    const at = cumulative(value);
    return Math.max(most, Math.abs(at - i / sorted.length), Math.abs(at - (i + 1) / sorted.length));
  }, 0);
}

/** The normal distribution's cumulative function, by Simpson's rule from 0. */
function bell(x: number): number {
  const n = 60;
  const h = x / n;
  let total = 0;
  for (let i = 0; i <= n; i++) total += (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2) / 2);
  return 0.5 + (total * h) / 3 / Math.sqrt(2 * Math.PI);
}

test('random: distributions', (t) => {
  const n = 40_000;
  // Five standard errors, and the Kolmogorov distance that one sample in a million exceeds.
  const within = (actual: number, expected: number, error: number, what: string): void =>
    t.ok(Math.abs(actual - expected) < 5 * error, `${what}: ${actual.toFixed(4)} for ${expected.toFixed(4)}`);
  const limit = 2.69 / Math.sqrt(n);
  const flat = uniform([200, 200], { seed: 1 }).data();
  const [mean, variance, skewness, kurtosis] = moments(flat);
  within(mean, 0.5, Math.sqrt(1 / 12 / n), 'uniform mean');
  within(variance, 1 / 12, Math.sqrt(1 / 180 / n), 'uniform variance');
  within(skewness, 0, Math.sqrt(6 / n), 'uniform skewness');
  within(kurtosis, 1.8, Math.sqrt(24 / n), 'uniform kurtosis');
  t.ok(kolmogorov(flat, (x) => x) < limit, 'uniform distribution');
  t.ok(flat.every((x) => x >= 0 && x < 1));

  const round = normal([200, 200], { seed: 1, mean: 3, deviation: 2 }).data();
  const found = moments(round);
  within(found[0], 3, 2 / Math.sqrt(n), 'normal mean');
  within(found[1], 4, 4 * Math.sqrt(2 / n), 'normal variance');
  within(found[2], 0, Math.sqrt(6 / n), 'normal skewness');
  within(found[3], 3, Math.sqrt(24 / n), 'normal kurtosis');
  t.ok(kolmogorov(round, (x) => bell((x - 3) / 2)) < limit, 'normal distribution');
  t.ok(round.every(Number.isFinite));

  const correlation = (values: ArrayLike<number>, lag: number): number => {
    const [centre, spread] = moments(values);
    let total = 0;
    for (let i = 0; i + lag < n; i++) total += (values[i]! - centre) * (values[i + lag]! - centre);
    return total / (n - lag) / spread;
  };
  for (const lag of [1, 2, 4, 200]) {
    within(correlation(flat, lag), 0, 1 / Math.sqrt(n), `uniform, ${lag} apart`);
    within(correlation(round, lag), 0, 1 / Math.sqrt(n), `normal, ${lag} apart`);
  }
  t.end();
});

test('random: a uniform number is never its upper end', (t) => {
  for (const dtype of ['float32', 'float64'] as const) {
    // Float32 has sixteen numbers between these: without care one in thirty would be rounded to the end.
    const drawn = uniform([10, 1000], { seed: 2, low: 1e6, high: 1e6 + 1, dtype }).data();
    t.ok(
      drawn.every((x) => x >= 1e6 && x < 1e6 + 1),
      dtype,
    );
    t.ok(drawn.some((x) => x > 1e6 + 0.9));
    t.ok(
      uniform([100], { seed: 2, low: 0.3, high: 0.3, dtype })
        .data()
        .every((x) => Math.abs(x - 0.3) < 1e-7),
      'an empty range is its end',
    );
  }
  t.end();
});

test('random: dropout', (t) => {
  const x = full([300, 100], 2);
  const rate = 0.3;
  const dropped = dropout(x, { rate, seed: 4 });
  const values = dropped.data();
  t.ok(
    values.every((value) => value === 0 || value === Math.fround(Math.fround(2) * Math.fround(1 / (1 - rate)))),
    'zero or scaled up',
  );
  const share = values.filter((value) => value === 0).length / values.length;
  t.ok(Math.abs(share - rate) < 5 * Math.sqrt((rate * (1 - rate)) / values.length), `${share} are dropped`);
  const gradient = vjp((inner: Tensor) => dropout(inner, { rate, seed: 4 }), x).pullback(full([2, 300, 100], 2));
  t.ok(
    identical(slice(reshape(gradient, [600, 100]), [300]), dropped),
    'the gradient passes where the number did, for each cotangent',
  );
  t.ok(identical(dropout(x, { rate: 0, seed: 4 }), x), 'at rate 0 nothing happens');
  t.ok(
    identical(dropout(full([1, 100], 2), { rate, seed: 4, rows: whole([7]) }), slice(dropped, [7], [8])),
    'by example',
  );
  t.end();
});
