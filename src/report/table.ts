import { compare, oursText, type Cell, type Column, type Comparison } from './comparison.js';
import { cut, lengthOfText as width, percent, plural } from './format.js';
import { displayName, oneLine, titleOf } from './names.js';
import { weakestText } from './claims.js';
import type { Claim, ResultFile } from './results.js';

const WIDTH = 99;
const LABEL = 28;
const BETWEEN = 2;

const blank = (size: number) => ' '.repeat(Math.max(0, size));
const left = (text: string, size: number) => text + blank(size - width(text));
const right = (text: string, size: number) => blank(size - width(text)) + text;

const paperText = ({ paper }: Cell, decimals: number) => (paper === undefined ? '' : percent(paper, decimals));

/** What a table's figures are, in one line. */
const legend = ({ columns, intervals, source }: Comparison, paper: string) =>
  [
    columns.some(({ kind }) => kind === 'accuracy') ? 'accuracy in %' : '',
    intervals ? '± 95 % interval' : '',
    source === undefined ? '' : paper,
  ]
    .filter(Boolean)
    .join(', ');

/** What a table is about, in a few words. */
const subject = ({ seeds, profile }: ResultFile, { common }: Comparison) => [
  ...common,
  plural(seeds.length, 'seed'),
  `${displayName(profile)} profile`,
];

/** Columns in blocks that fit the width beside the labels. */
function blocks(widths: readonly number[], room: number): number[][] {
  const result: number[][] = [];
  let rest = 0;
  widths.forEach((size, i) => {
    rest -= size + BETWEEN;
    if (rest < 0 || result.length === 0) {
      result.push([]);
      rest = room - size - BETWEEN;
    }
    result.at(-1)!.push(i);
  });
  return result;
}

/**
 * A result as a table for a terminal, narrower than 100 columns: one line per network, the paper's figures beneath ours.
 * What does not fit beside each other stands below. Accuracies are in per cent.
 *
 * @example
 * ```ts
 * import { textTable, wilson } from 'sparring';
 *
 * const table = textTable({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'mine',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: {},
 *   settings: {},
 *   rows: [{ model: 'mlp', method: 'lwa', accuracy: { validation: wilson(987, 1000) } }],
 * });
 * console.log(table.includes('98.7 ± 0.9')); // true
 * ```
 */
export function textTable(result: ResultFile): string {
  const { claims } = result;
  if (claims === undefined) return figuresText(result);
  return result.rows.length === 0
    ? claimsText(result, claims)
    : `${figuresText(result)}\n${claimsText(result, claims)}`;
}

function figuresText(result: ResultFile): string {
  const comparison = compare(result);
  const { columns, lines, decimals, source } = comparison;
  const heading = [titleOf(result.experiment), ...subject(result, comparison)].join(', ');
  const labels = lines.map(({ label }) => cut(label, LABEL));
  const labelWidth = Math.max(source === undefined ? 0 : width('  paper'), ...labels.map(width));
  const texts = columns.map((column, i) => lines.map(({ cells }) => oursText(cells[i]!, column, decimals)));
  const heads = columns.map(({ label }) => cut(label, LABEL));
  const widths = heads.map((head, i) => Math.max(width(head), ...texts[i]!.map(width)));
  const line = (label: string, cells: readonly string[]) =>
    [left(label, labelWidth), ...cells].join(blank(BETWEEN)).trimEnd();
  /** Beneath our mean, not beneath its interval. */
  const beneath = (i: number, k: number) => {
    const ours = texts[i]![k]!;
    const end = widths[i]! - width(ours) + width(ours.split(' ')[0]!);
    return left(right(paperText(lines[k]!.cells[i]!, decimals), end), widths[i]!);
  };
  const body = blocks(widths, WIDTH - labelWidth).flatMap((block) => [
    '',
    line(
      '',
      block.map((i) => right(heads[i]!, widths[i]!)),
    ),
    ...lines.flatMap(({ cells }, k) => [
      line(
        labels[k]!,
        block.map((i) => right(texts[i]![k]!, widths[i]!)),
      ),
      ...(block.some((i) => cells[i]!.paper !== undefined)
        ? [
            line(
              '  paper',
              block.map((i) => beneath(i, k)),
            ),
          ]
        : []),
    ]),
  ]);
  const foot = source === undefined ? [] : ['', ...wrap(`paper: ${oneLine(source)}`)];
  return `${[...wrap(heading), ...wrap(legend(comparison, 'the paper beneath')), ...body, ...foot].join('\n')}\n`;
}

