/** How much of a data set a network classifies rightly, clean and under attack. */
import * as v from 'valibot';
import {
  attackEntries,
  epsilonEntry,
  guardEvaluating,
  guardLogits,
  type Attack,
  type AttackOptions,
  type AttackResult,
  type Target,
} from '../adversary/attack.js';
import * as attacks from '../adversary/index.js';
import { asRows, norms, type Norm } from '../adversary/norms.js';
import { batches, type Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import * as ops from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { Tensor, tensor } from '../tensor/tensor.js';
import { countCorrect } from '../training/accuracy.js';
import { Examples, guardData } from '../training/examples.js';
import { attackChoices, attackName, choose, type AttackChoice, type AttackName, type Chosen } from './choices.js';
import { dataDigest, modelDigest } from './fingerprint.js';
import { diagnose, finitePart, flagsOfFigures, guardEpsilons, type Flag } from './flags.js';
import { Checkpoint, fate, type Ledger, type Run, type WorstInputs } from './ledger.js';

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /** Attacks by name, with options, or functions of your own; the paper's three by default. */
  attacks?: readonly AttackChoice[];
  /** Lengths of the perturbations, in the norm and the units of the scaled inputs. */
  epsilons: readonly number[];
  norm?: 'l1' | 'l2' | 'linf';
  /** The valid range that attacks stay inside; none by default, as in the paper. */
  clip?: [number, number];
  /** 500 by default; the results do not depend on it. */
  batchSize?: number;
  /** Whether each attack is given only those examples that withstood the ones before; all by default. */
  survivorsOnly?: boolean;
  /** Whether the worst adversarial input of each example is kept, at each length: `worstInputs` of the result. */
  keepInputs?: boolean;
  /** Whether the network is looked over for masked gradients, see `diagnose`; by default it is. */
  diagnose?: boolean;
  /** A file that an interrupted evaluation is taken up from. It stays when the evaluation ends. */
  checkpoint?: string;
  signal?: AbortSignal;
  /** Told how many examples of how many an attack has done; a distance attack has no length. */
  onProgress?: (done: number, total: number, what: string, epsilon?: number) => void;
}

/** What a network keeps under one attack. */
export interface RobustFigure {
  attack: string;
  norm: string;
  epsilon: number;
  /**
   * The fraction that is still classified rightly, with its 95 % interval (Wilson). With `survivorsOnly` the fraction
   * that withstood this attack and all before it.
   */
  accuracy: Figure;
  /** How many examples the attack was given. */
  attacked: number;
  /** Whether it looked for the nearest adversarial input: its one run, and the cost of that, stand at every length. */
  distance: boolean;
  /** Whether it knew no gradients of the network: a transfer attack, or one that pulled nothing back. */
  blackBox: boolean;
  /** Evaluations of the network, in rows, in all. */
  queries: number;
  /** Rows pulled back through the network, in all. */
  backwards: number;
  seconds: number;
}

/** How far the nearest adversarial inputs are that an attack found, of examples that are classified rightly. */
export interface Distances {
  attack: string;
  norm: string;
  /** How many examples it was given, and for how many it found an adversarial input. */
  examples: number;
  found: number;
  /** The distance within which half of them have one; null when that is beyond all that were found. */
  median: number | null;
  /** The same for other parts than half. */
  quantiles: { part: number; distance: number | null }[];
}

/** What became of each example, in the order of the data set's rows. */
export interface Outcomes {
  /** Its row in the data set. */
  rows: Int32Array;
  /** 1 where it is classified rightly clean. */
  clean: Uint8Array;
  /** 1 where it is still classified rightly, for each figure of `robust`. */
  robust: { attack: string; epsilon: number; standing: Uint8Array }[];
  /** Of each distance attack the distance of each example: 0 if misclassified clean, infinite if none was found. */
  distances: { attack: string; distances: Float64Array }[];
}

