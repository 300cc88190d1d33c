import * as v from 'valibot';
import { SparringError } from './errors.js';

/** Damerau-Levenshtein distance (optimal string alignment): how many slips of the finger lie between two names. */
function slips(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => {
    const row = new Array<number>(b.length + 1).fill(0);
    row[0] = i;
    return row;
  });
  for (let j = 0; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      }
      rows[i]![j] = least;
    }
  }
  return rows[a.length]![b.length]!;
}

/** The candidate that a misspelt name most likely meant, or undefined when none is near. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of candidates) {
    const distance = slips(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return least <= Math.max(2, Math.floor(name.length / 3)) ? best : undefined;
}

/** «expected one of a, b, c» with the nearest valid name, for a message. */
export function oneOf(name: string, candidates: readonly string[]): string {
  const meant = nearest(name, candidates);
  return `expected one of ${candidates.join(', ')}, received '${name}'${meant === undefined ? '' : ` (did you mean '${meant}'?)`}`;
}

/** A whole number of at least `least`. */
export const wholeFrom = (least: number): v.GenericSchema<number> =>
  v.pipe(
    v.number(),
    v.check((value) => Number.isSafeInteger(value) && value >= least, `expected a whole number of at least ${least}`),
  );

type Issue = v.BaseIssue<unknown>;

/** A value as messages show it; one that is long by its size. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length <= 8 ? `[${value.map(shown).join(', ')}]` : `${value.length} entries`;
  if (typeof value !== 'object' || value === null) return String(value);
  const { constructor } = value as { constructor?: { name: string } };
  return constructor === undefined || constructor === Object ? 'an object' : constructor.name;
}

/** What the requirements that come without a message of their own expect. */
const requirements: Readonly<Record<string, (bound: string) => string>> = {
  integer: () => 'a whole number',
  safe_integer: () => 'a whole number',
  finite: () => 'a finite number',
  min_value: (least) => `at least ${least}`,
  max_value: (most) => `at most ${most}`,
  min_length: (least) => `a length of at least ${least}`,
  non_empty: () => 'a text that is not empty',
};

/** What a schema or a requirement expects: in the words that it was given, else in those of the table. */
function expectation({ type, message, expected, requirement }: Issue): string {
  if (!message.startsWith('Invalid ')) return message.replace(/^expected /, '');
  return requirements[type]?.(String(requirement)) ?? expected ?? 'another value';
}

/** «expected X, received Y» for an issue, whoever worded it. */
export function fault(issue: Issue): string {
  const { type, input, expected } = issue;
  if (type === 'picklist' && typeof input === 'string') {
    return oneOf(
      input,
      [...(expected ?? '').matchAll(/"([^"]*)"/g)].map((match) => match[1]!),
    );
  }
  const what = expectation(issue);
  return what.includes('received ') ? `expected ${what}` : `expected ${what}, received ${shown(input)}`;
}

const isUnknown = ({ type, expected }: Issue): boolean => type === 'strict_object' && expected === 'never';

function describe(issues: readonly [Issue, ...Issue[]], { entries }: { entries: v.ObjectEntries }): string {
  // A misspelt name says more than that the right one is missing.
  const first = issues.find(isUnknown) ?? issues[0];
  // Of the kinds that a union allows, the fault of the one that was meant.
  const meant = first.issues?.find(
    ({ path, type, input }) => path ?? (type === 'picklist' && typeof input === 'string'),
  );
  const issue = meant ?? first;
  const keys = [...(first.path ?? []), ...(meant?.path ?? [])].map((item) => String(item.key));
  const path = keys.join('.');
  if (isUnknown(issue)) return `unknown option: ${oneOf(keys.at(-1)!, Object.keys(entries))}`;
  if (issue.type === 'strict_object' && keys.length > 0 && issue.input === undefined)
    return `${path}: expected ${entries[path]?.expects ?? 'a value'}, received nothing`;
  return path === '' ? fault(issue) : `${path}: ${fault(issue)}`;
}

/**
 * Reads an options object against its strict schema; the first fault is refused by name, a misspelt name with the
 * nearest valid one.
 */
export function parseOptions<S extends v.StrictObjectSchema<v.ObjectEntries, undefined>>(
  schema: S,
  value: unknown,
  name: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value ?? {});
  if (result.success) return result.output;
  throw new SparringError('INVALID_ARGUMENT', `${name}: ${describe(result.issues, schema)}`);
}
