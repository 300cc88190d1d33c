/** What an experiment is: rows of figures from networks of a laboratory. */
import type { Figure, PaperResults, ResultRow } from '../report/results.js';
import { studentT } from '../report/intervals.js';
import type { Laboratory } from './laboratory.js';
import type { Profile, Recipe } from './profiles.js';

/** One of the paper's tables or figures, as data. */
export interface Experiment {
  /** The recipes of the profile that it needs networks of. */
  recipes(profile: Profile): readonly Recipe[];
  /** Units of work that its measurements take with a seed, beside the trainings. */
  units(profile: Profile): number;
  /** Measures with one seed: rows whose figures are of that seed's images. */
  measure(laboratory: Laboratory, seed: number): Promise<ResultRow[]>;
  /** Settings to stand in the result file. */
  settings(profile: Profile): Record<string, unknown>;
  /** The published figures. */
  paper?: PaperResults;
}

function merged(figures: readonly Figure[]): Figure {
  return figures.length === 1 ? figures[0]! : studentT(figures.map(({ mean }) => mean));
}

function mergedRecord(records: readonly Record<string, Figure>[]): Record<string, Figure> {
  return Object.fromEntries(
    Object.keys(records[0]!).map((key) => [key, merged(records.map((record) => record[key]!))]),
  );
}

/**
 * The rows of several seeds as one table. With one seed an interval is the images' (Wilson); with more it is the seeds'
 * (Student's t).
 */
export function overSeeds(runs: readonly ResultRow[][]): ResultRow[] {
  return runs[0]!.map((row, index) => {
    const rows = runs.map((run) => run[index]!);
    return {
      ...row,
      accuracy: mergedRecord(rows.map(({ accuracy }) => accuracy)),
      ...(row.seconds && { seconds: merged(rows.map(({ seconds }) => seconds!)) }),
    };
  });
}
