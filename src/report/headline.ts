import { axisOf, groupRows, keysOf, lastEpochs, lengthOf, normOf, naming } from './comparison.js';
import { verdictCounts } from './claims.js';
import { percent, plainNumber, plural, significant } from './format.js';
import { displayName, isClean, sameName } from './names.js';
import type { Figure, ResultFile, ResultRow } from './results.js';

const right = (proportion: number) => `${percent(proportion, 1)} %`;

const attacks = (row: ResultRow) => Object.entries(row.accuracy).filter(([column]) => !isClean(column));

/** What the strongest attack leaves of a network: the least over all attacked columns. */
const worst = (row: ResultRow) => Math.min(...attacks(row).map(([, { mean }]) => mean));

function clean(row: ResultRow): Figure | undefined {
  const column = keysOf([row], 'accuracy').find(isClean);
  return column === undefined ? undefined : row.accuracy[column];
}

/** The undefended network if it is there, else the weakest: what the others are held against. */
function reference(rows: readonly ResultRow[]): ResultRow {
  return rows.find(({ method }) => sameName(method, 'normal')) ?? rows.reduce((a, b) => (worst(b) < worst(a) ? b : a));
}

function tableSentence(result: ResultFile): string | undefined {
  const attacked = lastEpochs(result.rows).filter((row) => attacks(row).length > 0);
  if (attacked.length === 0) return undefined;
  const base = reference(attacked);
  const length = lengthOf(result, base);
  // Figures taken at another length, or of another architecture, are no comparison.
  const rivals = attacked.filter((row) => row !== base && row.model === base.model && lengthOf(result, row) === length);
  const [from, to] = [clean(base)?.mean, worst(base)];
  const fall =
    from === undefined
      ? `is left with ${right(to)}`
      : `${to < from ? 'falls' : 'goes'} from ${right(from)} to ${right(to)}`;
  const budget = length === undefined ? '' : `At ${article(normOf(result))} length of ${plainNumber(length)}, `;
  const start = `${budget}${displayName(base.method)} ${fall} under the strongest attack tried`;
  if (rivals.length === 0) return `${start}.`;
  const best = rivals.reduce((a, b) => (worst(b) > worst(a) ? b : a));
  if (worst(best) <= to) return `${start}; no other method tried keeps more.`;
  return `${start}; ${displayName(best.method)} keeps ${right(worst(best))}.`;
}

const article = (norm: string) => (/^[AEFHILMNORSX]/.test(norm) ? `an ${norm}` : `a ${norm}`);

function curveSentence(result: ResultFile): string | undefined {
  const attacked = result.rows.filter((row) => row.epsilon !== undefined && attacks(row).length > 0);
  if (attacked.length === 0) return undefined;
  const { nameOf } = naming(result, attacked, 'epsilon');
  const networks = groupRows(attacked, 'epsilon').map((rows) => {
    const byLength = [...rows].sort((a, b) => a.epsilon! - b.epsilon!);
    return {
      method: rows[0]!.method,
      name: nameOf(rows[0]!) || displayName(rows[0]!.method),
      broken: byLength.find((row) => worst(row) < 0.5),
      least: Math.min(...rows.map(worst)),
      last: byLength.at(-1)!.epsilon!,
    };
  });
  const resistance = ({ broken, least }: (typeof networks)[number]) => broken?.epsilon ?? 1e300 + least;
  const base = networks.find(({ method }) => sameName(method, 'normal')) ?? networks[0]!;
  const best = networks.reduce((a, b) => (resistance(b) > resistance(a) ? b : a));
  const norm = normOf(result);
  if (base.broken === undefined) {
    return `Up to ${article(norm)} length of ${plainNumber(base.last)}, ${base.name} keeps at least ${right(base.least)}.`;
  }
  const start = `At ${article(norm)} length of ${plainNumber(base.broken.epsilon!)}, ${base.name} is wrong more often than right`;
  if (resistance(best) === resistance(base)) return `${start}.`;
  const rest =
    best.broken === undefined
      ? `keeps at least ${right(best.least)} up to ${plainNumber(best.last)}`
      : `only from ${plainNumber(best.broken.epsilon!)} on`;
  return `${start}; ${best.name} ${rest}.`;
}

