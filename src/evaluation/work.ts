/** An evaluation under way: runs the attacks, and enters in the ledger what became of each example. */
import type { Target } from '../adversary/attack.js';
import { batches, type Dataset } from '../data/dataset.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import type { Chosen } from './choices.js';
import type { Distances, Outcomes, Settings } from './evaluate.js';
import type { Flag } from './flags.js';
import { checkResult, isNotFinite } from './guards.js';
import type { Judge, Judgement } from './judge.js';
import { fate, type Checkpoint, type Ledger, type Run, type WorstInputs } from './ledger.js';

/** How many batches are held in memory at once. */
const batchesAtOnce = 10;

const parts = [0.05, 0.25, 0.5, 0.75, 0.95];

/**
 * Attacks that creep up to the boundary end where the logits differ by rounding alone, which another batch size turns
 * around: an input that is right by no more than this part of its logits counts as misclassified.
 */
const rounding = 4e-6;

/** The sum of some counts. */
export const total = (counts: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  return sum;
};

/** An evaluation under way. */
export class Work {
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
      blackBoxOnly: 0,
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
        const blackBoxOnly = result.blackBoxOnly?.data();
        places.forEach((place, i) => {
          if (failed?.[i] === 1 && run.fates[place] === fate.stands) run.fates[place] = fate.notFinite;
          const withstood = run.fates[place] === fate.stands || run.fates[place] === fate.inadmissible;
          const counts = this.#clean[place] === 1 && close[i] === 0 && run.fates[place] !== fate.notFinite;
          if (counts && (claims[i] === 0) !== withstood) run.misreported++;
          if (counts && !withstood && blackBoxOnly?.[i] === 1) run.blackBoxOnly++;
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
  async run(checkpoint: Checkpoint | undefined): Promise<{ robust: Outcomes['robust']; worst: Uint8Array[] }> {
    const { settings, data, chosen, ledger } = this;
    const { epsilons, survivorsOnly, batchSize, signal, onProgress } = settings;
    const worst = epsilons.map(() => this.#clean.slice());
    const robust: Outcomes['robust'] = [];
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
export function distancesOf(run: Run, clean: Uint8Array, norm: string): { summary: Distances; each: Float64Array } {
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
export function flagsOfRuns(work: Work): Flag[] {
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
