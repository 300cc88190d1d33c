import { SparringError } from '../errors.js';
import { significant } from './format.js';
import type { Picture } from './picture.js';
import { draw, LABEL_SIZE } from './plots.js';
import { BAR, fit, INK, MUTED, PAPER, textWidth } from './theme.js';

/** How many times as fast one thing is as another, at something. */
export interface Ratio {
  label: string;
  ratio: number;
}

const WIDTH = 420;
const STEP = 20;

/**
 * Ratios as bars that start at 1, on a logarithmic scale: to the right what is above 1, to the left what is below.
 *
 * @throws SparringError `INVALID_ARGUMENT` without ratios, or with one that is not a positive number.
 */
export async function ratioBars({
  name,
  title,
  subtitle,
  rows,
}: {
  name: string;
  title: string;
  subtitle: string;
  rows: readonly Ratio[];
}): Promise<Picture> {
  const strange = rows.find(({ ratio }) => !(ratio > 0 && Number.isFinite(ratio)));
  if (rows.length === 0 || strange !== undefined) {
    const received = strange === undefined ? 'none' : `${strange.ratio} of ${strange.label}`;
    throw new SparringError('INVALID_ARGUMENT', `ratioBars: expected positive ratios, received ${received}`);
  }
  const labels = rows.map(({ label }) => fit(label, 260, LABEL_SIZE));
  const values = rows.map(({ ratio }, line) => ({
    line,
    ratio,
    one: 1,
    text: `${significant(ratio)}×`,
    end: Math.max(ratio, 1),
    below: ratio < 1,
  }));
  const room = Math.max(...values.map(({ text }) => textWidth(text, LABEL_SIZE))) + 12;
  const ratios = rows.map(({ ratio }) => ratio);
  const domain = [Math.min(0.5, ...ratios), Math.max(2, ...ratios)];
  const ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].filter((at) => at >= domain[0]! && at <= domain[1]!);
  const x = { type: 'quantitative', scale: { type: 'log', domain, range: [0, WIDTH], nice: false } } as const;
  const svg = await draw({
    title: { text: title, subtitle },
    columns: 1,
    spacing: 0,
    concat: [
      {
        width: WIDTH + room,
        height: STEP * rows.length,
        data: { values },
        encoding: {
          y: {
            field: 'line',
            type: 'ordinal',
            scale: { domain: values.map(({ line }) => line), paddingInner: 0.34, paddingOuter: 0.17 },
            axis: {
              title: null,
              labelExpr: `${JSON.stringify(labels)}[datum.value]`,
              labelColor: INK,
              labelLimit: 400,
            },
          },
        },
        layer: [
          {
            mark: { type: 'bar', height: { band: 1 } },
            encoding: {
              x: {
                ...x,
                field: 'one',
                axis: { title: null, values: ticks, labelExpr: "format(datum.value, '~g') + '×'", grid: true },
              },
              x2: { field: 'ratio' },
              color: { condition: { test: 'datum.below', value: PAPER }, value: BAR },
            },
          },
          {
            mark: { type: 'rule', color: MUTED, strokeWidth: 1.4 },
            encoding: { x: { ...x, datum: 1 }, y: null },
          },
          {
            mark: { type: 'text', align: 'left', baseline: 'middle', color: INK, fontSize: LABEL_SIZE, dx: 6 },
            encoding: { x: { ...x, field: 'end' }, text: { field: 'text' } },
          },
        ],
      },
    ],
  });
  const described = rows.map(({ label, ratio }) => `${label} ${significant(ratio)}`).join(', ');
  return { name, title, description: `Bars: ${described}.`, svg };
}
