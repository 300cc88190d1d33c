import test from 'tape';
import { compared, verdictOf } from '../../src/experiments/claims.js';
import { claimOf } from '../../src/experiments/robustness.js';
import { pairedT } from '../../src/report/paired.js';

const comparison = (mean: number, p: number) => ({ what: 'x', difference: { mean, low: mean, high: mean, n: 5 }, p });

test('verdictOf: all for it, one against it, or neither', (t) => {
  t.equal(verdictOf([comparison(0.1, 0.01), comparison(0.2, 0.04)]), 'confirmed');
  t.equal(verdictOf([comparison(0.1, 0.01), comparison(0.2, 0.06)]), 'undecided', 'one may be chance');
  t.equal(verdictOf([comparison(0.1, 0.01), comparison(-0.2, 0.02)]), 'refuted');
  t.equal(verdictOf([comparison(0.1, 0.01), comparison(-0.2, 0.03)]), 'undecided', 'of two, one is that far by chance');
  t.equal(verdictOf([comparison(0, 1)]), 'undecided');
  t.equal(verdictOf([]), 'undecided');
  t.end();
});

test('claimOf: an order that may be an equality', (t) => {
  const verdict = (...comparisons: ReturnType<typeof comparison>[]): string => claimOf('x', comparisons, 'y').verdict;
  t.equal(verdict(comparison(0, 1), comparison(0.1, 0.5)), 'confirmed', 'none is against it');
  t.equal(verdict(comparison(0.1, 0.01), comparison(-0.01, 0.5)), 'undecided', 'one is, perhaps by chance');
  t.equal(verdict(comparison(0.1, 0.01), comparison(-0.01, 0.02)), 'refuted', 'one is, by more than chance');
  t.equal(verdict(comparison(0.1, 0.01), comparison(-0.01, 0.03)), 'undecided', 'of two, one is that far by chance');
  t.end();
});

/** So many of 1000 images that stand, the first ones. */
const standing = (right: number): Uint8Array => Uint8Array.from({ length: 1000 }, (_, at) => (at < right ? 1 : 0));

test('compared: over seeds by t, over the images of one seed by McNemar', (t) => {
  const seeds = compared('x', [900, 910, 930].map(standing), [880, 900, 910].map(standing));
  t.deepEqual([seeds.difference, seeds.p], Object.values(pairedT([0.9, 0.91, 0.93], [0.88, 0.9, 0.91])));
  t.equal(seeds.difference.n, 3);
  const images = compared('x', [standing(900)], [standing(890)]);
  t.equal(images.p, 2 ** -9, 'ten images, all one way');
  t.ok(Math.abs(images.difference.mean - 0.01) < 1e-12);
  t.equal(images.difference.n, 1000);
  const fewer = compared('x', [900, 910].map(standing), [standing(890)]);
  t.equal(fewer.difference.n, 1000, 'only the seeds that both have');
  t.end();
});

test('compared: with a margin', (t) => {
  // 20 images worse of 1000: -.02, standard error sqrt(20 - .4) / 1000 = .004427; with .03 granted z = 2.2588.
  const images = compared('x', [standing(880)], [standing(900)], 0.03);
  t.ok(Math.abs(images.difference.mean - 0.01) < 1e-12);
  t.ok(Math.abs(images.p - 0.0239) < 1e-4, String(images.p));
  const seeds = compared('x', [880, 890, 880].map(standing), [900, 900, 900].map(standing), 0.03);
  const { difference, p } = pairedT([0.01, 0.02, 0.01], [0, 0, 0]);
  t.ok(Math.abs(seeds.p - p) < 1e-9);
  t.ok(Math.abs(seeds.difference.low - difference.low) < 1e-9);
  t.end();
});
