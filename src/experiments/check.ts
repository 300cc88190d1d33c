/** Whether results come out again: one row of a table is trained and measured anew, with its first seed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import { readResults, type Figure, type ResultRow } from '../report/results.js';
import { furtherOf } from './accuracyTable.js';
import { isTable, labelOf, profileOf, tableNames, type Profile, type profiles } from './profiles.js';
import { describeRecipe, reproduce, type ReproduceEvent } from './reproduce.js';

/** How far a figure may come out elsewhere, and one above 1 in proportion: another processor rounds otherwise, and training carries that on. */
const elsewhere = 0.02;

/** What of an environment decides on how numbers are rounded. */
const rounding = ({ blas, blasCore, simd, cpu }: Record<string, unknown>): unknown[] => [blas, blasCore, simd, cpu];

/** Options of {@link checkResults}. */
export interface CheckOptions {
  profile: keyof typeof profiles | Profile;
  /** The folder of the results. */
  out: string;
  signal?: AbortSignal;
}

/** What came of a check. */
export interface Checked {
  type: 'checked';
  experiment: string;
  /** The row that was made again. */
  row: string;
  seed: number;
  /** Whether it had to be the same to the last digit, as on the same processor. */
  exact: boolean;
  columns: { column: string; expected: number; received: number }[];
}

const figuresOf = ({ accuracy, measures }: ResultRow): Record<string, Figure> => ({ ...accuracy, ...measures });

const ofFirstSeed = ({ mean, values }: Figure): number => values?.[0] ?? mean;

/**
 * Trains the cheapest row of a table again with its first seed, measures it, and compares it with the results in a folder:
 * to the last digit on the processor that they were made on, to two hundredths elsewhere.
 *
 * @throws SparringError `INVALID_ARGUMENT` for an experiment that is no table, `NOT_FOUND` or `BAD_FILE` for results that
 * are not there or were made with other settings, `INTERNAL` when a figure does not come out again.
 */
export async function* checkResults(
  name: string,
  { profile: chosen, out, signal }: CheckOptions,
): AsyncGenerator<ReproduceEvent | Checked, void, undefined> {
  if (!isTable(name)) throw new SparringError('INVALID_ARGUMENT', `check: ${oneOf(name, tableNames)}`);
  const profile = profileOf(chosen);
  const path = join(out, `${name}.json`);
  const { rows, seeds, settings, environment: then } = await readResults(path);
  const table = profile[name];
  const { recipes, epsilon } = table;
  const recipe = recipes.find((one) => labelOf(one) === 'normal')!;
  const is = ({ model, method }: { model: string; method: string }): boolean =>
    model === recipe.model && method === labelOf(recipe);
  const expected: ResultRow | undefined = rows.find(is);
  const described = JSON.parse(JSON.stringify(describeRecipe(recipe, seeds.length))) as unknown;
  const networks: unknown[] = Array.isArray(settings.networks) ? settings.networks : [];
  if (
    expected === undefined ||
    !networks.some((network) => isDeepStrictEqual(network, described)) ||
    !Object.entries({ epsilon, ...furtherOf(table) }).every(([key, value]) => isDeepStrictEqual(settings[key], value))
  ) {
    throw new SparringError(
      'BAD_FILE',
      `${path}: expected results of the profile ${profile.name} as it is, received some that were made with other settings`,
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'sparring-check-'));
  try {
    const alone: Profile = { ...profile, [name]: { ...table, recipes: [recipe] } };
    for await (const event of reproduce([name], { profile: alone, seeds: 1, out: folder, ...(signal && { signal }) })) {
      if (event.type === 'progress') yield event;
      if (event.type !== 'result') continue;
      const received = event.result.rows.find(is)!;
      const before = figuresOf(expected);
      const columns = Object.entries(figuresOf(received)).map(([column, figure]) => ({
        column,
        expected: ofFirstSeed(before[column] ?? figure),
        received: figure.mean,
      }));
      const exact = isDeepStrictEqual(rounding(then), rounding(environment()));
      const room = (value: number): number => (exact ? 0 : elsewhere * Math.max(1, value));
      const wrong = columns.find((one) => Math.abs(one.expected - one.received) > room(one.expected));
      const row = `${recipe.model} ${labelOf(recipe)}`;
      if (wrong !== undefined) {
        throw new SparringError(
          'INTERNAL',
          `${path}: ${row}, seed ${seeds[0]}, ${wrong.column}: expected ${wrong.expected} again, received ${wrong.received}`,
        );
      }
      yield { type: 'checked', experiment: name, row, seed: seeds[0]!, exact, columns };
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
