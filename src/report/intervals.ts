import { SparringError } from '../errors.js';
import type { Figure } from './results.js';

/** The 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/**
 * A proportion and its 95 % Wilson score interval: `successes` of `n` examples, e.g. how many a network classified
 * rightly. It says how far the accuracy on these examples may lie from the accuracy on all there could be, for this one
 * network. Unlike the textbook `p ± 1.96 √(p (1 - p) / n)` it holds near 0 and 1, stays within [0, 1], and is not empty
 * at 0 or at n successes; so it is not symmetrical about the mean. (Wilson 1927.)
 *
 * @throws SparringError `INVALID_ARGUMENT` unless both are whole numbers, `n >= 1` and `0 <= successes <= n`.
 *
 * @example
 * ```ts
 * import { wilson } from 'sparring';
 *
 * const { mean, low, high } = wilson(9870, 10_000);
 * console.log(mean, low.toFixed(4), high.toFixed(4)); // 0.987 0.9846 0.9890
 * ```
 */
export function wilson(successes: number, n: number): Figure {
  if (!Number.isSafeInteger(n) || n < 1) {
    throw new SparringError('INVALID_ARGUMENT', `wilson: n: expected a whole number >= 1, received ${n}`);
  }
  if (!Number.isSafeInteger(successes) || successes < 0 || successes > n) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `wilson: successes: expected a whole number from 0 to ${n}, received ${successes}`,
    );
  }
  const mean = successes / n;
  const weight = 1 / (1 + (Z * Z) / n);
  const centre = weight * (mean + (Z * Z) / (2 * n));
  const half = weight * Z * Math.sqrt((mean * (1 - mean)) / n + (Z * Z) / (4 * n * n));
  // The interval holds the mean exactly; only rounding could put it outside.
  return { mean, low: Math.min(mean, Math.max(0, centre - half)), high: Math.max(mean, Math.min(1, centre + half)), n };
}

/**
 * P(|T| <= √ν tan θ) for Student's t with a whole number ν of degrees of freedom: a finite sum, exact
 * (Abramowitz and Stegun 26.7.3 and 26.7.4).
 */
function centralProbability(theta: number, nu: number): number {
  const sin = Math.sin(theta);
  const cos2 = Math.cos(theta) ** 2;
  const odd = nu % 2 === 1;
  let term = odd ? Math.cos(theta) : 1;
  let sum = nu === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= nu - 2; k += 2) {
    term *= (cos2 * (k - 1)) / k;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (theta + sin * sum) : sin * sum;
}

/** The 97.5 % quantile of Student's t with `nu` degrees of freedom. */
function quantile(nu: number): number {
  let low = 0;
  let high = Math.PI / 2;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return Math.sqrt(nu) * Math.tan(middle);
    if (centralProbability(middle, nu) < 0.95) low = middle;
    else high = middle;
  }
}

/**
 * A mean and its 95 % interval by Student's t: of one measurement repeated, e.g. the accuracy reached from each of
 * several seeds. It says how far the mean of these runs may lie from the mean of all possible runs. It is symmetrical
 * and knows no bounds, so that of an accuracy may pass 1. A single value tells nothing about its spread: its interval
 * is empty, `low = mean = high` with `n = 1`, and reports show it without an interval.
 *
 * @throws SparringError `INVALID_ARGUMENT` without values, `NOT_FINITE` when one is NaN or infinite.
 *
 * @example
 * ```ts
 * import { studentT } from 'sparring';
 *
 * const { mean, low, high } = studentT([0.85, 0.86, 0.87]);
 * console.log(mean.toFixed(3), low.toFixed(3), high.toFixed(3)); // 0.860 0.835 0.885
 * ```
 */
export function studentT(values: ArrayLike<number>): Figure {
  const n = values.length;
  if (n === 0) throw new SparringError('INVALID_ARGUMENT', 'studentT: expected at least one value, received none');
  let sum = 0;
  for (let i = 0; i < n; i++) {
    if (!Number.isFinite(values[i])) {
      throw new SparringError('NOT_FINITE', `studentT: values[${i}]: expected a finite number, received ${values[i]}`);
    }
    sum += values[i]!;
  }
  const rough = sum / n;
  let correction = 0;
  for (let i = 0; i < n; i++) correction += values[i]! - rough;
  const mean = rough + correction / n;
  if (n === 1) return { mean, low: mean, high: mean, n };
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2;
  const half = quantile(n - 1) * Math.sqrt(squares / (n - 1) / n);
  return { mean, low: mean - half, high: mean + half, n };
}

/**
 * The probability that Student's t of `nu` degrees of freedom lies at least as far from 0 as `t`, on either side.
 */
export const twoSidedT = (t: number, nu: number): number =>
  Math.min(1, Math.max(0, 1 - centralProbability(Math.atan(Math.abs(t) / Math.sqrt(nu)), nu)));

/** How many of n values may lie beyond either end of a 95 % interval of the median: the largest k with P(Bin(n, 1/2) < k) <= .025. */
function beyondMedian(n: number): number {
  let logChoose = 0;
  let below = 0;
  for (let k = 0; ; k++) {
    below += Math.exp(logChoose - n * Math.LN2);
    if (below > 0.025) return k;
    logChoose += Math.log((n - k) / (k + 1));
  }
}

/**
 * The median of values and its 95 % interval by order statistics, e.g. of the distances of examples: as `mean`, the middle
 * value, or half way between the two in the middle. The interval supposes nothing of how the values are distributed. Fewer
 * than six values do not make an interval of 95 %: it is then all that they span.
 *
 * @throws SparringError `INVALID_ARGUMENT` without values, `NOT_FINITE` when one is NaN or infinite.
 *
 * @example
 * ```ts
 * import { median } from 'sparring';
 *
 * const { mean, low, high } = median([3, 1, 2, 10, 4, 5, 9, 6, 8, 7]);
 * console.log(mean, low, high); // 5.5 2 9
 * ```
 */
export function median(values: ArrayLike<number>): Figure {
  const n = values.length;
  if (n === 0) throw new SparringError('INVALID_ARGUMENT', 'median: expected at least one value, received none');
  const sorted = Float64Array.from(values).sort();
  const wrong = Array.from(values).findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new SparringError(
      'NOT_FINITE',
      `median: values[${wrong}]: expected a finite number, received ${values[wrong]}`,
    );
  const outside = Math.max(0, beyondMedian(n) - 1);
  const mean = (sorted[(n - 1) >> 1]! + sorted[n >> 1]!) / 2;
  return { mean, low: sorted[outside]!, high: sorted[n - 1 - outside]!, n };
}
