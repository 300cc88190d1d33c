/** What an experiment is: rows of figures from networks of a laboratory. */
import type { Picture } from '../report/picture.js';
import type { Claim, Figure, PaperResults, ResultRow, RobustnessRecord } from '../report/results.js';
import { studentT } from '../report/intervals.js';
import type { Laboratory } from './laboratory.js';
import type { Profile, Recipe } from './profiles.js';

/** What an experiment gives. */
export interface Findings {
  rows: ResultRow[];
  claims?: Claim[];
  robustness?: RobustnessRecord[];
  /** Drawings beside those that every result has, named `<experiment>-...`. */
  pictures?: Picture[];
}

/** One of the paper's tables or figures, as data. */
export interface Experiment {
  /** The recipes of the profile that it needs networks of. */
  recipes(profile: Profile): readonly Recipe[];
  /** Units of work that its measurements take with so many seeds, beside the trainings. */
  units(profile: Profile, seeds: number): number;
  /** Says what is to be looked at while networks are trained, before any is. */
  prepare?(laboratory: Laboratory, seeds: readonly number[]): void;
  measure(laboratory: Laboratory, seeds: readonly number[]): Promise<Findings>;
  /** Settings to stand in the result file. */
  settings(profile: Profile): Record<string, unknown>;
  /** The published figures. */
  paper?: PaperResults;
}

/** What is done with some of the seeds, the first, or with all: a recipe's training, a column's measurement. */
type Repeated = Pick<Recipe, 'seeds'>;

/** Those of the seeds that something is done with. */
export const seedsOf = <T>({ seeds }: Repeated, all: readonly T[]): readonly T[] => all.slice(0, seeds ?? all.length);

/** How often something is done with so many seeds. */
export const countOf = ({ seeds }: Repeated, all: number): number => Math.min(all, seeds ?? all);

/** The figures of several seeds as one: Student's interval over the seeds, and each seed's own. One stays as it is. */
export function merged(figures: readonly Figure[]): Figure {
  if (figures.length === 1) return figures[0]!;
  const values = figures.map(({ mean }) => mean);
  return { ...studentT(values), values };
}

/** Each figure over the seeds that have it. */
function mergedRecord(records: readonly Record<string, Figure>[]): Record<string, Figure> {
  return Object.fromEntries(
    Object.keys(records[0]!).map((key) => [
      key,
      merged(records.flatMap(({ [key]: figure }) => (figure === undefined ? [] : [figure]))),
    ]),
  );
}

/**
 * One row of several seeds' rows. With one seed an interval is the images' (Wilson); with more it is the seeds'
 * (Student's t).
 */
export function overSeeds(rows: readonly ResultRow[]): ResultRow {
  const { seconds, measures, ...first } = rows[0]!;
  return {
    ...first,
    accuracy: mergedRecord(rows.map(({ accuracy }) => accuracy)),
    ...(seconds && { seconds: merged(rows.map((row) => row.seconds!)) }),
    ...(measures && { measures: mergedRecord(rows.map((row) => row.measures ?? {})) }),
  };
}
