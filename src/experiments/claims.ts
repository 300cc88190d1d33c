import { mcnemar, pairedT, type Difference } from '../report/paired.js';
import { displayName } from '../report/names.js';
import type { Claim, Comparand, ResultRow } from '../report/results.js';
import { measured } from './cells.js';
import { paperColumns } from './columns.js';
import { cost } from './cost.js';
import { count } from './accuracyTable.js';
import { seedsOf, type Experiment } from './experiment.js';
import { figure1 } from './figure1.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Recipe, type TablePlan } from './profiles.js';
import { table1 } from './table1.js';
import { table2 } from './table2.js';

/** Below this a difference that chance would hardly make is no longer taken for chance. */
const level = 0.05;

/** What «comparable», «slightly» and «no trade-off» leave room for, as a difference of two accuracies. */
const room = { comparable: 0.05, slightly: 0.05, tradeOff: 0.002 };

/** Whether a comparison, one of so many, speaks against a claim by more than chance (with Bonferroni's correction). */
export const against =
  (comparisons: number) =>
  ({ difference, p }: Comparand): boolean =>
    difference.mean < 0 && p < level / comparisons;

/**
 * What comparisons make of a claim that each of them should be positive: confirmed when all are, by more than chance;
 * refuted when one is negative by more than chance (with Bonferroni's correction for having looked at all of them).
 */
export function verdictOf(comparisons: readonly Comparand[]): Claim['verdict'] {
  if (comparisons.length === 0) return 'undecided';
  if (comparisons.every(({ difference, p }) => difference.mean > 0 && p < level)) return 'confirmed';
  return comparisons.some(against(comparisons.length)) ? 'refuted' : 'undecided';
}

/** The outcomes of a network's images, by column, for each of the seeds. */
type Outcomes = (column: string) => Uint8Array[];

/** A network of the tables with its outcomes. */
interface Subject {
  recipe: Recipe;
  name: string;
  label: string;
  outcomes: Outcomes;
}

/** Two series of outcomes, on the same images of the same seeds, compared; `margin` is granted to the first. */
export function compared(
  what: string,
  first: readonly Uint8Array[],
  second: readonly Uint8Array[],
  margin = 0,
): Comparand {
  const seeds = Math.min(first.length, second.length);
  const accuracies = (each: readonly Uint8Array[]): number[] =>
    each.slice(0, seeds).map((standing) => count(standing) / standing.length);
  const shifted = ({ difference: { mean, low, high, n }, p }: Difference): Comparand => ({
    what,
    difference: { mean: mean + margin, low: low + margin, high: high + margin, n },
    p,
  });
  if (seeds > 1) return shifted(pairedT(accuracies(first), accuracies(second), -margin));
  const found = mcnemar(first[0]!, second[0]!);
  return shifted(margin === 0 ? found : { ...found, p: withMargin(found, margin) });
}

/** The two-sided probability that a difference of proportions is -margin, by the normal approximation. */
function withMargin({ difference: { mean, high } }: Difference, margin: number): number {
  const spread = (high - mean) / 1.959963984540054;
  if (spread === 0) return mean + margin === 0 ? 1 : 0;
  return twoSidedNormal((mean + margin) / spread);
}

/** The probability that a standard normal number is at least as far from 0 (Abramowitz and Stegun 7.1.26). */
function twoSidedNormal(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.min(1, polynomial * Math.exp(-x * x));
}

const adversarial = ['fixed', 'advLossSign', 'advLoss', 'advAlpha'];

const plans = ({ table1, table2 }: Laboratory['profile']): TablePlan[] => [table1, table2];

async function subjectsOf(laboratory: Laboratory, seeds: readonly number[]): Promise<Subject[]> {
  const subjects = new Map<string, Subject>();
  for (const plan of plans(laboratory.profile)) {
    for (const recipe of plan.recipes) {
      const found: Record<string, Uint8Array[]> = {};
      for (const seed of seedsOf(recipe, seeds)) {
        for (const column of paperColumns) {
          const standing = await measured(laboratory, plan, recipe, seed, column);
          if (standing !== undefined) (found[column.name] ??= []).push(standing);
        }
      }
      const label = labelOf(recipe);
      const name = `${displayName(recipe.model)}, ${displayName(label)}`;
      if (!subjects.has(name)) subjects.set(name, { recipe, name, label, outcomes: (column) => found[column] ?? [] });
    }
  }
  return [...subjects.values()];
}

