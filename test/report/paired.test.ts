import test from 'tape';
import { twoSidedT } from '../../src/report/intervals.js';
import { mcnemar, pairedT } from '../../src/report/paired.js';
import { refused } from '../io/refused.js';

const close = (a: number, b: number, within = 1e-9): boolean => Math.abs(a - b) <= within;

test('twoSidedT: closed forms and tables', (t) => {
  // One degree of freedom is Cauchy's distribution, two have a closed form.
  for (const x of [0, 0.3, 1, 2.5, 40]) {
    t.ok(close(twoSidedT(x, 1), 1 - (2 / Math.PI) * Math.atan(x)), `nu = 1, t = ${x}`);
    t.ok(close(twoSidedT(-x, 2), 1 - x / Math.sqrt(2 + x * x)), `nu = 2, t = ${-x}`);
  }
  for (const [nu, quantile] of [
    [4, 2.7764451052],
    [9, 2.2621571628],
    [30, 2.0422724563],
  ] as const)
    t.ok(close(twoSidedT(quantile, nu), 0.05, 1e-9), `nu = ${nu}`);
  t.equal(twoSidedT(Infinity, 3), 0);
  t.end();
});

test('pairedT: by hand', (t) => {
  // Differences .01, .02, .03: mean .02, standard error .01 / sqrt 3, t = 3.4641 of two degrees of freedom.
  const { difference, p } = pairedT([0.86, 0.87, 0.88], [0.85, 0.85, 0.85]);
  t.ok(close(difference.mean, 0.02));
  t.ok(close(difference.high - 0.02, (4.302652729696 * 0.01) / Math.sqrt(3)));
  t.ok(close(p, 1 - Math.sqrt(12 / 14)), String(p));
  t.equal(difference.n, 3);
  const against = pairedT([0.86, 0.87, 0.88], [0.85, 0.85, 0.85], 0.02);
  t.ok(close(against.p, 1), 'no farther than what it is tested against');
  t.deepEqual([pairedT([1, 2], [1, 2]).p, pairedT([2, 3], [1, 2]).p], [1, 0], 'without any spread');
  t.end();
});

test('mcnemar: by hand', (t) => {
  const images = (pairs: readonly [number, number, number][]): [number[], number[]] => {
    const each = pairs.flatMap(([first, second, count]) => Array.from({ length: count }, () => [first, second]));
    return [each.map(([first]) => first!), each.map(([, second]) => second!)];
  };
  // 10 against 2: 2 (C(12,0) + C(12,1) + C(12,2)) / 2^12.
  const { difference, p } = mcnemar(
    ...images([
      [1, 1, 70],
      [1, 0, 10],
      [0, 1, 2],
      [0, 0, 18],
    ]),
  );
  t.ok(close(p, (2 * (1 + 12 + 66)) / 4096), String(p));
  t.ok(close(difference.mean, 0.08));
  t.ok(close(difference.high - 0.08, (1.959963984540054 * Math.sqrt(12 - 64 / 100)) / 100));
  t.equal(difference.n, 100);
  t.equal(mcnemar([1, 0], [1, 0]).p, 1, 'no image that they disagree on');
  t.equal(mcnemar([1, 0], [0, 1]).p, 1, 'as many on either side');
  const many = mcnemar(
    ...images([
      [1, 0, 3000],
      [0, 1, 2000],
    ]),
  );
  t.ok(many.p > 0 && many.p < 1e-40, 'thousands of images');
  t.end();
});

test('paired tests: what cannot be paired is refused', async (t) => {
  await refused(t, () => pairedT([1], [1]), 'INVALID_ARGUMENT', /pairedT: expected at least two seeds, received 1/);
  await refused(
    t,
    () => pairedT([1, 2], [1]),
    'SHAPE_MISMATCH',
    /expected as many values on both sides, received 2 and 1/,
  );
  await refused(t, () => mcnemar([], []), 'INVALID_ARGUMENT', /mcnemar: expected at least one image, received none/);
});
