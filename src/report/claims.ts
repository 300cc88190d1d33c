import { points } from './format.js';
import type { Claim, Comparand } from './results.js';

/** A difference of accuracies in points, with its interval. */
export const differenceText = ({ difference: { mean, low, high } }: Comparand) =>
  `${points(mean, 2)} (${points(low, 2)} to ${points(high, 2)})`;

/** A probability as people write it. */
export const probability = (p: number) => (p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`);

/** The comparison that speaks least for a claim. */
const weakest = (comparisons: readonly Comparand[]): Comparand =>
  comparisons.reduce((a, b) => (strength(b) < strength(a) ? b : a));

/** Orders comparisons from clearly against to clearly for. */
const strength = ({ difference: { mean }, p }: Comparand) => Math.sign(mean) * (1 - p);

/** The comparison that speaks least for a claim, in words. */
export function weakestText(comparisons: readonly Comparand[]): string {
  const one = weakest(comparisons);
  return `${one.what}, ${differenceText(one)}, ${probability(one.p)}`;
}

/** How many claims there are of each verdict: `3 confirmed, 1 refuted`. */
export const verdictCounts = (claims: readonly Claim[]) =>
  (['confirmed', 'refuted', 'undecided'] as const)
    .map((verdict) => [claims.filter((claim) => claim.verdict === verdict).length, verdict] as const)
    .filter(([count]) => count > 0)
    .map(([count, verdict]) => `${count} ${verdict}`)
    .join(', ');