/** Whether one column stands above another on every network. */
const columnsCompared = (subjects: readonly Subject[], upper: string, lower: string, margin?: number): Comparand[] =>
  subjects.map(({ name, outcomes }) =>
    compared(`${name}: ${displayName(upper)} over ${displayName(lower)}`, outcomes(upper), outcomes(lower), margin),
  );

/** A method's network and another's of the same architecture, for each architecture that has both. */
function pairsOf(subjects: readonly Subject[], first: string, second: string): [Subject, Subject][] {
  return subjects
    .filter(({ label }) => label === first)
    .flatMap((one) =>
      subjects
        .filter(({ label, recipe }) => label === second && recipe.model === one.recipe.model)
        .map((other): [Subject, Subject] => [one, other]),
    );
}

/** Whether a method stands above another, column by column. */
const methodsCompared = (
  pairs: readonly [Subject, Subject][],
  names: readonly string[],
  margin?: number,
): Comparand[] =>
  pairs.flatMap(([one, other]) =>
    names
      .filter((column) => one.outcomes(column).length > 0 && other.outcomes(column).length > 0)
      .map((column) =>
        compared(
          `${one.name} over ${displayName(other.label)}, ${displayName(column)}`,
          one.outcomes(column),
          other.outcomes(column),
          margin,
        ),
      ),
  );

/** Figure 1's accuracies, by length, where there is an accuracy of each seed to compare. */
function curvesCompared(rows: readonly ResultRow[], upper: string, lower: string, margin = 0): Comparand[] {
  return rows.flatMap(({ model, method, epsilon = 0, accuracy }) => {
    const [first, second] = [accuracy[upper]?.values, accuracy[lower]?.values];
    if (epsilon === 0 || method !== 'normal' || first === undefined || second === undefined) return [];
    const { difference, p } = pairedT(first, second, -margin);
    const { mean, low, high, n } = difference;
    const what = `${displayName(model)}, ${displayName(method)}, length ${epsilon}: ${displayName(upper)} over ${displayName(lower)}`;
    return [{ what, difference: { mean: mean + margin, low: low + margin, high: high + margin, n }, p }];
  });
}

/** How much less Adv_Alpha costs than as many times Adv_Loss as there are classes, as a share of that. */
function costCompared(rows: readonly ResultRow[]): Comparand[] {
  return rows.flatMap(({ attack, classes = 0, measures }) => {
    const times = measures?.timesAdvLoss?.values;
    if (attack !== 'advAlpha' || times === undefined) return [];
    const shares = times.map((value) => value / classes);
    return [
      {
        what: `${classes} classes: share of ${classes} times Adv_Loss, less 1`,
        ...pairedT(
          shares,
          shares.map(() => 1),
        ),
      },
    ];
  });
}

const overImages = 'McNemar over the images (one seed)';
const overSeeds = 'paired t over the seeds';

