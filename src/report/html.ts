import { axisOf, compare, intervalText, keysOf, oursText, type Cell, type Column } from './comparison.js';
import { list, percent, plural, points } from './format.js';
import { headline, summarize } from './headline.js';
import { specimenImages, type Specimen } from './images.js';
import { dataUri, escapeMarkup } from './markup.js';
import { columnLabel, displayName, meaningOf, oneLine, titleOf } from './names.js';
import type { Picture } from './picture.js';
import { differenceText, probability, weakestText } from './claims.js';
import type { Claim, ResultFile } from './results.js';
import { robustnessSection } from './robustness.js';
import { perturbationKey, specimenWords, type Verdict } from './specimenSheet.js';
import { STYLE } from './style.js';

/** What a report is made of; any part may be missing. */
export interface ReportContent {
  results: readonly ResultFile[];
  specimens?: readonly Specimen[];
  /** Drawings; one with the name of an experiment stands in its section, others at the end. */
  pictures?: readonly Picture[];
}

/** Text in the page; a number stays with its unit. */
const text = (words: string) =>
  escapeMarkup(words).replace(/(\d|±|L[\d∞]) (?=%|±|[\d<]|ms\b|µs\b|s\b|min\b|h\b)/g, '$1\u00a0');

const definitions = (entries: readonly (readonly [string, string])[]) =>
  `<dl>${entries.map(([term, meaning]) => `<dt>${text(term)}</dt><dd>${text(meaning)}</dd>`).join('')}</dl>`;

/** Nested settings as a flat list: `optimizer.learningRate`. */
function flatten(value: unknown, path = ''): [string, string][] {
  const scalar = (item: unknown) => typeof item !== 'object' || item === null;
  if (scalar(value)) return [[path, oneLine(String(value))]];
  if (Array.isArray(value) && value.every(scalar))
    return [[path, value.map((item) => oneLine(String(item))).join(', ')]];
  return Object.entries(value as object).flatMap(([key, member]) =>
    member === undefined ? [] : flatten(member, path === '' ? key : `${path}.${key}`),
  );
}

function figuresTable(result: ResultFile): string {
  const { columns, lines, common, decimals, intervals, source } = compare(result);
  if (columns.length === 0) return '<p class="quiet">No figures yet.</p>';
  const cell = (value: Cell, column: Column) => {
    const [mean, ...spread] = oursText(value, column, decimals).split(' ± ');
    const ours = `${text(mean!)}${spread.length > 0 ? ` <small>±\u00a0${text(spread.join(''))}</small>` : ''}`;
    const theirs =
      value.paper === undefined
        ? ''
        : `<span class="theirs">${percent(value.paper, decimals)}${
            value.ours ? ` (${points(value.ours.mean - value.paper, decimals)})` : ''
          }</span>`;
    const title = escapeMarkup(intervalText(value, column, decimals));
    return `<td${value.best ? ' class="best"' : ''}><span class="ours" title="${title}">${ours}</span>${theirs}</td>`;
  };
  const legend = [
    common.join(', '),
    columns.some(({ kind }) => kind === 'accuracy') ? 'Accuracy in %' : '',
    intervals ? 'Beside a figure: its 95 % interval' : '',
    source === undefined ? '' : 'Beneath: the paper\u2019s, and in brackets ours minus the paper\u2019s, in points',
    lines.some(({ cells }) => cells.some(({ best }) => best)) ? 'Bold: the highest of the methods compared' : '',
  ];
  const legendId = `${escapeMarkup(result.experiment)}-legend`;
  return `<p class="quiet legend" id="${legendId}">${text(legend.filter(Boolean).join('. '))}.</p>
<div class="scroll" tabindex="0"><table class="figures" aria-label="${escapeMarkup(titleOf(result.experiment))}" aria-describedby="${legendId}">
<thead><tr><td></td>${columns.map(({ label }) => `<th scope="col">${text(label)}</th>`).join('')}</tr></thead>
<tbody>
${lines
  .map(
    ({ label, cells }) =>
      `<tr><th scope="row">${text(label)}${
        cells.some(({ paper }) => paper !== undefined) ? '<span class="theirs">paper</span>' : ''
      }</th>${columns.map((column, i) => cell(cells[i]!, column)).join('')}</tr>`,
  )
  .join('\n')}
</tbody></table></div>${source === undefined ? '' : `<p class="quiet source">The paper: ${text(source)}.</p>`}`;
}

