/** What networks withstand, as a page: curves, single steps beside the worst case, distances, warnings, and the cost. */
import { SparringError } from '../errors.js';
import { accuracy as accuracyText, duration, list, plainNumber, significant } from './format.js';
import { escapeMarkup } from './markup.js';
import { displayName, oneLine } from './names.js';
import type { Picture } from './picture.js';
import { accuracyAgainstLength } from './plots.js';
import type { AttackRecord, ResultRow, RobustnessRecord } from './results.js';
import { STYLE } from './style.js';

const WORST = 'worst case';

const nameOf = ({ model, method }: RobustnessRecord): string => `${displayName(model)}, ${displayName(method)}`;

const labelsOf = ({ robust }: RobustnessRecord): string[] => [...new Set(robust.map(({ attack }) => attack))];

/** A step, an evaluation of where it led, and no more. */
const isSingleStep = ({ distance, blackBox, queries, attacked }: AttackRecord): boolean =>
  !distance && !blackBox && queries <= 2 * attacked;

/** Records as the rows of a result: a point of each network at each length, and where it starts. */
export const curveRows = (records: readonly RobustnessRecord[]): ResultRow[] =>
  records.flatMap((record) => {
    const { model, method, clean, robust, worst } = record;
    const columns = [...labelsOf(record), WORST];
    const start = { model, method, epsilon: 0, accuracy: Object.fromEntries(columns.map((name) => [name, clean])) };
    const points = worst.map(({ epsilon, accuracy }) => ({
      model,
      method,
      epsilon,
      accuracy: {
        ...Object.fromEntries(
          robust.filter((each) => each.epsilon === epsilon).map((each) => [each.attack, each.accuracy]),
        ),
        [WORST]: accuracy,
      },
    }));
    return points.some(({ epsilon }) => epsilon === 0) ? points : [start, ...points];
  });

/**
 * Robust accuracy against the length of the perturbation: one panel per network, one line per attack and one for the
 * worst case, each with its 95 % band and starting at the clean accuracy.
 *
 * @throws SparringError `INVALID_ARGUMENT` without records, or for records of different norms.
 */
export async function robustnessCurves(records: readonly RobustnessRecord[]): Promise<Picture> {
  const [first] = records;
  if (first === undefined)
    throw new SparringError('INVALID_ARGUMENT', 'robustnessCurves: expected at least one record, received none');
  const other = records.find(({ norm }) => norm !== first.norm);
  if (other !== undefined)
    throw new SparringError(
      'INVALID_ARGUMENT',
      `robustnessCurves: expected records of one norm, received ${first.norm} and ${other.norm}`,
    );
  return accuracyAgainstLength({
    format: 'sparring-results',
    version: 1,
    experiment: 'robustness',
    profile: 'evaluation',
    seeds: [],
    environment: {},
    settings: { norm: first.norm },
    rows: curveRows(records),
  });
}

type Cells = readonly string[];

/** A table whose first column are headings. */
function table(label: string, heads: readonly Cells[], rows: readonly Cells[]): string {
  const text = (cell: string): string => escapeMarkup(oneLine(cell));
  // Neighbours of one heading share it.
  const head = (cells: Cells): string => {
    const groups: { cell: string; width: number }[] = [];
    for (const cell of cells)
      if (cell === groups.at(-1)?.cell) groups.at(-1)!.width++;
      else groups.push({ cell, width: 1 });
    const heading = ({ cell, width }: { cell: string; width: number }): string => {
      const span = width > 1 ? ` colspan="${width}"` : '';
      return cell === ''
        ? `<td${span}></td>`
        : `<th scope="${width > 1 ? 'colgroup' : 'col'}"${span}>${text(cell)}</th>`;
    };
    return `<tr>${groups.map(heading).join('')}</tr>`;
  };
  const row = ([first, ...others]: Cells): string =>
    `<tr><th scope="row">${text(first!)}</th>${others.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`;
  return `<div class="scroll" tabindex="0"><table class="figures" aria-label="${escapeMarkup(label)}">
<thead>${heads.map(head).join('')}</thead>
<tbody>${rows.map(row).join('\n')}</tbody></table></div>`;
}

