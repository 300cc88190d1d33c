import * as v from 'valibot';
import { SparringError, type ErrorCode } from '../errors.js';
import { writeFileAtomic } from '../io/atomic.js';
import { badFile } from '../io/bytes.js';
import { readBytes } from '../io/read.js';
import { fault } from '../options.js';
import { byColumnOrder } from './names.js';

/**
 * A mean with its 95 % interval, `low <= mean <= high`. `n` is the number of values the mean is taken over: seeds for
 * `studentT`, examples for `wilson`.
 */
export interface Figure {
  mean: number;
  low: number;
  high: number;
  n: number;
  /** The mean of each seed, in their order, where there are several. */
  values?: number[];
}

/** What one experiment measured on one network: a line of a table, or a point of a curve. */
export interface ResultRow {
  /** The architecture, e.g. `lenet`. */
  model: string;
  /** The training method, e.g. `lwa`. */
  method: string;
  /** Length of the perturbations; absent when the whole experiment has one, in `settings.epsilon`. */
  epsilon?: number;
  /** Epochs trained so far, in a learning curve. */
  epoch?: number;
  /** The perturbation that the whole row is about, e.g. `advAlpha`. */
  attack?: string;
  /** How many classes the network tells apart, where rows differ in that. */
  classes?: number;
  /** Proportion classified rightly, in [0, 1], by column: `validation`, `test`, or the attack that made the inputs. */
  accuracy: Record<string, Figure>;
  /** Wall-clock time, in seconds. */
  seconds?: Figure;
  /** Anything else that was measured, in a unit its name tells, e.g. `backwardRows`. */
  measures?: Record<string, Figure>;
}

/** One comparison that speaks for or against a claim: by how much, and how likely chance alone would do as much. */
export interface Comparand {
  what: string;
  /** As the claim has it when positive. */
  difference: Figure;
  /** Two-sided. */
  p: number;
}

/** A sentence of the paper that can be tested, and what became of it. */
export interface Claim {
  claim: string;
  verdict: 'confirmed' | 'refuted' | 'undecided';
  /** How it was tested. */
  test: string;
  comparisons: Comparand[];
}

/** One attack at one length. */
export interface AttackRecord {
  attack: string;
  epsilon: number;
  accuracy: Figure;
  attacked: number;
  distance: boolean;
  blackBox: boolean;
  queries: number;
  backwards: number;
  seconds: number;
}

/** What was measured of one network: the result of an evaluation, or the JSON of it, with the network's names. */
export interface RobustnessRecord {
  /** The architecture, e.g. `lenet`. */
  model: string;
  /** The training method, e.g. `lwa`. */
  method: string;
  examples: number;
  norm: string;
  clip: readonly [number, number] | null;
  survivorsOnly: boolean;
  clean: Figure;
  robust: readonly AttackRecord[];
  worst: readonly { epsilon: number; accuracy: Figure }[];
  distances: readonly {
    attack: string;
    examples: number;
    found: number;
    median: number | null;
    quantiles: readonly { part: number; distance: number | null }[];
  }[];
  flags: readonly { name: string; message: string }[];
}

/** Published accuracies to stand beside ours. */
export interface PaperResults {
  source: string;
  /** `model` is given where the source has several. */
  rows: { method: string; model?: string; accuracy: Record<string, number> }[];
}

/** What an experiment gave, with everything that gave it; the content of `OUT/<experiment>.json`. */
export interface ResultFile {
  format: 'sparring-results';
  version: 1;
  /** Names the file; letters, digits, `_`, `-` and `.`. */
  experiment: string;
  profile: string;
  seeds: number[];
  environment: Record<string, unknown>;
  /** JSON values. `epsilon` and `norm`, when present, are the length and norm of every row without its own. */
  settings: Record<string, unknown>;
  rows: ResultRow[];
  claims?: Claim[];
  /** Evaluations in full, of which the rows are the curves. */
  robustness?: RobustnessRecord[];
  paper?: PaperResults;
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value as object).every((member) => member === undefined || isJson(member));
}

const finite = v.pipe(v.number(), v.finite());
const name = v.pipe(v.string(), v.nonEmpty());
const proportion = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** An array has names for its members too, but is no record. */
const members = v.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected an object',
);
const record = <S extends v.GenericSchema>(value: S) => v.pipe(members, v.record(name, value));
const json = v.pipe(
  members,
  v.check((value) => isJson(value), 'expected JSON values only'),
);

const figure = (least: number, most: number) =>
  v.pipe(
    v.strictObject({
      mean: v.pipe(finite, v.minValue(least), v.maxValue(most)),
      low: finite,
      high: finite,
      n: v.pipe(count, v.minValue(1)),
      values: v.exactOptional(v.array(finite)),
    }),
    v.check(({ low, mean, high }) => low <= mean && mean <= high, 'expected low <= mean <= high'),
  );

const row = v.strictObject({
  model: name,
  method: name,
  epsilon: v.exactOptional(v.pipe(finite, v.minValue(0))),
  epoch: v.exactOptional(count),
  attack: v.exactOptional(name),
  classes: v.exactOptional(v.pipe(count, v.minValue(2))),
  accuracy: record(figure(0, 1)),
  seconds: v.exactOptional(figure(0, Infinity)),
  measures: v.exactOptional(record(figure(-Infinity, Infinity))),
});

const claim = v.strictObject({
  claim: name,
  verdict: v.picklist(['confirmed', 'refuted', 'undecided']),
  test: name,
  comparisons: v.array(v.strictObject({ what: name, difference: figure(-Infinity, Infinity), p: proportion })),
});

const length = v.pipe(finite, v.minValue(0));