/** The result of {@link evaluate}. */
export interface Evaluation {
  examples: number;
  norm: string;
  clip: [number, number] | null;
  survivorsOnly: boolean;
  clean: Figure;
  robust: RobustFigure[];
  /** Of each length, the fraction that withstood every attack. */
  worst: { epsilon: number; accuracy: Figure }[];
  distances: Distances[];
  /** What speaks against believing the figures. */
  flags: Flag[];
  /** The places of examples whose outputs are not finite; they count as wrong. */
  notFinite: number[];
  /** All that it took, beside the attacks the evaluation's own look at what they gave. */
  cost: { queries: number; backwards: number; seconds: number };
  /** Example by example. */
  outcomes: Outcomes;
  /** With `keepInputs`: of each length the adversarial input of each example that it got the least right. */
  worstInputs?: WorstInputs[];
}

const callback = <F>(): v.GenericSchema<F> =>
  v.custom<F>((value) => typeof value === 'function', 'expected a function');

const flag = (fallback: boolean) => v.optional(v.boolean(), fallback);

const schema = v.strictObject({
  ...v.omit(v.object(attackEntries), ['rows']).entries,
  attacks: v.optional(attackChoices, ['advLossSign', 'advLoss', 'advAlpha']),
  epsilons: v.pipe(v.array(epsilonEntry), v.minLength(1, 'expected at least one length, received none')),
  survivorsOnly: flag(false),
  keepInputs: flag(false),
  diagnose: flag(true),
  checkpoint: v.optional(v.pipe(v.string(), v.nonEmpty('expected a file'))),
  onProgress: v.optional(callback<(done: number, total: number, what: string, epsilon?: number) => void>()),
});

type Settings = v.InferOutput<typeof schema>;

const transferredSchema = v.strictObject({ ...attackEntries, attack: attackName, epsilon: epsilonEntry });

/** How many batches are held in memory at once. */
const batchesAtOnce = 10;

const parts = [0.05, 0.25, 0.5, 0.75, 0.95];

/**
 * Attacks that creep up to the boundary end where the logits differ by rounding alone, which another batch size turns
 * around: an input that is right by no more than this part of its logits counts as misclassified.
 */
const rounding = 4e-6;

const total = (counts: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  return sum;
};

/** Refuses data that no figure could be believed of. */
function guardValues(call: string, { rows, labels, classes, inputs, shape, scale, range: [low, high] }: Dataset): void {
  const size = shape.reduce((product, length) => product * length, 1);
  const [least, most] = [Math.fround(low), Math.fround(high)];
  for (const row of rows) {
    const label = labels[row];
    if (label === undefined || label < 0 || label >= classes)
      throw new SparringError(
        'OUT_OF_RANGE',
        `${call}: expected labels 0 to ${classes - 1}, received ${label ?? 'none'} for input ${row}`,
      );
    for (let i = row * size; i < (row + 1) * size; i++) {
      const value = Math.fround(inputs[i]! * scale);
      if (value >= least && value <= most) continue;
      throw new SparringError(
        Number.isFinite(value) ? 'OUT_OF_RANGE' : 'NOT_FINITE',
        `${call}: expected inputs between ${low} and ${high} (the range of the data), received ${value} in input ${row}`,
      );
    }
  }
}

const isNotFinite = (error: unknown): boolean => error instanceof SparringError && error.code === 'NOT_FINITE';

/** What the network makes of some inputs, each beside the clean one: found by plain evaluation, not by an attack. */
interface Judgement {
  predicted: Int32Array;
  /** By how much the label's logit is above all others. */
  margins: Float64Array;
  /** The largest magnitude of a logit. */
  sizes: Float64Array;
  /** The sum of the logits tells whether they are finite. */
  sums: Float64Array;
  lengths: Float64Array;
  least: Float64Array;
  most: Float64Array;
}

/** Judges inputs by evaluating them. */
class Judge {
  queries = 0;
  readonly #program;