/** Single steps first, then the others, and the worst case beside them. */
function accuracies(record: RobustnessRecord): string {
  const { robust, worst, norm, clean } = record;
  const labels = labelsOf(record);
  const single = labels.filter((label) => robust.filter(({ attack }) => attack === label).every(isSingleStep));
  const others = labels.filter((label) => !single.includes(label));
  const columns = [...single, ...others];
  const kinds = ['', '', ...single.map(() => 'single step'), ...others.map(() => 'iterative or other'), ''];
  const rows = worst.map(({ epsilon, accuracy }) => [
    plainNumber(epsilon),
    accuracyText(clean, 2),
    ...columns.map((label) => {
      const figure = robust.find((each) => each.attack === label && each.epsilon === epsilon);
      return figure === undefined ? '' : accuracyText(figure.accuracy, 2);
    }),
    accuracyText(accuracy, 2),
  ]);
  return table(
    'accuracy',
    [kinds, [`${displayName(norm)} length`, 'Clean', ...columns.map(displayName), 'Worst case']],
    rows,
  );
}

function distances({ distances: all, norm }: RobustnessRecord): string {
  if (all.length === 0) return '';
  const text = (distance: number | null): string => (distance === null ? 'beyond' : significant(distance));
  const parts = all[0]!.quantiles.map(({ part }) => `${plainNumber(100 * part)} %`);
  return `<h3>Distance to the nearest adversarial input, ${escapeMarkup(displayName(norm))}</h3>
${table(
  'distances',
  [['within which', ...parts, 'found']],
  all.map(({ attack, quantiles, found, examples }) => [
    displayName(attack),
    ...quantiles.map(({ distance }) => text(distance)),
    `${found} of ${examples}`,
  ]),
)}`;
}

function costs(record: RobustnessRecord): string {
  const rows = labelsOf(record).map((label) => {
    const all = record.robust.filter(({ attack }) => attack === label);
    // A distance attack ran once, and has its cost at each length.
    const runs = all[0]!.distance ? all.slice(0, 1) : all;
    const sum = (key: 'attacked' | 'queries' | 'backwards' | 'seconds'): number =>
      runs.reduce((total, run) => total + run[key], 0);
    const each = Math.max(1, sum('attacked'));
    return [
      displayName(label),
      String(sum('attacked')),
      significant(sum('queries') / each),
      significant(sum('backwards') / each),
      duration(sum('seconds')),
    ];
  });
  return `<h3>Cost</h3>
${table('cost', [['over all lengths', 'inputs', 'forwards each', 'backwards each', 'time']], rows)}`;
}

const warnings = ({ flags }: RobustnessRecord): string =>
  flags.length === 0
    ? '<p class="quiet">No signs of masked gradients.</p>'
    : `<h3 class="wrong">Warnings</h3>
<ul>${flags.map(({ message }) => `<li class="wrong">${escapeMarkup(oneLine(message))}</li>`).join('\n')}</ul>`;

/** What was measured of a network: its warnings, its accuracy by attack, distances and cost. */
export function robustnessSection(record: RobustnessRecord): string {
  const { examples, norm, clip, survivorsOnly } = record;
  const about = [
    `${examples} inputs`,
    displayName(norm),
    clip === null ? 'not clipped' : `clipped to ${clip.map(plainNumber).join(' to ')}`,
    'accuracy in %, ± 95 % interval',
    ...(survivorsOnly ? ['each attack on what withstood those before it'] : []),
  ];
  return `<section><h2>${escapeMarkup(nameOf(record))}</h2>
<p class="quiet">${escapeMarkup(about.join(', '))}.</p>
${warnings(record)}
${accuracies(record)}
${distances(record)}
${costs(record)}</section>`;
}

/**
 * What networks withstand as one HTML page that needs nothing else: robust-accuracy curves, then for each network its
 * warnings, the accuracy under single steps beside the other attacks and the worst case, distances, and the cost.
 *
 * @param records - The results of evaluations, with the networks' names; all of one norm.
 * @throws SparringError `INVALID_ARGUMENT` without records, or for records of different norms.
 *
 * @example
 * ```ts
 * import { datasets, evaluate, models, renderRobustness, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const evaluation = await evaluate(model, take(test, 20), { attacks: ['advLoss'], epsilons: [0.5, 1] });
 * const page = await renderRobustness([{ model: 'mlp', method: 'normal', ...evaluation }]);
 * console.log(page.includes('MLP, Normal')); // true
 * ```
 */
export async function renderRobustness(records: readonly RobustnessRecord[]): Promise<string> {
  const { svg, description } = await robustnessCurves(records);
  const names = escapeMarkup(list(records.map(nameOf)));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Sparring: robustness of ${names}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<header><p class="quiet eyebrow">Sparring evaluation</p>
<h1>What ${names} withstand${records.length === 1 ? 's' : ''}</h1></header>
<div class="scroll plot" tabindex="0" role="img" aria-label="${escapeMarkup(description)}">${svg}</div>
${records.map(robustnessSection).join('\n')}
</main>
</body>
</html>
`;
}