const plot = ({ description, svg }: Picture) =>
  `<div class="scroll plot" tabindex="0" role="img" aria-label="${escapeMarkup(description)}">${svg}</div>`;

/** Whether a picture is an experiment's: its own, or one of several, `<experiment>-...`. */
const belongs = (picture: string, experiment: string) => picture === experiment || picture.startsWith(`${experiment}-`);

function claimsTable(claims: readonly Claim[]): string {
  const line = ({ claim, verdict, test, comparisons }: Claim) => {
    const details = comparisons
      .map((one) => `<li>${text(`${one.what}: ${differenceText(one)}, ${probability(one.p)}`)}</li>`)
      .join('');
    return `<tr><td class="${verdict}">${verdict}</td><td><strong>${text(claim)}.</strong> ${text(`Weakest of ${comparisons.length}: ${weakestText(comparisons)}.`)}
<details><summary>${text(`${comparisons.length === 1 ? 'The comparison' : `All ${comparisons.length} comparisons`}, ${test}`)}</summary><ul>${details}</ul></details></td></tr>`;
  };
  return `<p class="quiet legend">Differences of accuracies in points, with their 95 % interval; p is two-sided.</p>
<table class="claims"><tbody>
${claims.map(line).join('\n')}
</tbody></table>`;
}

function experimentSection(result: ResultFile, pictures: readonly Picture[]): string {
  const sentence = summarize(result);
  const drawn = pictures
    .filter(({ name }) => belongs(name, result.experiment))
    .map(plot)
    .join('\n');
  const { claims, robustness = [] } = result;
  // Evaluations in full have tables of their own; claims may stand alone.
  const tabled = robustness.length === 0 && (claims === undefined || result.rows.length > 0);
  const table = tabled ? figuresTable(result) : '';
  const more = [...(claims === undefined ? [] : [claimsTable(claims)]), ...robustness.map(robustnessSection)];
  return `<section id="${escapeMarkup(result.experiment)}">
<h2>${text(titleOf(result.experiment))}</h2>
<p class="quiet eyebrow">${text(`${displayName(result.profile)} profile, ${seedList(result)}`)}</p>
${sentence === undefined ? '' : `<p class="lead">${text(sentence)}</p>`}
${[...(axisOf(result) === undefined ? [table, drawn] : [drawn, table]), ...more].filter(Boolean).join('\n')}
</section>`;
}

const seedList = ({ seeds }: ResultFile) =>
  `${plural(seeds.length, 'seed').replace(/^\d+ /, '')} ${list(seeds.map(String))}`;

function specimenFigure(specimen: Specimen): string {
  const images = specimenImages(specimen);
  const words = specimenWords(specimen, images);
  const image = (png: Uint8Array, name: string, caption: string) =>
    `<div><img src="${dataUri(png)}" width="${images.width}" height="${images.height}" alt="${name}">${caption}</div>`;
  const verdict = ({ right, label, confidence }: Verdict) =>
    `<span class="${right ? 'right' : 'wrong'}">${right ? '✓' : '✗'}\u00a0${text(label)}</span> ${text(confidence)}`;
  return `<figure class="specimen"><h3>${text(words.network)} <span>${text(words.attack)}</span></h3>
<div class="images">${image(images.clean, `clean, ${escapeMarkup(specimen.label)}`, verdict(words.clean))}
${image(images.perturbation, 'perturbation', `<span class="quiet">${text(words.perturbation)}</span>`)}
${image(images.adversarial, 'adversarial', verdict(words.adversarial))}</div>
${words.outside === '' ? '' : `<figcaption>${text(words.outside)}.</figcaption>`}</figure>`;
}

function specimensSection(specimens: readonly Specimen[]): string {
  if (specimens.length === 0) return '';
  return `<section id="specimens"><h2>What the networks say</h2>
<p>Clean image, perturbation, adversarial image; beneath, what the network says and how sure it is. ${text(
    perturbationKey(specimens).join(' '),
  )}</p>
<div class="specimens">
${specimens.map(specimenFigure).join('\n')}
</div></section>`;
}