const robustness = v.strictObject({
  model: name,
  method: name,
  examples: count,
  norm: name,
  clip: v.nullable(v.tuple([finite, finite])),
  survivorsOnly: v.boolean(),
  clean: figure(0, 1),
  robust: v.array(
    v.strictObject({
      attack: name,
      epsilon: length,
      accuracy: figure(0, 1),
      attacked: count,
      distance: v.boolean(),
      blackBox: v.boolean(),
      queries: count,
      backwards: count,
      seconds: length,
    }),
  ),
  worst: v.array(v.strictObject({ epsilon: length, accuracy: figure(0, 1) })),
  distances: v.array(
    v.strictObject({
      attack: name,
      examples: count,
      found: count,
      median: v.nullable(length),
      quantiles: v.array(v.strictObject({ part: proportion, distance: v.nullable(length) })),
    }),
  ),
  flags: v.array(v.strictObject({ name, message: name })),
});

const paper = v.strictObject({
  source: name,
  rows: v.array(
    v.strictObject({
      method: name,
      model: v.exactOptional(name),
      accuracy: record(proportion),
    }),
  ),
});

const resultFile = v.strictObject({
  format: v.literal('sparring-results'),
  version: v.literal(1),
  experiment: v.pipe(
    v.string(),
    v.regex(/^[a-z0-9][\w.-]*$/i, 'expected letters, digits, _, - and ., since it names a file'),
  ),
  profile: name,
  seeds: v.pipe(v.array(v.pipe(v.number(), v.safeInteger())), v.minLength(1, 'expected at least one seed')),
  environment: json,
  settings: json,
  rows: v.array(row),
  claims: v.exactOptional(v.array(claim)),
  robustness: v.exactOptional(v.array(robustness)),
  paper: v.exactOptional(paper),
});

function described(issue: v.BaseIssue<unknown>): string {
  if (issue.type !== 'strict_object') return fault(issue);
  if (issue.expected === 'never') return 'expected no such member';
  return issue.received === 'undefined' ? 'expected, but missing' : fault(issue);
}

function check(value: unknown, code: ErrorCode, where: string): ResultFile {
  const result = v.safeParse(resultFile, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = (issue.path ?? []).map(({ key }) => String(key)).join('.');
  throw new SparringError(code, `${where}: ${path === '' ? '' : `${path}: `}${described(issue)}`);
}

/** The same value with the members of every object in alphabetical order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

const columns = <T>(record: Record<string, T>, form: (value: T) => unknown) =>
  Object.fromEntries(
    Object.keys(record)
      .sort(byColumnOrder)
      .map((key) => [key, form(record[key]!)]),
  );

const figureJson = ({ mean, low, high, n, values }: Figure) => ({ mean, low, high, n, values });

/** One spelling for one content: two runs that gave the same can be compared byte by byte. */
function stringify(file: ResultFile): string {
  const { format, version, experiment, profile, seeds, environment, settings, rows, claims, robustness, paper } = file;
  const ordered = {
    format,
    version,
    experiment,
    profile,
    seeds,
    environment: sorted(environment),
    settings: sorted(settings),
    rows: rows.map(({ model, method, epsilon, epoch, attack, classes, accuracy, seconds, measures }) => ({
      model,
      method,
      epsilon,
      epoch,
      attack,
      classes,
      accuracy: columns(accuracy, figureJson),
      seconds: seconds && figureJson(seconds),
      measures: measures && columns(measures, figureJson),
    })),
    claims: claims?.map(({ claim, verdict, test, comparisons }) => ({
      claim,
      verdict,
      test,
      comparisons: comparisons.map(({ what, difference, p }) => ({ what, difference: figureJson(difference), p })),
    })),
    // In the order of the schema, which is that of the type.
    robustness,
    paper: paper && {
      source: paper.source,
      rows: paper.rows.map(({ method, model, accuracy }) => ({
        method,
        model,
        accuracy: columns(accuracy, (value) => value),
      })),
    },
  };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}

/**
 * Reads a result file, and refuses one that is not whole: every member is checked, an unknown one is refused by name.
 *
 * @throws SparringError `NOT_FOUND` when there is no such file, `BAD_FILE` when it is of another format or version, or
 * corrupt.
 *
 * @example
 * ```ts
 * import { readResults, SparringError } from 'sparring';
 *
 * try {
 *   await readResults('results/no-such-experiment.json');
 * } catch (error) {
 *   if (error instanceof SparringError) console.log(error.code); // NOT_FOUND
 * }
 * ```
 */
export async function readResults(path: string): Promise<ResultFile> {
  const text = new TextDecoder().decode(await readBytes(path));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badFile(path, `expected JSON (${(cause as Error).message})`, cause);
  }
  return check(value, 'BAD_FILE', path);
}

/**
 * Writes a result file: whole or not at all, and the same bytes for the same content whatever the order in which its
 * members were filled in.
 *
 * @throws SparringError `INVALID_ARGUMENT` when the content is not what `readResults` would accept; nothing is written.
 *
 * @example
 * ```ts
 * import { mkdtemp } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { readResults, wilson, writeResults } from 'sparring';
 *
 * const path = join(await mkdtemp(join(tmpdir(), 'results-')), 'mine.json');
 * await writeResults(path, {
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'mine',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: { node: process.version },
 *   settings: { epsilon: 1.5 },
 *   rows: [{ model: 'mlp', method: 'lwa', accuracy: { validation: wilson(987, 1000) } }],
 * });
 * console.log((await readResults(path)).rows[0]?.accuracy.validation?.mean); // 0.987
 * ```
 */
export async function writeResults(path: string, file: ResultFile): Promise<void> {
  await writeFileAtomic(path, stringify(check(file, 'INVALID_ARGUMENT', 'writeResults')));
}