function claimsOf(
  subjects: readonly Subject[],
  curves: readonly ResultRow[],
  costs: readonly ResultRow[],
  seeds: number,
): Claim[] {
  const usual = subjects.filter(({ label }) => label === 'normal');
  const papers = ['normal', 'dropout', 'goodfellow', 'lwaRep'];
  const dense = subjects.filter(({ recipe }) => recipe.model === 'mlp');
  const points = (share: number): string => `${Number((share * 100).toPrecision(3))} points`;
  /** The tests behind comparisons: a network of one seed is compared image by image. */
  const testsOf = (comparisons: readonly Comparand[]): string =>
    [...new Set(comparisons.map(({ difference: { n } }) => (n <= seeds ? overSeeds : overImages)))].join(', or ');
  const claim = (words: string, comparisons: readonly Comparand[], allowed?: number): Claim => ({
    claim: words,
    verdict: verdictOf(comparisons),
    test: `${testsOf(comparisons)}${allowed === undefined ? '' : `, room of ${points(allowed)}`}`,
    comparisons: [...comparisons],
  });
  const within = (pairs: readonly [Subject, Subject][], names: readonly string[]): Comparand[] => [
    ...methodsCompared(pairs, names, room.comparable),
    ...methodsCompared(
      pairs.map(([one, other]): [Subject, Subject] => [other, one]),
      names,
      room.comparable,
    ),
  ];
  return [
    claim('Adv_Alpha is consistently more efficient than Adv_Loss: on every network and at every length', [
      ...columnsCompared(subjects, 'advLoss', 'advAlpha'),
      ...curvesCompared(curves, 'advLoss', 'advAlpha'),
    ]),
    claim(
      'but slightly: on every network the two are closer than the room given',
      columnsCompared(subjects, 'advAlpha', 'advLoss', room.slightly),
      room.slightly,
    ),
    claim('Both are significantly more efficient than Adv_Loss_Sign', [
      ...columnsCompared(subjects, 'advLossSign', 'advLoss'),
      ...columnsCompared(subjects, 'advLossSign', 'advAlpha'),
      ...curvesCompared(curves, 'advLossSign', 'advLoss'),
    ]),
    claim(
      'LWA is the most robust: above every other method of the paper on every adversarial set',
      papers.flatMap((other) => methodsCompared(pairsOf(subjects, 'lwa', other), adversarial)),
    ),
    claim(
      'LWA is the best on clean images too',
      papers.flatMap((other) => methodsCompared(pairsOf(subjects, 'lwa', other), ['validation'])),
    ),
    claim(
      'There is no trade-off between robustness and accuracy: LWA loses nothing on clean images',
      methodsCompared(pairsOf(subjects, 'lwa', 'normal'), ['validation'], room.tradeOff),
      room.tradeOff,
    ),
    claim(
      'Dropout improves accuracy and robustness',
      methodsCompared(pairsOf(dense, 'dropout', 'normal'), ['validation', 'advLossSign', 'advLoss', 'advAlpha']),
    ),
    claim(
      "but its robustness stays weak: Goodfellow's method is above it on every adversarial set",
      methodsCompared(pairsOf(dense, 'goodfellow', 'dropout'), adversarial),
    ),
    claim(
      "Goodfellow's method improves robustness greatly",
      methodsCompared(pairsOf(dense, 'goodfellow', 'normal'), adversarial),
    ),
    claim(
      "LWA_Rep is comparable to Goodfellow's method: no farther apart than the room given on any adversarial set",
      within(pairsOf(dense, 'lwaRep', 'goodfellow'), adversarial),
      room.comparable,
    ),
    claim(
      'A fixed adversarial set flatters: images made on the network itself are harder',
      columnsCompared(
        subjects.filter((subject) => !usual.includes(subject)),
        'fixed',
        'advLoss',
      ),
    ),
    {
      ...claim('Adv_Alpha costs as many times Adv_Loss as there are classes', costCompared(costs)),
      test: 't over repeated timings',
      verdict: costVerdict(costCompared(costs)),
    },
  ].filter(({ comparisons }) => comparisons.length > 0);
}

/** The claim is an equality: a quarter more or less confirms it, a difference beyond that refutes it. */
function costVerdict(comparisons: readonly Comparand[]): Claim['verdict'] {
  const quarter = 0.25;
  if (comparisons.every(({ difference: { low, high } }) => low > -quarter && high < quarter)) return 'confirmed';
  return comparisons.some(({ difference: { low, high } }) => high < -quarter || low > quarter)
    ? 'refuted'
    : 'undecided';
}

/** Every sentence of the paper that these experiments can test, with what became of it. */
export const claims: Experiment = {
  recipes: (profile) => [table1, table2, figure1].flatMap((experiment) => [...experiment.recipes(profile)]),
  units: (profile, seeds) =>
    [table1, table2, figure1, cost].reduce((sum, experiment) => sum + experiment.units(profile, seeds), 0),
  settings: () => ({
    level,
    room,
    rule: 'confirmed: every comparison is positive with p below the level; refuted: one is negative with p below the level divided by their number',
  }),
  async measure(laboratory, seeds) {
    const subjects = await subjectsOf(laboratory, seeds);
    const { rows: curves } = await figure1.measure(laboratory, seeds);
    const { rows: costs } = await cost.measure(laboratory, seeds);
    return { rows: [], claims: claimsOf(subjects, curves, costs, seeds.length) };
  },
};