  constructor(
    model: Target,
    readonly examples: Examples,
    norm: Norm,
    private readonly batchSize: number,
  ) {
    this.#program = planned((rows: Tensor, adversarial: Tensor) => {
      const { x, y } = examples.batch(rows);
      const logits = ops.cast(model.forward(adversarial), 'float64');
      const label = ops.oneHot(y, { classes: logits.shape[1]!, dtype: 'float64' });
      const own = ops.reshape(ops.takeAlong(logits, ops.reshape(y, [-1, 1])), [-1]);
      const moved = ops.sub(ops.cast(adversarial, 'float64'), ops.cast(x, 'float64'));
      const values = asRows(ops.cast(adversarial, 'float64'), x.shape.slice(1));
      return {
        predicted: ops.argmax(logits),
        margins: ops.sub(own, ops.max(ops.where(label, -Infinity, logits), { axes: [-1] })),
        sizes: ops.norm(logits, { order: 'linf', axes: [-1] }),
        sums: ops.sum(logits, { axes: [-1] }),
        lengths: norm.length(asRows(moved, x.shape.slice(1))),
        least: ops.min(values, { axes: [-1] }),
        most: ops.max(values, { axes: [-1] }),
      };
    });
  }

  /** Judges inputs that stand for the examples of some rows; without inputs, the examples themselves. */
  async judge(rows: Int32Array, adversarial?: Tensor): Promise<Judgement> {
    const count = rows.length;
    const judged: Judgement = {
      predicted: new Int32Array(count),
      margins: new Float64Array(count),
      sizes: new Float64Array(count),
      sums: new Float64Array(count),
      lengths: new Float64Array(count),
      least: new Float64Array(count),
      most: new Float64Array(count),
    };
    for (let start = 0; start < count; start += this.batchSize) {
      const end = Math.min(count, start + this.batchSize);
      await scope(async () => {
        const these = tensor(rows.subarray(start, end));
        const x = adversarial ? ops.slice(adversarial, [start], [end]) : this.examples.batch(these).x;
        const found = await this.#program(these, x);
        for (const key of Object.keys(judged) as (keyof Judgement)[]) judged[key].set(found[key].data(), start);
      });
      this.queries += end - start;
    }
    return judged;
  }

  dispose(): void {
    this.#program.dispose();
  }
}

/** Refuses what is no classifier of the data; single examples whose outputs are not finite are no reason to refuse. */
function guardModel(model: Target, data: Dataset, examples: Examples): void {
  const { rows, labels } = data;
  const check = (those: Int32Array): void => {
    scope(() => {
      const { x } = examples.batch(tensor(those));
      guardLogits('evaluate', model, x, tensor(Int32Array.from(rows, (row) => labels[row]!)), those);
    });
  };
  try {
    check(rows.slice(0, 16));
  } catch (error) {
    if (!isNotFinite(error)) throw error;
    for (const row of rows.slice(0, 1000)) {
      try {
        check(Int32Array.of(row));
        return;
      } catch (another) {
        if (!isNotFinite(another)) throw another;
      }
    }
    throw error;
  }
}

/** Refuses what a function of the user's own gave, if it is no result of an attack. */
function checkResult(label: string, result: AttackResult, x: Tensor): void {
  const { adversarial, ...counts } = result as Partial<AttackResult>;
  if (!(adversarial instanceof Tensor) || adversarial.shape.join() !== x.shape.join() || adversarial.dtype !== x.dtype)
    throw new SparringError(
      'SHAPE_MISMATCH',
      `evaluate: ${label}: adversarial: expected ${String(x)}, received ${adversarial instanceof Tensor ? String(adversarial) : typeof adversarial}`,
    );
  for (const name of ['success', 'queries', 'backwards'] as const) {
    const count = counts[name];
    if (count instanceof Tensor && count.shape.length === 1 && count.shape[0] === x.shape[0]) continue;
    const received = count instanceof Tensor ? String(count) : typeof count;
    throw new SparringError(
      'SHAPE_MISMATCH',
      `evaluate: ${label}: ${name}: expected ${x.shape[0]} numbers, received ${received}`,
    );
  }
}