function costSentence(result: ResultFile): string | undefined {
  const timed = result.rows.flatMap((row) => (row.seconds ? [{ row, seconds: row.seconds.mean }] : []));
  if (timed.length < 2) return undefined;
  const { nameOf } = naming(result, result.rows);
  const slow = timed.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  const fast = timed.reduce((a, b) => (b.seconds < a.seconds ? b : a));
  if (fast.seconds <= 0 || slow === fast) return undefined;
  return `${nameOf(slow.row)} takes ${significant(slow.seconds / fast.seconds)} times as long as ${nameOf(fast.row)}.`;
}

/** What the last attack takes, as often as the first, with the paper's ten classes or the nearest number, and the most. */
function classesSentence({ rows }: ResultFile): string | undefined {
  const timed = rows.flatMap(({ attack, classes, measures }) =>
    attack !== undefined && classes !== undefined && measures?.timesAdvLoss
      ? [{ attack, classes, times: measures.timesAdvLoss.mean }]
      : [],
  );
  const dearest = timed.filter(({ attack }) => attack === timed.at(-1)!.attack);
  if (dearest.length === 0) return undefined;
  const usual = dearest.reduce((a, b) => (Math.abs(b.classes - 10) < Math.abs(a.classes - 10) ? b : a));
  const most = dearest.at(-1)!;
  const say = ({ classes, times }: typeof most) => `with ${classes} classes ${significant(times)} times as long`;
  const name = displayName(most.attack);
  return `${name} takes ${say(usual)} as Adv_Loss${most === usual ? '' : `, ${say(most)}`}.`;
}

/** How far apart the perturbations are in the share of their energy that few pixels hold. */
function concentrationSentence({ rows }: ResultFile): string | undefined {
  const shares = rows.flatMap(({ attack, measures }) =>
    attack !== undefined && measures?.energyInOnePercentOfPixels
      ? [{ attack, share: measures.energyInOnePercentOfPixels.mean }]
      : [],
  );
  const artificial = shares.find(({ attack }) => sameName(attack, 'concentrated'));
  const found = shares.filter(({ attack }) => !sameName(attack, 'concentrated'));
  if (artificial === undefined || found.length === 0) return undefined;
  const most = found.reduce((a, b) => (b.share > a.share ? b : a));
  return `The hundredth of the pixels that change most hold at most ${right(most.share)} of a perturbation's energy (${displayName(most.attack)}); of one that is made to be concentrated, ${right(artificial.share)}.`;
}

/**
 * A result in one plain sentence, computed from its figures; nothing when they make none.
 *
 * @example
 * ```ts
 * import { summarize, wilson } from 'sparring';
 *
 * const row = (method: string, validation: number, advAlpha: number) => ({
 *   model: 'mlp',
 *   method,
 *   accuracy: { validation: wilson(validation, 1000), advAlpha: wilson(advAlpha, 1000) },
 * });
 * const sentence = summarize({
 *   format: 'sparring-results',
 *   version: 1,
 *   experiment: 'table1',
 *   profile: 'paper',
 *   seeds: [1],
 *   environment: {},
 *   settings: { epsilon: 1.5 },
 *   rows: [row('normal', 980, 78), row('lwa', 987, 857)],
 * });
 * // At an L2 length of 1.5, Normal falls from 98.0 % to 7.8 % under the strongest attack tried; LWA keeps 85.7 %.
 * console.log(sentence);
 * ```
 */
export function summarize(result: ResultFile): string | undefined {
  if (result.claims !== undefined && result.rows.length === 0)
    return `Of ${plural(result.claims.length, 'claim')} of the paper: ${verdictCounts(result.claims)}.`;
  const axis = axisOf(result);
  if (axis === 'epsilon') return curveSentence(result);
  if (axis === 'classes') return classesSentence(result);
  return tableSentence(result) ?? concentrationSentence(result) ?? costSentence(result);
}

/** The one sentence for all results: of the first table if there is one, else of the first curve, else of any. */
export function headline(results: readonly ResultFile[]): string {
  const rank = (result: ResultFile) => (axisOf(result) ? 1 : keysOf(result.rows, 'accuracy').length > 0 ? 0 : 2);
  const sentences = [...results].sort((a, b) => rank(a) - rank(b)).map(summarize);
  return sentences.find((sentence) => sentence !== undefined) ?? 'Results';
}