function readingSection(results: readonly ResultFile[]): string {
  const rows = results.flatMap((result) => result.rows);
  const known = [...keysOf(rows, 'accuracy'), ...keysOf(rows, 'measures')].flatMap((column) => {
    const meaning = meaningOf(column);
    return meaning === undefined ? [] : [[columnLabel(column), meaning] as const];
  });
  const single = results.some(({ seeds }) => seeds.length === 1);
  return `<section id="reading"><h2>How to read the figures</h2>
<p>An accuracy is the share of images classified rightly. Beside it stands the half-width of its 95 % interval; the exact
ends, and the number of seeds or images that the mean is taken over, appear when the figure is pointed at.${
    single ? ' Where there is one seed, how much training itself varies is not in the interval.' : ''
  } What an attack leaves is an upper bound: a stronger one may leave less.</p>
${known.length === 0 ? '' : definitions(known)}</section>`;
}

/** Every result's settings, then each environment once, with the experiments that ran in it. */
function conditionsSection(results: readonly ResultFile[]): string {
  const pairs = (entries: readonly (readonly [string, string])[]) =>
    `<div class="scroll"><table class="settings"><tbody>${entries
      .map(([key, value]) => `<tr><th scope="row">${text(key)}</th><td>${text(value)}</td></tr>`)
      .join('')}</tbody></table></div>`;
  const environments = new Map<string, ResultFile[]>();
  for (const result of results) {
    const key = JSON.stringify(result.environment);
    environments.set(key, [...(environments.get(key) ?? []), result]);
  }
  const titles = (those: readonly ResultFile[]) => list(those.map(({ experiment }) => titleOf(experiment)));
  return `<section id="settings"><h2>Settings</h2>
${results
  .map(
    (result) =>
      `<h3>${text(titles([result]))}</h3>${pairs([
        ['profile', result.profile],
        ['seeds', result.seeds.join(', ')],
        ...flatten(result.settings),
      ])}`,
  )
  .join('\n')}
</section>
<section id="environment"><h2>Environment</h2>
${[...environments.values()].map((those) => `<h3>${text(titles(those))}</h3>${pairs(flatten(those[0]!.environment))}`).join('\n')}
</section>`;
}

const quoted = (word: string) => (/^[\w.-]+$/.test(word) ? word : `'${oneLine(word).replaceAll("'", `'\\''`)}'`);

const reproduceSection = (results: readonly ResultFile[]) => `<section id="reproduce"><h2>How to reproduce</h2>
<p>The same seeds and settings give the same networks and the same attacks.</p>
<pre><code>${results
  .map(({ experiment, profile, seeds }) =>
    escapeMarkup(`sparring reproduce ${experiment} --profile ${quoted(profile)} --seeds ${seeds.length}`),
  )
  .join('\n')}</code></pre></section>`;

/**
 * The report as one HTML page that needs nothing else: no network, no script, no other file. It copes with any part
 * missing. The same content gives the same page.
 *
 * @throws SparringError as `specimenImages`, when a specimen is not a pair of images.
 *
 * @example
 * ```ts
 * import { paperTable1, renderReport, wilson } from 'sparring';
 *
 * const html = renderReport({
 *   results: [
 *     {
 *       format: 'sparring-results',
 *       version: 1,
 *       experiment: 'table1',
 *       profile: 'quick',
 *       seeds: [1],
 *       environment: { node: process.version },
 *       settings: { epsilon: 1.5 },
 *       rows: [{ model: 'mlp', method: 'normal', accuracy: { validation: wilson(980, 1000), advAlpha: wilson(70, 1000) } }],
 *       paper: paperTable1,
 *     },
 *   ],
 * });
 * console.log(html.includes('Normal falls from 98.0')); // true
 * ```
 */
export function renderReport({ results, specimens = [], pictures = [] }: ReportContent): string {
  const experiments = results.map(({ experiment }) => experiment);
  const others = pictures.filter(({ name }) => !experiments.some((experiment) => belongs(name, experiment)));
  const title = headline(results);
  const sections = [
    specimensSection(specimens),
    ...results.map((result) => experimentSection(result, pictures)),
    others.length === 0 ? '' : `<section id="pictures"><h2>Pictures</h2>${others.map(plot).join('\n')}</section>`,
    ...(results.length === 0 ? [] : [readingSection(results), conditionsSection(results), reproduceSection(results)]),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Sparring: ${text(experiments.length === 0 ? 'report' : list(experiments.map(titleOf)))}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<header><p class="quiet eyebrow">Sparring report${experiments.length === 0 ? '' : `: ${text(list(experiments.map(titleOf)))}`}</p>
<h1>${text(title)}</h1></header>
${sections.filter(Boolean).join('\n')}
</main>
</body>
</html>
`;
}
