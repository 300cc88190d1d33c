import { accuracy, duration, hasInterval, interval, percent, plainNumber, quantity, significant } from './format.js';
import { byColumnOrder, columnLabel, displayName, sameName } from './names.js';
import type { Figure, ResultFile, ResultRow } from './results.js';

/** A column of a table: an accuracy, the time, or another measure. */
export interface Column {
  key: string;
  label: string;
  kind: 'accuracy' | 'seconds' | 'measure';
}

/** Ours beside the paper's, as text without unit where the column is an accuracy. */
export interface Cell {
  ours?: Figure;
  paper?: number;
  /** The highest accuracy of its column, as it is shown, among the methods that are compared. */
  best: boolean;
}

/** A line of a table: what sets it apart from the others, and its cells in the order of the columns. */
export interface Line {
  label: string;
  cells: Cell[];
}

/** A result laid out as a table, for whoever draws it. */
export interface Comparison {
  columns: Column[];
  lines: Line[];
  /** What all lines have in common: `LeNet, Normal, L2 length 1.5`. */
  common: string[];
  /** Decimals of every percentage in it. */
  decimals: number;
  /** Whether any figure has an interval to explain. */
  intervals: boolean;
  source?: string;
}

/** The length of a row's perturbations, from the row or from the settings of its experiment. */
export function lengthOf({ settings }: ResultFile, { epsilon }: ResultRow): number | undefined {
  return epsilon ?? (typeof settings.epsilon === 'number' ? settings.epsilon : undefined);
}

/** The norm that lengths are measured in; the paper's unless the settings name another. */
export const normOf = ({ settings }: ResultFile) =>
  displayName(typeof settings.norm === 'string' ? settings.norm : 'l2');

/** What a network's rows may differ in beside its figures; a curve runs along one of them. */
export type Axis = 'epsilon' | 'epoch' | 'classes';

const axes = ['epoch', 'epsilon', 'classes'] as const;

/** Rows that differ in nothing but the axis, in the order of first appearance. */
export function groupRows(rows: readonly ResultRow[], axis: Axis): ResultRow[][] {
  const groups = new Map<string, ResultRow[]>();
  for (const row of rows) {
    const others = axes.filter((name) => name !== axis).map((name) => row[name]);
    const key = JSON.stringify([row.model, row.method, row.attack, ...others]);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return [...groups.values()];
}

/** The axis that a result is a curve along: the epochs trained, the length of the attack, the classes, or none, which is a table. */
export function axisOf({ rows }: ResultFile): Axis | undefined {
  return axes.find((axis) => groupRows(rows, axis).some((group) => new Set(group.map((row) => row[axis])).size > 1));
}

/** What sets rows apart names each of them, and what they have in common is said once; the axis is left out of both. */
export function naming(result: ResultFile, rows: readonly ResultRow[], axis?: Axis) {
  const facets: Record<string, (row: ResultRow) => string | undefined> = {
    model: ({ model }) => displayName(model),
    method: ({ method }) => displayName(method),
    attack: ({ attack }) => (attack === undefined ? undefined : displayName(attack)),
    classes: ({ classes }) => (classes === undefined ? undefined : `${classes} classes`),
    epsilon: (row) => {
      const length = lengthOf(result, row);
      return length === undefined ? undefined : `${normOf(result)} length ${plainNumber(length)}`;
    },
    epoch: ({ epoch }) => (epoch === undefined ? undefined : `epoch ${epoch}`),
  };
  const common: string[] = [];
  const apart: ((row: ResultRow) => string | undefined)[] = [];
  for (const [name, form] of Object.entries(facets)) {
    const texts = new Set(rows.map(form));
    if (name === axis) continue;
    if (texts.size > 1) apart.push(form);
    else common.push(...[...texts].flatMap((text) => text ?? []));
  }
  return { common, nameOf: (row: ResultRow) => apart.flatMap((form) => form(row) ?? []).join(', ') };
}

/** Every name that some row's record has, in the order of the paper's tables. */
export function keysOf(rows: readonly ResultRow[], member: 'accuracy' | 'measures'): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row[member] ?? {})))].sort(byColumnOrder);
}

