/** How much of a data set a network classifies rightly, clean and under attack. */
import * as v from 'valibot';
import { attackEntries, epsilonEntry, guardEvaluating, type Target } from '../adversary/attack.js';
import * as attacks from '../adversary/index.js';
import { norms } from '../adversary/norms.js';
import type { Dataset } from '../data/dataset.js';
import { parseOptions } from '../options.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import { Examples, guardData } from '../training/examples.js';
import { attackChoices, choose, type AttackChoice, type Chosen } from './choices.js';
import { dataDigest, modelDigest } from './fingerprint.js';
import { diagnose, finitePart, flagsOfFigures, guardEpsilons, type Flag } from './flags.js';
import { guardModel, guardValues } from './guards.js';
import { Judge } from './judge.js';
import { Checkpoint, type WorstInputs } from './ledger.js';
import { distancesOf, flagsOfRuns, total, Work } from './work.js';

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
  /** How many examples only a part of it broke that knew no gradients, such as the last attack of `autoAttack`. */
  blackBoxOnly: number;
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

/** The options of an evaluation, checked. */
export type Settings = v.InferOutput<typeof schema>;

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
      const { queries, backwards, seconds, done, blackBoxOnly } = run;
      return {
        attack,
        norm,
        epsilon,
        accuracy: wilson(total(standing), n),
        attacked: done,
        distance: run.epsilon === undefined,
        blackBox: source !== undefined || (done > 0 && backwards === 0),
        blackBoxOnly,
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
