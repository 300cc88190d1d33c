/** Paired tests: whether two methods that met the same seeds, or the same images, differ by more than chance. */
import { SparringError } from '../errors.js';
import { studentT, twoSidedT } from './intervals.js';
import type { Comparand, Figure } from './results.js';

/** A difference with its 95 % interval, and the two-sided probability that chance alone makes one as large. */
export type Difference = Omit<Comparand, 'what'>;

function differences(first: ArrayLike<number>, second: ArrayLike<number>, name: string): number[] {
  if (first.length !== second.length) {
    const message = `${name}: expected as many values on both sides, received ${first.length} and ${second.length}`;
    throw new SparringError('SHAPE_MISMATCH', message);
  }
  return Array.from(first, (value, i) => value - second[i]!);
}

/**
 * The paired t-test: the mean of first - second over seeds, with Student's interval.
 *
 * @param first - One figure a seed.
 * @param second - The other method's, of the same seeds.
 * @param against - The difference that is tested against, 0 by default.
 * @throws SparringError `SHAPE_MISMATCH` when the two are not of one length, `INVALID_ARGUMENT` for fewer than two seeds.
 *
 * @example
 * ```ts
 * import { pairedT } from 'sparring';
 *
 * const { difference, p } = pairedT([0.86, 0.87, 0.88], [0.85, 0.85, 0.85]);
 * console.log(difference.mean.toFixed(3), p.toFixed(3)); // 0.020 0.074
 * ```
 */
export function pairedT(first: ArrayLike<number>, second: ArrayLike<number>, against = 0): Difference {
  const each = differences(first, second, 'pairedT');
  if (each.length < 2) {
    throw new SparringError('INVALID_ARGUMENT', `pairedT: expected at least two seeds, received ${each.length}`);
  }
  const difference: Figure = studentT(each);
  const variance = each.reduce((sum, value) => sum + (value - difference.mean) ** 2, 0) / (each.length - 1);
  const shift = difference.mean - against;
  const t = shift === 0 ? 0 : shift / Math.sqrt(variance / each.length);
  return { difference, p: twoSidedT(t, each.length - 1) };
}

/** The logarithm of n! for n = 0, 1, ..., n. */
function logFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let k = 2; k <= n; k++) logs[k] = logs[k - 1]! + Math.log(k);
  return logs;
}

/**
 * McNemar's exact test: two networks, or two attacks, on the same images. Only the images that the two disagree on tell
 * anything; without a difference each of them would fall either way like a coin. The interval of the difference of the
 * two proportions is Wald's for pairs. (McNemar 1947.)
 *
 * @param first - 1 for an image classified rightly, else 0.
 * @param second - Likewise, of the same images.
 * @throws SparringError `SHAPE_MISMATCH` when the two are not of one length, `INVALID_ARGUMENT` without images.
 *
 * @example
 * ```ts
 * import { mcnemar } from 'sparring';
 *
 * const { difference, p } = mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]);
 * console.log(difference.mean.toFixed(3), p); // 0.833 0.0625
 * ```
 */
export function mcnemar(first: ArrayLike<number>, second: ArrayLike<number>): Difference {
  const each = differences(first, second, 'mcnemar');
  const n = each.length;
  if (n === 0) throw new SparringError('INVALID_ARGUMENT', 'mcnemar: expected at least one image, received none');
  const [wins, losses] = [1, -1].map((sign) => each.filter((value) => value === sign).length) as [number, number];
  const discordant = wins + losses;
  const logs = logFactorials(discordant);
  let tail = 0;
  for (let k = 0; k <= Math.min(wins, losses); k++) {
    tail += Math.exp(logs[discordant]! - logs[k]! - logs[discordant - k]! - discordant * Math.LN2);
  }
  const mean = (wins - losses) / n;
  const half = (1.959963984540054 * Math.sqrt(Math.max(0, discordant - (wins - losses) ** 2 / n))) / n;
  return { difference: { mean, low: mean - half, high: mean + half, n }, p: Math.min(1, 2 * tail) };
}