/** A learning curve is tabled by where it ends: the last epoch of each network at each length. */
export function lastEpochs(rows: readonly ResultRow[]): ResultRow[] {
  return rows.filter(
    (row) =>
      !rows.some(
        (later) =>
          later.model === row.model &&
          later.method === row.method &&
          later.attack === row.attack &&
          later.epsilon === row.epsilon &&
          (later.epoch ?? 0) > (row.epoch ?? 0),
      ),
  );
}

function paperFigure({ paper }: ResultFile, row: ResultRow, column: string): number | undefined {
  const match = paper?.rows.find(
    ({ method, model }) => sameName(method, row.method) && (model === undefined || sameName(model, row.model)),
  );
  const key = Object.keys(match?.accuracy ?? {}).find((name) => sameName(name, column));
  return key === undefined ? undefined : match?.accuracy[key];
}

/** One decimal, or two where the paper gives so many. */
const decimalsOf = (published: readonly number[]) =>
  published.some((paper) => Math.abs(paper * 1000 - Math.round(paper * 1000)) > 1e-6) ? 2 : 1;

/** Lays a result out as a table, with the paper's figures where it has them. */
export function compare(result: ResultFile): Comparison {
  const rows = lastEpochs(result.rows);
  const { common, nameOf } = naming(result, rows);
  const columns: Column[] = [
    ...keysOf(rows, 'accuracy').map((key) => ({ key, label: displayName(key), kind: 'accuracy' as const })),
    ...keysOf(rows, 'measures').map((key) => ({ key, label: columnLabel(key), kind: 'measure' as const })),
    ...(rows.some(({ seconds }) => seconds) ? [{ key: 'seconds', label: 'Time', kind: 'seconds' as const }] : []),
  ];
  const figureOf = (row: ResultRow, { kind, key }: Column): Figure | undefined =>
    kind === 'seconds' ? row.seconds : (kind === 'accuracy' ? row.accuracy : row.measures)?.[key];
  const rivals = (row: ResultRow) =>
    rows.filter((other) => other.model === row.model && lengthOf(result, other) === lengthOf(result, row));

  const papers = rows.map((row) =>
    columns.map(({ kind, key }) => (kind === 'accuracy' ? paperFigure(result, row, key) : undefined)),
  );
  const published = papers.flat().filter((paper) => paper !== undefined);
  const decimals = decimalsOf(published);
  const isBest = (row: ResultRow, column: Column) => {
    const others = rivals(row);
    if (column.kind !== 'accuracy' || others.length < 2) return false;
    const highest = Math.max(...others.flatMap((other) => figureOf(other, column)?.mean ?? []));
    const ours = figureOf(row, column);
    return ours !== undefined && percent(ours.mean, decimals) === percent(highest, decimals);
  };
  const lines = rows.map((row, k) => ({
    label: nameOf(row) || displayName(row.method),
    cells: columns.map((column, i): Cell => {
      const ours = figureOf(row, column);
      const paper = papers[k]![i];
      return { ...(ours && { ours }), ...(paper !== undefined && { paper }), best: isBest(row, column) };
    }),
  }));
  return {
    columns,
    lines,
    common,
    decimals,
    intervals: lines.some(({ cells }) => cells.some(({ ours }) => ours && hasInterval(ours))),
    ...(published.length > 0 && result.paper && { source: result.paper.source }),
  };
}

/** Our figure of a cell as text; accuracies in per cent without the sign. */
export function oursText({ ours }: Cell, { kind }: Column, decimals: number): string {
  if (ours === undefined) return '–';
  if (kind === 'accuracy') return accuracy(ours, decimals);
  return kind === 'seconds' ? duration(ours.mean) : quantity(ours);
}

/** The interval of a cell in words. */
export function intervalText({ ours }: Cell, { kind }: Column, decimals: number): string {
  if (ours === undefined) return 'not measured';
  if (kind === 'accuracy') return interval(ours, (value) => percent(value, decimals));
  return interval(ours, kind === 'seconds' ? duration : significant);
}
