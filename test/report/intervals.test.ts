import fc from 'fast-check';
import test from 'tape';
import { median, studentT, wilson } from '../../src/report/intervals.js';
import { refused } from '../io/refused.js';

const near = (t: test.Test, actual: number, expected: number, tolerance: number, message: string) =>
  t.ok(Math.abs(actual - expected) <= tolerance, `${message}: ${actual} is ${expected}`);

test('wilson: published intervals', (t) => {
  // Newcombe 1998, Statistics in Medicine 17, table I, method 3.
  for (const [successes, n, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ] as const) {
    const figure = wilson(successes, n);
    t.equal(figure.mean, successes / n);
    t.equal(figure.n, n);
    near(t, figure.low, low, 5e-5, 'low');
    near(t, figure.high, high, 5e-5, 'high');
  }
  t.equal(wilson(0, 20).low, 0, 'no successes begin at 0');
  t.equal(wilson(20, 20).high, 1, 'all successes end at 1');
  t.end();
});

test('wilson: within [0, 1], about the mean, and the mirror of the failures', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
      const successes = Math.round(share * n);
      const { low, mean, high } = wilson(successes, n);
      const mirror = wilson(n - successes, n);
      return 0 <= low && low <= mean && mean <= high && high <= 1 && Math.abs(mirror.high - (1 - low)) < 1e-12;
    }),
  );
  t.end();
});

test('wilson: what is no proportion is refused', async (t) => {
  for (const [successes, n] of [
    [1, 0],
    [1, 2.5],
    [0, NaN],
  ] as const) {
    await refused(t, () => wilson(successes, n), 'INVALID_ARGUMENT', /^wilson: n: expected a whole number >= 1/);
  }
  for (const successes of [-1, 3, 0.5, NaN]) {
    await refused(t, () => wilson(successes, 2), 'INVALID_ARGUMENT', /^wilson: successes: expected .* from 0 to 2/);
  }
});

test('studentT: the quantiles of the tables', (t) => {
  // Two values -1 and 1 have mean 0 and standard error 1; n values are made to have standard error 1 likewise.
  const quantile = (degrees: number) => {
    const n = degrees + 1;
    const values = Array.from({ length: n }, (_, i) => (n % 2 === 1 && i === 0 ? 0 : i % 2 === 0 ? 1 : -1));
    const { low, mean, high } = studentT(values);
    near(t, mean, 0, 1e-15, 'mean');
    near(t, high, -low, 1e-12, 'symmetry');
    const squares = values.reduce<number>((sum, value) => sum + value * value, 0);
    return high / Math.sqrt(squares / degrees / n);
  };
  for (const [degrees, expected] of [
    [1, 12.706204736432095],
    [2, 4.302652729911275],
    [3, 3.182446305284263],
    [4, 2.7764451051977987],
    [5, 2.5705818366147395],
    [9, 2.2621571627409915],
    [10, 2.2281388519649385],
    [29, 2.045229642132703],
    [30, 2.0422724563012373],
    [100, 1.9839715184496334],
    [1000, 1.9623390808264074],
  ] as const) {
    near(t, quantile(degrees), expected, 1e-9, `${degrees} degrees of freedom`);
  }
  t.end();
});

test('studentT: one value has no interval, equal values an empty one', (t) => {
  t.deepEqual(studentT([0.3]), { mean: 0.3, low: 0.3, high: 0.3, n: 1 });
  t.deepEqual(studentT(Float64Array.of(0.1, 0.1, 0.1)), { mean: 0.1, low: 0.1, high: 0.1, n: 3 });
  t.end();
});

test('studentT: nothing, NaN and infinity are refused', async (t) => {
  await refused(t, () => studentT([]), 'INVALID_ARGUMENT', /received none/);
  await refused(t, () => studentT([1, NaN]), 'NOT_FINITE', /values\[1\]: .* received NaN/);
  await refused(t, () => studentT([Infinity]), 'NOT_FINITE', /values\[0\]/);
});

test('median: intervals of the tables', async (t) => {
  // Conover 1999, table A3 (the binomial distribution): the ranks of a 95 % interval of the median.
  for (const [n, low, high] of [
    [6, 1, 6],
    [10, 2, 9],
    [20, 6, 15],
    [100, 40, 61],
  ] as const) {
    const backwards = Array.from({ length: n }, (_, index) => n - index);
    t.deepEqual(median(backwards), { mean: (n + 1) / 2, low, high, n }, `${n} values`);
  }
  t.deepEqual(median([3, 1, 2]), { mean: 2, low: 1, high: 3, n: 3 }, 'too few for an interval: all that they span');
  t.deepEqual(median([4]), { mean: 4, low: 4, high: 4, n: 1 });
  t.deepEqual(median([10, 9, 100]), { mean: 10, low: 9, high: 100, n: 3 }, 'numbers, not words');
  // At the size of an experiment, as the normal approximation has it: 500 -+ 1.96 * sqrt(1000) / 2.
  const { low, high } = median(Float64Array.from({ length: 1000 }, (_, index) => index + 1));
  t.ok(Math.abs(low - 469) <= 1 && Math.abs(high - 532) <= 1, `${low} to ${high} of 1000`);
  await refused(t, () => median([]), 'INVALID_ARGUMENT', /median: expected at least one value, received none/);
  await refused(
    t,
    () => median([1, Infinity]),
    'NOT_FINITE',
    /median: values\[1\]: expected a finite number, received Infinity/,
  );
});