/** Claims with their verdicts, each with the comparison that speaks least for it. */
function claimsText({ seeds, profile, experiment }: ResultFile, claims: readonly Claim[]): string {
  const heading = `${titleOf(experiment)}, ${plural(seeds.length, 'seed')}, ${displayName(profile)} profile`;
  const lines = claims.flatMap(({ claim, verdict, test, comparisons }) => [
    '',
    ...wrap(`${verdict}: ${claim}`),
    ...wrap(`weakest of ${comparisons.length}: ${weakestText(comparisons)}; ${test}`).map((line) => `  ${line}`),
  ]);
  return `${[heading, ...lines].join('\n')}\n`;
}

function claimsMarkdown(claims: readonly Claim[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `${[
    row(['Claim', 'Verdict', 'What speaks least for it, in points']),
    row(['---', '---', '---']),
    ...claims.map(({ claim, verdict, comparisons }) =>
      row([escapeMarkdown(claim), `**${verdict}**`, escapeMarkdown(weakestText(comparisons))]),
    ),
  ].join('\n')}\n`;
}

/** Breaks a line between words, and a word that is itself too long. */
function wrap(text: string): string[] {
  const words = text.split(' ').flatMap((word) => word.match(new RegExp(`.{1,${WIDTH}}`, 'gu')) ?? []);
  const result: string[] = [];
  for (const word of words) {
    const last = result.at(-1);
    if (last !== undefined && width(last) + 1 + width(word) <= WIDTH) result[result.length - 1] = `${last} ${word}`;
    else result.push(word);
  }
  return result;
}

const escapeMarkdown = (text: string) => text.replace(/[\\`*|<>[\]]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\$&');

/**
 * A result as a Markdown table: the paper's figures in brackets beside ours, the best of each column in bold.
 * Accuracies are in per cent.
 *
 * @example
 * ```ts
 * import { markdownTable, paperTable2, wilson } from 'sparring';
 *
 * const table = markdownTable({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'table2',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: {},
 *   settings: {},
 *   rows: [{ model: 'lenet', method: 'lwa', accuracy: { advLoss: wilson(9600, 10_000) } }],
 *   paper: paperTable2,
 * });
 * console.log(table.includes('| LWA | 96.00 ± 0.40 (95.33) |')); // true
 * ```
 */
export function markdownTable(result: ResultFile): string {
  const { claims } = result;
  if (claims === undefined) return figuresMarkdown(result);
  return result.rows.length === 0 ? claimsMarkdown(claims) : `${figuresMarkdown(result)}\n${claimsMarkdown(claims)}`;
}

function figuresMarkdown(result: ResultFile): string {
  const comparison = compare(result);
  const { columns, lines, decimals, source = '' } = comparison;
  const cell = (value: Cell, column: Column) => {
    const ours = oursText(value, column, decimals);
    const paper = paperText(value, decimals);
    return `${value.best ? `**${ours}**` : ours}${paper === '' ? '' : ` (${paper})`}`;
  };
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const labels = columns.map(({ label }) => escapeMarkdown(label));
  const about = escapeMarkdown(subject(result, comparison).join(', '));
  const units = legend(comparison, `in brackets the paper (${escapeMarkdown(oneLine(source))})`);
  return `${[
    row([escapeMarkdown(titleOf(result.experiment)), ...labels]),
    row(['---', ...labels.map(() => '---:')]),
    ...lines.map(({ label, cells }) =>
      row([escapeMarkdown(label), ...columns.map((column, i) => cell(cells[i]!, column))]),
    ),
    '',
    `${[about, units].filter(Boolean).join('; ')}.`,
  ].join('\n')}\n`;
}
