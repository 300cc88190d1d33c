/** Text in columns. */
import { lengthOfText } from '../report/format.js';

/** Rows of cells as lines, indented by two: the first column to the left, the others to the right. */
export function grid(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, lengthOfText(cell))));
  const blank = (cell: string, i: number): string => ' '.repeat(widths[i]! - lengthOfText(cell));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell + blank(cell, i) : blank(cell, i) + cell)).join('  ');
  return rows.map((row) => `  ${line(row).trimEnd()}\n`).join('');
}

/** Names with what they stand for, one a line, indented by two. */
export function entries(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => lengthOfText(name)));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('');
}
