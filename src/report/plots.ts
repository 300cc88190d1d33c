import type { TopLevelSpec } from 'vega-lite';
import { axisOf, compare, groupRows, keysOf, naming, normOf, oursText, type Axis, type Column } from './comparison.js';
import { SparringError } from '../errors.js';
import { hasInterval, list, percent, plainNumber, plural, significant } from './format.js';
import type { Picture } from './picture.js';
import { columnIndex, displayName, titleOf } from './names.js';
import type { Figure, ResultFile, ResultRow } from './results.js';
import { BAR, fit, FONT, GRID, INK, MUTED, PAGE, PAPER, SERIES, textWidth } from './theme.js';

/** What vega-lite is given, checked by drawing it: its own types are too wide to help. */
export interface Drawing {
  title: { text: string; subtitle: string };
  columns: number;
  spacing: number | { row: number; column: number };
  concat: object[];
}

const CONFIG = {
  background: PAGE,
  font: FONT,
  // Labels for every bar would swell the file; the picture as a whole is described where it is shown.
  aria: false,
  view: { stroke: null },
  title: {
    anchor: 'start',
    color: INK,
    fontSize: 15,
    fontWeight: 'bold',
    offset: 14,
    subtitleColor: MUTED,
    subtitleFontSize: 11,
    subtitlePadding: 6,
  },
  axis: {
    labelColor: MUTED,
    labelFontSize: 11,
    titleColor: MUTED,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    titlePadding: 8,
    gridColor: GRID,
    domain: false,
    ticks: false,
    labelPadding: 6,
  },
} as const;

/** Draws what vega-lite is given, in the style of all pictures here. */
export async function draw(drawing: Drawing): Promise<string> {
  const [{ compile }, { parse, View, Warn }] = await Promise.all([import('vega-lite'), import('vega')]);
  const { spec: full } = compile({ ...drawing, config: CONFIG, padding: 16 } as TopLevelSpec);
  const view = new View(parse(full), { renderer: 'none', logLevel: Warn });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

const provenance = ({ profile, seeds }: ResultFile) =>
  seeds.length === 0 ? '' : `${plural(seeds.length, 'seed')}, ${displayName(profile)} profile`;

const clamp = (value: number) => Math.min(1, Math.max(0, value));

const perCent = (expression: string) => `format(100 * ${expression}, '.0f') + '\\u00a0%'`;

/** Moves labels apart that would overprint each other, as little as it takes and within [0, 1]; keeps their order. */
function spread(positions: readonly number[], gap: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]! || a - b);
  const placed = order.map((i) => positions[i]!);
  for (let pass = 0; pass < 100; pass++) {
    for (let k = 1; k < placed.length; k++) {
      const lack = gap - (placed[k]! - placed[k - 1]!);
      if (lack > 1e-9) {
        placed[k - 1]! -= lack / 2;
        placed[k]! += lack / 2;
      }
    }
    const sink = Math.max(0, -placed[0]!);
    const rise = Math.max(0, placed.at(-1)! - 1);
    for (let k = 0; k < placed.length; k++) placed[k]! += sink - rise;
  }
  const result = [...positions];
  order.forEach((i, k) => (result[i] = placed[k]!));
  return result;
}

/** The size of labels in a picture. */
export const LABEL_SIZE = 11;
const PANEL_TITLE = { fontSize: 12, offset: 8, frame: 'group' } as const;
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down'];