/** An evaluation under way. */
class Work {
  readonly ledger: Ledger;
  #clean = new Uint8Array();
  #finite = new Uint8Array();

  constructor(
    readonly model: Target,
    readonly data: Dataset,
    readonly chosen: readonly Chosen[],
    readonly settings: Settings,
    readonly judge: Judge,
  ) {
    const examples = data.rows.length;
    const { epsilons, keepInputs } = settings;
    const size = data.shape.reduce((product, length) => product * length, 1);
    const run = (label: string, epsilon: number | undefined): Run => ({
      label,
      epsilon,
      done: 0,
      queries: 0,
      backwards: 0,
      seconds: 0,
      misreported: 0,
      fates: new Uint8Array(examples),
      lengths: new Float64Array(examples).fill(NaN),
    });
    const kept = (epsilon: number): WorstInputs => ({
      epsilon,
      inputs: new Float32Array(examples * size),
      margins: new Float64Array(examples),
      attacks: new Int32Array(examples).fill(-1),
    });
    this.ledger = {
      runs: chosen.flatMap(({ label, distance }) =>
        distance ? [run(label, undefined)] : epsilons.map((epsilon) => run(label, epsilon)),
      ),
      worst: keepInputs ? epsilons.map(kept) : [],
    };
  }

  /** Measures the clean examples; the class that each is given. */
  async measureClean(): Promise<Int32Array> {
    const { data, judge, settings } = this;
    const { rows, labels } = data;
    const predicted = new Int32Array(rows.length);
    const margins = new Float64Array(rows.length);
    this.#finite = new Uint8Array(rows.length);
    this.#clean = new Uint8Array(rows.length);
    let done = 0;
    for (const these of batches(data, { size: Math.min(rows.length, settings.batchSize) })) {
      settings.signal?.throwIfAborted();
      const judged = await judge.judge(these);
      predicted.set(judged.predicted, done);
      margins.set(judged.margins, done);
      judged.sums.forEach((sum, i) => (this.#finite[done + i] = Number.isFinite(sum) ? 1 : 0));
      done += these.length;
    }
    rows.forEach((row, i) => (this.#clean[i] = this.#finite[i] === 1 && predicted[i] === labels[row] ? 1 : 0));
    const size = data.shape.reduce((product, length) => product * length, 1);
    for (const worst of this.ledger.worst) {
      worst.margins.set(margins.map((margin, i) => (this.#finite[i] === 1 ? margin : -Infinity)));
      rows.forEach((row, i) => {
        for (let j = 0; j < size; j++) worst.inputs[i * size + j] = data.inputs[row * size + j]! * data.scale;
      });
    }
    return predicted;
  }

  /** Where the inputs may be. */
  #admissible(judged: Judgement, i: number, epsilon: number | undefined): boolean {
    const { clip } = this.settings;
    const length = judged.lengths[i]!;
    // A length in other hands than the attack's is off by a few units in the last place.
    if (!Number.isFinite(length) || (epsilon !== undefined && length > epsilon * (1 + 1e-5))) return false;
    return clip === undefined || (judged.least[i]! >= Math.fround(clip[0]) && judged.most[i]! <= Math.fround(clip[1]));
  }

  /** Enters what became of some examples; 1 for those that rounding could turn. */
  async #enter(run: Run, at: number, places: Int32Array, rows: Int32Array, adversarial: Tensor): Promise<Uint8Array> {
    const judged = await this.judge.judge(rows, adversarial);
    const inputs = this.ledger.worst.length > 0 ? adversarial.data() : undefined;
    const size = adversarial.size / rows.length;
    places.forEach((place, i) => {
      const admissible = this.#admissible(judged, i, run.epsilon);
      const finite = Number.isFinite(judged.sums[i]);
      const right = finite && judged.margins[i]! > rounding * judged.sizes[i]!;
      run.lengths[place] = judged.lengths[i]!;
      run.fates[place] = !admissible ? fate.inadmissible : !finite ? fate.notFinite : right ? fate.stands : fate.broken;
      if (inputs === undefined || !admissible || this.#clean[place] === 0) return;
      const margin = finite ? judged.margins[i]! : -Infinity;
      for (const worst of this.ledger.worst) {
        const within = judged.lengths[i]! <= worst.epsilon * (1 + 1e-5);
        if (!within || (run.epsilon !== undefined && run.epsilon !== worst.epsilon)) continue;
        if (margin > worst.margins[place]! || (right && margin === worst.margins[place]!)) continue;
        worst.margins[place] = margin;
        worst.attacks[place] = at;
        worst.inputs.set(inputs.subarray(i * size, (i + 1) * size), place * size);
      }
    });
    return Uint8Array.from(rows, (_, i) => (Math.abs(judged.margins[i]!) <= rounding * judged.sizes[i]! ? 1 : 0));
  }

  /** Attacks some examples. One that the attack reports as not finite is entered as such, and the others are attacked. */
  async #attack(run: Run, at: number, places: Int32Array, told: (done: number) => void): Promise<void> {
    const { data, model, settings } = this;
    const { norm, clip, batchSize, signal } = settings;
    const { run: attack, options, targets, source, label } = this.chosen[at]!;
    const rows = Int32Array.from(places, (place) => data.rows[place]!);
    try {
      await scope(async () => {
        const { x, y } = this.judge.examples.batch(tensor(rows));
        const result = await attack(source ?? model, x, y, {
          ...options,
          norm,
          batchSize,
          rows,
          ...(clip && { clip }),
          ...(signal && { signal }),
          ...(run.epsilon !== undefined && { epsilon: run.epsilon }),
          ...(targets && { targets: Int32Array.from(places, (place) => targets[place]!) }),
          onProgress: told,
        });
        checkResult(label, result, x);
        const close = await this.#enter(run, at, places, rows, result.adversarial);
        run.queries += total(result.queries.data());
        run.backwards += total(result.backwards.data());
        if (source !== undefined || targets !== undefined) return;
        const [claims, failed] = [result.success.data(), result.failed?.data()];
        places.forEach((place, i) => {
          if (failed?.[i] === 1 && run.fates[place] === fate.stands) run.fates[place] = fate.notFinite;
          const withstood = run.fates[place] === fate.stands || run.fates[place] === fate.inadmissible;
          const counts = this.#clean[place] === 1 && close[i] === 0 && run.fates[place] !== fate.notFinite;
          if (counts && (claims[i] === 0) !== withstood) run.misreported++;
        });
      });
    } catch (error) {
      if (!isNotFinite(error)) throw error;
      if (places.length === 1) {
        run.fates[places[0]!] = fate.notFinite;
        return;
      }
      const half = places.length >> 1;
      await this.#attack(run, at, places.subarray(0, half), told);
      await this.#attack(run, at, places.subarray(half), (done) => told(half + done));
    }
  }

  /** Of each run, which examples stand after it: by itself, or with `survivorsOnly` after all before it too. */
  standing(run: Run, epsilon: number): Uint8Array {
    return run.fates.map((each, i) => {
      const stands =
        each === fate.stands ||
        each === fate.inadmissible ||
        (each === fate.broken && run.epsilon === undefined && run.lengths[i]! > epsilon);
      return stands && this.#clean[i] === 1 ? 1 : 0;
    });
  }

  /** Runs what the ledger does not hold yet, and adds up what stands. */
  async run(
    checkpoint: Checkpoint | undefined,
  ): Promise<{ robust: Evaluation['outcomes']['robust']; worst: Uint8Array[] }> {
    const { settings, data, chosen, ledger } = this;
    const { epsilons, survivorsOnly, batchSize, signal, onProgress } = settings;
    const worst = epsilons.map(() => this.#clean.slice());
    const robust: Evaluation['outcomes']['robust'] = [];
    const attackable = Int32Array.from(data.rows.keys()).filter((place) => this.#finite[place] === 1);
    for (const [at, { label, distance }] of chosen.entries()) {
      for (const run of ledger.runs.filter((each) => each.label === label)) {
        const before = distance ? worst : [worst[epsilons.indexOf(run.epsilon!)]!];
        const places = survivorsOnly
          ? attackable.filter((place) => before.some((standing) => standing[place] === 1))
          : attackable;
        const tell = (done: number): void => onProgress?.(done, places.length, label, run.epsilon);
        while (run.done < places.length) {
          signal?.throwIfAborted();
          const started = performance.now();
          const start = run.done;
          const these = places.subarray(start, start + batchSize * batchesAtOnce);
          await this.#attack(run, at, these, (done) => {
            tell(start + done);
          });
          run.seconds += (performance.now() - started) / 1000;
          run.done += these.length;
          await checkpoint?.save(ledger);
        }
      }
      epsilons.forEach((epsilon, which) => {
        const run = ledger.runs.find((each) => each.label === label && (distance || each.epsilon === epsilon))!;
        const standing = this.standing(run, epsilon);
        const after = worst[which]!;
        after.forEach((each, i) => {
          after[i] = each & standing[i]!;
        });
        robust.push({ attack: label, epsilon, standing: survivorsOnly ? after.slice() : standing });
      });
    }
    robust.sort((a, b) => epsilons.indexOf(a.epsilon) - epsilons.indexOf(b.epsilon));
    return { robust, worst };
  }

  get clean(): Uint8Array {
    return this.#clean;
  }

  /** The places of examples that some evaluation gave no finite outputs for. */
  notFinite(): number[] {
    return Array.from(this.#finite.keys()).filter(
      (place) => this.#finite[place] === 0 || this.ledger.runs.some(({ fates }) => fates[place] === fate.notFinite),
    );
  }

  /** The places of examples whose clean outputs are not finite. */
  notFiniteClean(): number[] {
    return Array.from(this.#finite.keys()).filter((place) => this.#finite[place] === 0);
  }
}

/** The distances that an attack found. */
function distancesOf(run: Run, clean: Uint8Array, norm: string): { summary: Distances; each: Float64Array } {
  const each = run.lengths.map((length, i) => {
    if (clean[i] === 0) return 0;
    return run.fates[i] === fate.untried ? NaN : run.fates[i] === fate.broken ? length : Infinity;
  });
  const sorted = each.filter((length, i) => clean[i] === 1 && !Number.isNaN(length)).sort();
  const within = (part: number): number | null => {
    const distance = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
    return distance === undefined || distance === Infinity ? null : distance;
  };
  return {
    each,
    summary: {
      attack: run.label,
      norm,
      examples: sorted.length,
      found: sorted.filter((length) => length < Infinity).length,
      median: within(0.5),
      quantiles: parts.map((part) => ({ part, distance: within(part) })),
    },
  };
}

/** Flags of what single examples met with. */
function flagsOfRuns(work: Work): Flag[] {
  const { data, ledger } = work;
  const rowsOf = (places: readonly number[]): number[] => places.slice(0, 20).map((place) => data.rows[place]!);
  const flags: Flag[] = [];
  const notFinite = work.notFinite();
  if (notFinite.length > 0)
    flags.push({
      name: 'notFinite',
      message: `the outputs for ${notFinite.length} of ${data.rows.length} examples are not finite; they count as wrong`,
      evidence: { count: notFinite.length, rows: rowsOf(notFinite) },
    });
  for (const { label, epsilon, fates, misreported } of ledger.runs) {
    const at = epsilon === undefined ? '' : ` at epsilon ${epsilon}`;
    const outside = Array.from(fates.keys()).filter((place) => fates[place] === fate.inadmissible);
    if (outside.length > 0)
      flags.push({
        name: 'inadmissible',
        message: `${label}${at} gave ${outside.length} inputs that are too far away, out of the clip range or not finite; they count as withstood`,
        evidence: { attack: label, epsilon, count: outside.length, rows: rowsOf(outside) },
      });
    if (misreported > 0)
      flags.push({
        name: 'misreported',
        message: `${label}${at} reported another success than its inputs have, for ${misreported} examples; the inputs count`,
        evidence: { attack: label, epsilon, count: misreported },
      });
  }
  return flags;
}

/** What was asked, in one line: attacks by label, with their options. */
function settingsText(
  { epsilons, norm, clip, survivorsOnly, keepInputs }: Settings,
  chosen: readonly Chosen[],
): string {
  const asked = chosen.map(({ label, options, targets, source, run }) => ({
    label,
    code: Object.values<unknown>(attacks).includes(run) ? undefined : run.toString(),
    options,
    targets,
    source: source && modelDigest(source, new Int32Array()),
  }));
  return JSON.stringify({ attacks: asked, epsilons, norm, clip: clip ?? null, survivorsOnly, keepInputs });
}

/**
 * Measures a network on a data set: clean accuracy, accuracy under each attack at each length, and what withstands all
 * attacks of a length, each with its 95 % interval. Inputs that are misclassified clean count as wrong everywhere.
 *
 * The attacks are not taken at their word: what they give is evaluated anew, and counts only if it is within epsilon,
 * inside the clip range, and misclassified, or right by no more than rounding. Attacks that look for the nearest adversarial input run once, without a
 * limit; an example withstands a length when the distance found is larger. An example whose outputs are not finite is
 * flagged and counts as wrong. The results do not depend on the batch size.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param data - The examples.
 * @param options - See {@link EvaluateOptions}.
 * @throws SparringError for unknown attacks or options; a network in training mode or with probabilities for logits; no
 * examples, inputs outside the data's range, labels outside the classes; a length beyond the diameter of that range; a
 * checkpoint of another evaluation; and whatever the attacks refuse.
 *
 * @example
 * ```ts
 * import { datasets, evaluate, models, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const { clean, robust } = await evaluate(model, take(test, 20), { attacks: ['advLoss'], epsilons: [0.5] });
 * console.log(robust[0].accuracy.mean <= clean.mean); // true
 * ```
 *
 * @example
 * ```ts
 * import { datasets, evaluate, models, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * const { worst, distances } = await evaluate(model, take(test, 20), {
 *   attacks: ['advAlpha', ['minimal', { linearize: 'logits', steps: 50 }]],
 *   epsilons: [0.25, 0.5],
 *   clip: [0, 1],
 *   survivorsOnly: true,
 * });
 * console.log(worst.length, distances[0].attack); // 2 minimal
 * ```
 */
export async function evaluate(model: Target, data: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  const started = performance.now();
  const settings = parseOptions(schema, options, 'evaluate');
  settings.epsilons = [...new Set(settings.epsilons)];
  const { epsilons, norm, clip, batchSize, survivorsOnly, signal } = settings;
  guardData('evaluate', data);
  const chosen = choose('evaluate', settings.attacks, { examples: data.rows.length, norm });
  for (const each of [model, ...chosen.flatMap(({ source }) => source ?? [])]) guardEvaluating('evaluate', each);
  guardValues('evaluate', data);
  const diameter = guardEpsilons('evaluate', epsilons, norm, data);
  signal?.throwIfAborted();
  const examples = new Examples(data);
  const judge = new Judge(model, examples, norms[norm], batchSize);
  try {
    guardModel(model, data, examples);
    const work = new Work(model, data, chosen, settings, judge);
    const predictions = await work.measureClean();
    const { ledger, clean } = work;
    const checkpoint =
      settings.checkpoint === undefined
        ? undefined
        : new Checkpoint(settings.checkpoint, {
            model: modelDigest(model, predictions),
            data: dataDigest(data),
            settings: settingsText(settings, chosen),
          });
    await checkpoint?.restore(ledger);
    let ran;
    try {
      ran = await work.run(checkpoint);
    } finally {
      await checkpoint?.save(ledger, { always: true });
    }
    const n = data.rows.length;
    const robust = ran.robust.map(({ attack, epsilon, standing }): RobustFigure => {
      const run = ledger.runs.find((each) => each.label === attack && (each.epsilon ?? epsilon) === epsilon)!;
      const { source } = chosen.find(({ label }) => label === attack)!;
      const { queries, backwards, seconds, done } = run;
      return {
        attack,
        norm,
        epsilon,
        accuracy: wilson(total(standing), n),
        attacked: done,
        distance: run.epsilon === undefined,
        blackBox: source !== undefined || (done > 0 && backwards === 0),
        queries,
        backwards,
        seconds,
      };
    });
    const worst = epsilons.map((epsilon, at) => ({ epsilon, accuracy: wilson(total(ran.worst[at]!), n) }));
    const distances = ledger.runs
      .filter(({ epsilon }) => epsilon === undefined)
      .map((run) => ({ attack: run.label, ...distancesOf(run, clean, norm) }));
    const finite = finitePart(data, work.notFiniteClean());
    const flags = [
      ...(settings.diagnose ? await diagnose(model, finite, { ...(signal && { signal }) }) : []),
      ...flagsOfFigures(robust, worst, diameter),
      ...flagsOfRuns(work),
    ];
    return {
      examples: n,
      norm,
      clip: clip ?? null,
      survivorsOnly,
      clean: wilson(total(clean), n),
      robust,
      worst,
      distances: distances.map(({ summary }) => summary),
      flags,
      notFinite: work.notFinite(),
      cost: {
        queries: judge.queries + total(ledger.runs.map(({ queries }) => queries)),
        backwards: total(ledger.runs.map(({ backwards }) => backwards)),
        seconds: (performance.now() - started) / 1000,
      },
      outcomes: {
        rows: data.rows.slice(),
        clean,
        robust: ran.robust,
        distances: distances.map(({ attack, each }) => ({ attack, distances: each })),
      },
      ...(settings.keepInputs && { worstInputs: ledger.worst }),
    };
  } finally {
    judge.dispose();
    examples.dispose();
  }
}

/**
 * Counts how many inputs a network classifies rightly that were attacked on another network: the paper's Fixed column.
 *
 * @param source - The network that the adversarial inputs are made on.
 * @param model - The network that is measured on them.
 * @param data - The examples.
 * @param options - The `attack` by name, its `epsilon`, and what every attack takes.
 * @returns The part of all examples, with its 95 % interval.
 * @throws SparringError for an unknown attack, a network in training mode, and whatever the attack refuses.
 *
 * @example
 * ```ts
 * import { datasets, models, take, transferred } from 'sparring';
 *
 * const test = take((await datasets.sample()).test, 20);
 * const [source, model] = [1, 2].map((seed) => models.mlp({ hidden: [8], seed }).eval());
 * console.log((await transferred(source, model, test, { attack: 'advLoss', epsilon: 1 })).n); // 20
 * ```
 */
export async function transferred(
  source: Target,
  model: Target,
  data: Dataset,
  options: AttackOptions & { attack: AttackName; epsilon: number },
): Promise<Figure> {
  const { batchSize } = parseOptions(transferredSchema, options, 'transferred');
  guardEvaluating('transferred', model);
  const { attack, ...shared } = options;
  const run = attacks[attack] as Attack<AttackOptions & { epsilon: number }>;
  const examples = new Examples(data);
  let correct = 0;
  try {
    for (const rows of batches(data, { size: Math.min(data.rows.length, batchSize * batchesAtOnce) })) {
      await scope(async () => {
        const { x, y } = examples.batch(tensor(rows));
        const { adversarial } = await run(source, x, y, { ...shared, rows });
        correct += countCorrect(model, adversarial, y).item();
      });
    }
  } finally {
    examples.dispose();
  }
  return wilson(correct, data.rows.length);
}
