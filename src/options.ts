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

type Issue = v.BaseIssue<unknown>;

function describe(issue: Issue, known: readonly string[]): string {
  const path = (issue.path ?? []).map((item) => String(item.key)).join('.');
  const last = issue.path?.at(-1);
  if (issue.type === 'strict_object' && issue.expected === 'never' && last !== undefined) {
    return `unknown option: ${oneOf(String(last.key), known)}`;
  }
  if (issue.type === 'picklist' && typeof issue.input === 'string') {
    const choices = [...(issue.expected ?? '').matchAll(/"([^"]*)"/g)].map((match) => match[1]!);
    return `${path}: ${oneOf(issue.input, choices)}`;
  }
  const custom =
    issue.kind === 'validation' || issue.type === 'custom'
      ? issue.message
      : `expected ${issue.expected}, received ${issue.received}`;
  return path === '' ? custom : `${path}: ${custom}`;
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
  throw new SparringError('INVALID_ARGUMENT', `${name}: ${describe(result.issues[0], Object.keys(schema.entries))}`);
}