/** One panel per network, in each one line per column, named at its end. */
async function lines(result: ResultFile, axis: Axis, title: string): Promise<Picture> {
  const groups = groupRows(
    result.rows.filter((row) => row[axis] !== undefined),
    axis,
  );
  const { common, nameOf } = naming(result, groups.flat(), axis);
  const columns = keysOf(groups.flat(), 'accuracy');
  if (columns.length === 0) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${result.experiment}: expected rows with ${axis} and accuracy, received none`,
    );
  }
  const ends = groups.flat().map((row) => row[axis]!);
  const last = Math.max(...ends);
  const first = Math.min(0, ...ends);
  const [width, height] = groups.length === 1 ? [480, 300] : [320, 220];
  const room = Math.max(...columns.map((column) => textWidth(displayName(column), LABEL_SIZE))) + 16;
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: { domain: [first, last], range: [0, width], nice: false },
  } as const;
  const y = { type: 'quantitative', scale: { domain: [0, 1], nice: false } } as const;

  const panel = (group: ResultRow[]): object => {
    const at = (row: ResultRow) => row[axis]!;
    const series = columns.flatMap((column) => {
      const points = group
        .filter((row) => row.accuracy[column])
        .sort((a, b) => at(a) - at(b))
        .map((row) => ({ x: at(row), ...(row.accuracy[column] as Figure) }));
      return points.length === 0 ? [] : [{ column, points }];
    });
    const labels = spread(
      series.map(({ points }) => points.at(-1)!.mean),
      (LABEL_SIZE + 3) / height,
    );
    return {
      ...(groups.length > 1 && { title: { text: nameOf(group[0]!), ...PANEL_TITLE } }),
      width: width + room,
      height,
      layer: [
        // The axes alone, drawn first and as wide as the plot without the room for the labels.
        {
          data: { values: [{ x: first, y: 0 }] },
          mark: { type: 'point', opacity: 0 },
          encoding: {
            x: {
              ...x,
              axis: {
                title: axis === 'epoch' ? 'Epoch' : `${normOf(result)} length of the perturbation`,
                grid: false,
                domain: true,
                domainColor: MUTED,
                ticks: true,
                tickColor: MUTED,
                tickCount: groups.length === 1 ? 8 : 5,
                ...(axis === 'epoch' && { tickMinStep: 1 }),
                format: '.4~g',
                labelFlush: false,
                // Centred under the lines, without the room for the labels beside them.
                titleX: width / 2,
              },
            },
            y: {
              ...y,
              field: 'y',
              axis: {
                title: null,
                labelExpr: perCent('datum.value'),
                values: [0, 0.2, 0.4, 0.6, 0.8, 1],
                grid: false,
              },
            },
          },
        },
        {
          data: { values: [0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => ({ y: value })) },
          mark: { type: 'rule', color: GRID },
          encoding: { x: { value: 0 }, x2: { value: width }, y: { ...y, field: 'y' } },
        },
        ...series.flatMap(({ column, points }, i) => {
          const index = columnIndex(column, columns);
          const color = SERIES[index % SERIES.length]!;
          const values = points.map(({ x, mean, low, high }) => ({ x, mean, low: clamp(low), high: clamp(high) }));
          return [
            {
              data: { values },
              mark: { type: 'area', color, opacity: 0.16 },
              encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
            },
            {
              data: { values },
              mark: {
                type: 'line',
                color,
                strokeWidth: 2,
                point: points.length <= 24 && { shape: SHAPES[index % SHAPES.length]!, size: 36, color, filled: true },
              },
              encoding: { x, y: { ...y, field: 'mean' } },
            },
            {
              data: { values: [{ x: points.at(-1)!.x, y: labels[i]!, text: displayName(column) }] },
              mark: {
                type: 'text',
                align: 'left',
                baseline: 'middle',
                dx: 9,
                color,
                fontWeight: 'bold',
                fontSize: LABEL_SIZE,
              },
              encoding: { x, y: { ...y, field: 'y' }, text: { field: 'text' } },
            },
          ] as const;
        }),
      ],
    };
  };

  const names = groups.map(([row]) => nameOf(row!));
  const banded = groups.flat().some((row) => Object.values(row.accuracy).some(hasInterval));
  const svg = await draw({
    title: {
      text: `${titleOf(result.experiment)}: ${title}`,
      subtitle: [common.join(', '), banded ? 'Band: 95 % interval' : '', provenance(result)].filter(Boolean).join('. '),
    },
    columns: 2,
    spacing: 28,
    concat: groups.map(panel),
  });
  return {
    name: result.experiment,
    title: `${titleOf(result.experiment)}: ${title}`,
    description: `Lines: ${title} (${[...common, ...names.filter(Boolean)].join('; ')}), for ${list(columns.map(displayName))}.`,
    svg,
  };
}

/**
 * Accuracy against the length of the perturbation (the paper's Figure 1): one line per attack with its 95 % band, one
 * panel per network. Accuracies run from 0 to 1, shown in per cent.
 *
 * @throws SparringError `INVALID_ARGUMENT` when no row has both `epsilon` and an accuracy.
 *
 * @example
 * ```ts
 * import { accuracyAgainstLength, wilson } from 'sparring';
 *
 * const { svg } = await accuracyAgainstLength({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'figure1',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: {},
 *   settings: {},
 *   rows: [
 *     { model: 'lenet', method: 'normal', epsilon: 0, accuracy: { advAlpha: wilson(991, 1000) } },
 *     { model: 'lenet', method: 'normal', epsilon: 1, accuracy: { advAlpha: wilson(762, 1000) } },
 *   ],
 * });
 * console.log(svg.startsWith('<svg')); // true
 * ```
 */
export const accuracyAgainstLength = (result: ResultFile): Promise<Picture> =>
  lines(result, 'epsilon', 'accuracy against the length of the perturbation');

/**
 * Learning curves (the paper's Figure 2): accuracy after each epoch, one line per column with its 95 % band, one panel
 * per network.
 *
 * @throws SparringError `INVALID_ARGUMENT` when no row has both `epoch` and an accuracy.
 *
 * @example
 * ```ts
 * import { learningCurves, wilson } from 'sparring';
 *
 * const { title } = await learningCurves({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'figure2',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: {},
 *   settings: { epsilon: 1.5 },
 *   rows: [1, 2, 3].map((epoch) => ({
 *     model: 'lenet',
 *     method: 'lwa',
 *     epoch,
 *     accuracy: { validation: wilson(960 + 10 * epoch, 1000), advAlpha: wilson(700 + 80 * epoch, 1000) },
 *   })),
 * });
 * console.log(title); // Figure 2: accuracy by epoch
 * ```
 */
export const learningCurves = (result: ResultFile): Promise<Picture> => lines(result, 'epoch', 'accuracy by epoch');

const BAR_WIDTH = 150;
const BAR_STEP = 24;
const PER_ROW = 3;

/**
 * A table as bars: one panel per column, one bar per line with its 95 % interval as whisker, the paper's figure as a
 * tick where it has one. Where no accuracies were measured, times and other measures are drawn, each on its own scale.
 *
 * @throws SparringError `INVALID_ARGUMENT` when the rows hold no figures.
 *
 * @example
 * ```ts
 * import { paperTable1, tableBars, wilson } from 'sparring';
 *
 * const { description } = await tableBars({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'table1',
 *   profile: 'quick',
 *   seeds: [1],
 *   environment: {},
 *   settings: { epsilon: 1.5 },
 *   rows: [{ model: 'mlp', method: 'lwa', accuracy: { validation: wilson(987, 1000), advAlpha: wilson(850, 1000) } }],
 *   paper: paperTable1,
 * });
 * console.log(description); // Bars: Validation and Adv_Alpha of LWA, beside the paper.
 * ```
 */
export async function tableBars(result: ResultFile): Promise<Picture> {
  const { lines, common, decimals, intervals, source, ...table } = compare(result);
  const accuracies = table.columns.filter(({ kind }) => kind === 'accuracy');
  const columns = accuracies.length > 0 ? accuracies : table.columns;
  if (columns.length === 0) {
    throw new SparringError('INVALID_ARGUMENT', `tableBars: ${result.experiment}: expected figures, received none`);
  }
  const names = lines.map(({ label }) => fit(label, 200, LABEL_SIZE));
  const extent = Math.max(...names.map((name) => textWidth(name, LABEL_SIZE))) + 10;
  const height = BAR_STEP * lines.length;

  const panel = (column: Column, i: number): object => {
    const values = lines.flatMap(({ cells }, line) => {
      const { ours, paper } = cells[i]!;
      const text = oursText(cells[i]!, column, decimals);
      return [
        {
          line,
          text,
          ...(paper !== undefined && { paper }),
          ...(ours && { mean: ours.mean, low: ours.low, high: ours.high }),
        },
      ];
    });
    const share = column.kind === 'accuracy';
    const bound = (value: number) => (share ? clamp(value) : value);
    const domain = share
      ? [0, 1]
      : [Math.min(0, ...values.map(({ low = 0 }) => low)), Math.max(0, ...values.map(({ high = 0 }) => high))];
    const room = Math.max(...values.map(({ text }) => textWidth(text, LABEL_SIZE))) + 12;
    const x = { type: 'quantitative', scale: { domain, range: [0, BAR_WIDTH], nice: false, zero: true } } as const;
    const band = {
      type: 'ordinal',
      scale: { domain: lines.map((_, line) => line), paddingInner: 0.34, paddingOuter: 0.17 },
    } as const;
    const shownLabels = i % PER_ROW === 0;
    return {
      title: { text: column.label, ...PANEL_TITLE },
      width: BAR_WIDTH + room,
      height,
      data: {
        values: values.map((value) => ({
          ...value,
          ...('low' in value && { low: bound(value.low), high: bound(value.high!) }),
        })),
      },
      encoding: {
        y: {
          ...band,
          field: 'line',
          axis: shownLabels
            ? {
                title: null,
                labelExpr: `${JSON.stringify(names)}[datum.value]`,
                labelColor: INK,
                labelLimit: 400,
                minExtent: extent,
                maxExtent: extent,
              }
            : null,
        },
      },
      layer: [
        {
          mark: { type: 'bar', color: BAR, height: { band: 1 } },
          encoding: {
            x: {
              ...x,
              field: 'mean',
              axis: {
                title: null,
                values: share ? [0, 0.5, 1] : [0],
                labels: share,
                labelExpr: perCent('datum.value'),
              },
            },
          },
        },
        {
          mark: { type: 'tick', color: PAPER, opacity: 1, thickness: 2.6, height: BAR_STEP * 0.8 },
          encoding: { x: { ...x, field: 'paper' } },
        },
        {
          mark: { type: 'rule', color: INK, strokeWidth: 1.4 },
          encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' } },
        },
        ...(['low', 'high'] as const).map((field) => ({
          mark: { type: 'tick', color: INK, opacity: 1, thickness: 1.4, height: 7 } as const,
          encoding: { x: { ...x, field } },
        })),
        {
          mark: { type: 'text', align: 'left', baseline: 'middle', color: INK, fontSize: LABEL_SIZE },
          encoding: { x: { value: BAR_WIDTH + 8 }, text: { field: 'text' } },
        },
      ],
    };
  };

  const described = columns.map(({ label }) => label);
  const svg = await draw({
    title: {
      text: [titleOf(result.experiment), ...common].join(', '),
      subtitle: [
        `Bar: ours${intervals ? ', with its 95 % interval' : ''}`,
        ...(source === undefined ? [] : ['Upright tick: the paper']),
        provenance(result),
      ].join('. '),
    },
    columns: PER_ROW,
    spacing: { row: 26, column: 6 },
    concat: columns.map(panel),
  });
  return {
    name: result.experiment,
    title: titleOf(result.experiment),
    description: `Bars: ${list(described)} of ${list(lines.map(({ label }) => label))}${source === undefined ? '' : ', beside the paper'}.`,
    svg,
  };
}

/** A panel of its own, drawn alone. */
const alone = { columns: 1, spacing: 0 } as const;

const frame = (title: string, format?: string) =>
  ({
    title,
    ...(format !== undefined && { format }),
    grid: false,
    domain: true,
    domainColor: MUTED,
    ticks: true,
    tickColor: MUTED,
  }) as const;

/**
 * Time against the number of classes, as a multiple of the first perturbation's in the same run: one line per
 * perturbation, and the line of as many times as there are classes. Both axes are logarithmic.
 *
 * @throws SparringError `INVALID_ARGUMENT` when no row has `classes` and `timesAdvLoss`.
 */
async function costAgainstClasses(result: ResultFile): Promise<Picture> {
  const values = result.rows.flatMap(({ attack, classes, measures }) => {
    const times = measures?.timesAdvLoss;
    return classes === undefined || attack === undefined || times === undefined
      ? []
      : [{ attack: displayName(attack), classes, ...times }];
  });
  if (values.length === 0) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${result.experiment}: expected rows with classes and timesAdvLoss, received none`,
    );
  }
  const names = [...new Set(values.map(({ attack }) => attack))];
  const counts = [...new Set(values.map(({ classes }) => classes))].sort((a, b) => a - b);
  const [few, many] = [counts[0]!, counts.at(-1)!];
  const [width, height] = [480, 300];
  const ceiling = Math.max(many, ...values.map(({ high }) => high));
  const floor = Math.min(0.8, ...values.map(({ low }) => Math.max(low, 0.5)));
  const x = {
    field: 'classes',
    type: 'quantitative',
    scale: { type: 'log', domain: [few, many], range: [0, width], nice: false },
  };
  const y = { type: 'quantitative', scale: { type: 'log', domain: [floor, ceiling], nice: false } };
  const room = Math.max(...[...names, 'as many as classes'].map((name) => textWidth(name, LABEL_SIZE))) + 16;
  const ticks = [1, 10, 100, 1000].filter((tick) => tick <= ceiling);
  const ends = names.map((name) => values.filter(({ attack }) => attack === name).at(-1)!);
  const place = (value: number) => (Math.log(value) - Math.log(floor)) / (Math.log(ceiling) - Math.log(floor));
  const labels = spread([...ends.map(({ mean }) => place(mean)), place(many)], (LABEL_SIZE + 3) / height);
  const name = (text: string, color: string, at: number) => ({
    data: { values: [{ text }] },
    mark: { type: 'text', align: 'left', baseline: 'middle', color, fontWeight: 'bold', fontSize: LABEL_SIZE },
    encoding: { x: { value: width + 9 }, y: { value: height * (1 - at) }, text: { field: 'text' } },
  });
  const title = 'time as a multiple of Adv_Loss, by classes';
  const svg = await draw({
    title: {
      text: `${titleOf(result.experiment)}: ${title}`,
      subtitle: 'Band: 95 % interval over repeats. Both axes are logarithmic',
    },
    ...alone,
    concat: [
      {
        width: width + room,
        height,
        layer: [
          {
            data: { values: ticks.map((tick) => ({ tick })) },
            mark: { type: 'rule', color: GRID },
            encoding: {
              x: { value: 0 },
              x2: { value: width },
              y: {
                ...y,
                field: 'tick',
                axis: { title: null, values: ticks, labelExpr: "datum.value + '\u00a0x'", grid: false },
              },
            },
          },
          {
            data: { values: [few, many].map((classes) => ({ classes })) },
            mark: { type: 'line', color: PAPER, strokeDash: [5, 4], strokeWidth: 1.6 },
            encoding: {
              x: { ...x, axis: { ...frame('Classes', 'd'), values: counts, labelOverlap: true, titleX: width / 2 } },
              y: { ...y, field: 'classes' },
            },
          },
          ...names.flatMap((attack, i) => {
            const color = SERIES[columnIndex(attack, names) % SERIES.length]!;
            const series = values.filter((value) => value.attack === attack);
            return [
              {
                data: {
                  values: series.map(({ classes, low, high }) => ({ classes, low: Math.max(low, floor), high })),
                },
                mark: { type: 'area', color, opacity: 0.16 },
                encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
              },
              {
                data: { values: series.map(({ classes, mean }) => ({ classes, mean })) },
                mark: { type: 'line', color, strokeWidth: 2, point: { size: 36, color, filled: true } },
                encoding: { x, y: { ...y, field: 'mean' } },
              },
              name(attack, color, labels[i]!),
            ];
          }),
          name('as many as classes', PAPER, labels.at(-1)!),
        ],
      },
    ],
  });
  return {
    name: result.experiment,
    title: `${titleOf(result.experiment)}: ${title}`,
    description: `Lines: ${title}, for ${list(names)}; the last of ${many} classes is ${list(ends.map(({ attack, mean }) => `${significant(mean)} for ${attack}`))}.`,
    svg,
  };
}

/**
 * How the minimal lengths of perturbations are distributed, from the share of images that withstand each length: one
 * panel of bars per network.
 *
 * @throws SparringError `INVALID_ARGUMENT` when no row has `epsilon` and the column `minimal`.
 */
async function minimalLengths(result: ResultFile): Promise<Picture> {
  const rows = result.rows.filter(({ epsilon, accuracy }) => epsilon !== undefined && accuracy.minimal);
  if (rows.length === 0) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${result.experiment}: expected rows with epsilon and the column minimal, received none`,
    );
  }
  const groups = groupRows(rows, 'epsilon').map((group) => [...group].sort((a, b) => a.epsilon! - b.epsilon!));
  const { common, nameOf } = naming(result, rows, 'epsilon');
  const bars = groups.map((group) =>
    group.slice(1).map((row, i) => ({
      from: group[i]!.epsilon!,
      to: row.epsilon!,
      share: Math.max(0, group[i]!.accuracy.minimal!.mean - row.accuracy.minimal!.mean),
    })),
  );
  const most = Math.max(...bars.flat().map(({ share }) => share));
  const last = Math.max(...bars.flat().map(({ to }) => to));
  const [width, height] = groups.length === 1 ? [480, 240] : [320, 200];
  const title = 'minimal lengths, by Algorithm 1 on the logits, iterated';
  const svg = await draw({
    title: {
      text: `${titleOf(result.experiment)}: ${title}`,
      subtitle: [...common, 'Share of images whose minimal perturbation is as long', provenance(result)].join('. '),
    },
    columns: 2,
    spacing: 28,
    concat: groups.map((group, g) => {
      const beyond = group.at(-1)!.accuracy.minimal!.mean;
      return {
        title: {
          text: nameOf(group[0]!) || displayName(group[0]!.method),
          subtitle: beyond > 0.0005 ? `${percent(beyond, 1)} % longer than ${plainNumber(last)}` : '',
          subtitleColor: MUTED,
          subtitleFontSize: LABEL_SIZE,
          ...PANEL_TITLE,
        },
        width,
        height,
        data: { values: bars[g]! },
        mark: { type: 'bar', color: BAR, stroke: PAGE },
        encoding: {
          x: {
            field: 'from',
            type: 'quantitative',
            scale: { domain: [0, last], nice: false },
            axis: frame(`${normOf(result)} length`, '.4~g'),
          },
          x2: { field: 'to' },
          y: {
            field: 'share',
            type: 'quantitative',
            scale: { domain: [0, most], nice: false },
            axis: { title: null, labelExpr: perCent('datum.value'), tickCount: 4 },
          },
          y2: { datum: 0 },
        },
      };
    }),
  });
  return {
    name: `${result.experiment}-lengths`,
    title: `${titleOf(result.experiment)}: ${title}`,
    description: `Bars: ${title}, of ${list(groups.map(([row]) => nameOf(row!) || displayName(row!.method)))}.`,
    svg,
  };
}

/** The pictures that suit a result, by what its rows differ in; none when there is nothing to draw. */
export async function picturesOf(result: ResultFile): Promise<Picture[]> {
  const axis = axisOf(result);
  if (axis === 'epoch') return [await learningCurves(result)];
  if (axis === 'classes') return [await costAgainstClasses(result)];
  if (axis === 'epsilon') {
    const curve = await accuracyAgainstLength(result);
    return result.rows.some(({ accuracy }) => accuracy.minimal) ? [curve, await minimalLengths(result)] : [curve];
  }
  return compare(result).columns.length > 0 ? [await tableBars(result)] : [];
}
