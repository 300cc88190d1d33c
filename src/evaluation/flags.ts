/** Signs that a network hides its gradients, or that the attacks were too weak to measure it: warnings with evidence. */
import * as v from 'valibot';
import { attackEntries, guardEvaluating, type Target } from '../adversary/attack.js';
import { ascentCotangent } from '../adversary/linearization.js';
import { minimal } from '../adversary/minimal.js';
import { asRows } from '../adversary/norms.js';
import { vjp } from '../autodiff/autodiff.js';
import { subset, take, type Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import type { RobustFigure } from './evaluate.js';

/** What can be wrong with a network or with its evaluation. */
export type FlagName =
  | 'random'
  | 'probabilities'
  | 'zeroGradients'
  | 'largeRadius'
  | 'blackBoxStronger'
  | 'risingAccuracy'
  | 'singleStepStronger'
  | 'singleStepMisled'
  | 'inadmissible'
  | 'misreported'
  | 'notFinite';

/** A warning: robust figures beside it are not to be believed before it is explained. */
export interface Flag {
  name: FlagName;
  message: string;
  /** The figures that it was raised for. */
  evidence: Record<string, unknown>;
}

/** Options of {@link diagnose}. */
export interface DiagnoseOptions {
  /** How many examples are looked at, the first ones; 100 by default. */
  examples?: number;
  signal?: AbortSignal;
}

const schema = v.strictObject({ examples: v.optional(attackEntries.batchSize, 100), signal: attackEntries.signal });

const perCent = (part: number): string => `${Number((100 * part).toPrecision(3))} %`;

/** By how much accuracies may differ without a meaning: .2 points. */
const tolerance = 0.002;
/** Single examples may have no gradient for reasons of their own; from this share on they are no accident. */
const suspicious = 0.01;
/** By how much more steps may undercut one step before figures of single steps count as misleading. */
const blindness = 0.3;
/** Single steps that are the steepest of their norm: others are short of them on any network. */
const steepest = ['advLoss', 'advAlpha', 'fgm'];
const repeats = 5;

function randomness(outputs: readonly Float64Array[]): Flag[] {
  const [first, ...others] = outputs;
  const change = Math.max(
    ...others.map((each) => each.reduce((most, value, i) => Math.max(most, Math.abs(value - first![i]!)), 0)),
  );
  if (change === 0) return [];
  return [
    {
      name: 'random',
      message: `the logits of the same inputs differ between ${repeats} runs, by up to ${change.toPrecision(3)}: attacks that do not average over the randomness overrate the network`,
      evidence: { runs: repeats, largestChange: change },
    },
  ];
}

function probabilities(logits: Tensor): Flag[] {
  const sums = Array.from(ops.sum(logits, { axes: [-1] }).data());
  const least = ops.min(logits).item();
  if (least < 0 || !sums.every((total) => Math.abs(total - 1) < 1e-3)) return [];
  return [
    {
      name: 'probabilities',
      message:
        'the outputs are probabilities already (none is negative, and each row sums to 1): a loss that takes them for logits has small gradients; leave the softmax off',
      evidence: { least, sums: [Math.min(...sums), Math.max(...sums)] },
    },
  ];
}

/** The largest entry of each input's gradient, for a cotangent of the logits. */
function gradientSizes(model: Target, x: Tensor, cotangent: (logits: Tensor) => Tensor): Float64Array {
  return scope(() => {
    const { value, pullback } = vjp((input: Tensor) => model.forward(input), x);
    const rows = asRows(pullback(cotangent(value)), x.shape.slice(1));
    return Float64Array.from(ops.norm(rows, { order: 'linf', axes: [-1] }).data());
  });
}

function zeroGradients(model: Target, x: Tensor, y: Tensor): Flag[] {
  const examples = y.size;
  const share = (sizes: Float64Array): number => sizes.filter((size) => !(size > 0)).length / examples;
  const ofLoss = share(gradientSizes(model, x, (logits) => ops.crossEntropyGrad(logits, y)));
  if (ofLoss < suspicious) return [];
  const ofLogits = share(gradientSizes(model, x, (logits) => ascentCotangent(logits, y)));
  const why =
    ofLogits < suspicious
      ? 'the logits are so far apart that the loss is flat; attacks need a loss that does not saturate'
      : 'the network passes no gradient on; only attacks without gradients measure it';
  return [
    {
      name: 'zeroGradients',
      message: `the gradient of the loss by the input is zero for ${perCent(ofLoss)} of the rightly classified examples: ${why}`,
      evidence: { examples, shareOfLoss: ofLoss, shareOfLogits: ofLogits },
    },
  ];
}

async function largeRadius(
  model: Target,
  x: Tensor,
  y: Tensor,
  rows: Int32Array,
  signal?: AbortSignal,
): Promise<Flag[]> {
  const steps = 50;
  const { success } = await minimal(model, x, y, { linearize: 'logits', steps, rows, ...(signal && { signal }) });
  const left = Array.from(success.data()).filter((each) => each === 0).length;
  if (left / rows.length < suspicious) return [];
  return [
    {
      name: 'largeRadius',
      message: `an attack that may move inputs as far as it likes leaves ${perCent(left / rows.length)} standing: its gradients do not lead anywhere`,
      evidence: { examples: rows.length, left, attack: 'minimal', steps },
    },
  ];
}

/**
 * Looks for signs of masked gradients that a few examples show: logits that change between five identical runs, outputs
 * that are already probabilities, input gradients that are zero, and a boundary that is out of reach at any distance.
 * (Athalye, Carlini and Wagner 2018; Carlini and others 2019.)
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to outputs [B, K].
 * @param data - Examples; those that are classified rightly are looked at.
 * @param options - See {@link DiagnoseOptions}.
 * @returns The flags that are to be raised; none for a network without such signs.
 * @throws SparringError for unknown options and for a network in training mode.
 *
 * @example
 * ```ts
 * import { datasets, diagnose, models, mul } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const model = models.mlp({ hidden: [16], seed: 1 }).eval();
 * console.log((await diagnose(model, test)).length); // 0
 * const masked = { forward: (x) => mul(model.forward(x), 1e6) };
 * console.log((await diagnose(masked, test)).map(({ name }) => name)); // [ 'zeroGradients' ]
 * ```
 */
export async function diagnose(model: Target, data: Dataset, options: DiagnoseOptions = {}): Promise<Flag[]> {
  const { examples: limit, signal } = parseOptions(schema, options, 'diagnose');
  guardEvaluating('diagnose', model);
  const few = take(data, Math.min(limit, data.rows.length));
  const examples = new Examples(few);
  try {
    return await scope(async () => {
      const { x, y } = examples.batch(tensor(few.rows));
      const runs = Array.from({ length: repeats }, () => model.forward(x));
      const flags = [...randomness(runs.map((run) => Float64Array.from(run.data()))), ...probabilities(runs[0]!)];
      const right = ops.equal(ops.argmax(runs[0]!), y).data();
      const rows = few.rows.filter((_, i) => right[i] === 1);
      if (rows.length === 0) return flags;
      signal?.throwIfAborted();
      const these = examples.batch(tensor(rows));
      flags.push(...zeroGradients(model, these.x, these.y));
      // The attack refuses probabilities.
      if (flags.every(({ name }) => name !== 'probabilities'))
        flags.push(...(await largeRadius(model, these.x, these.y, rows, signal)));
      return flags;
    });
  } finally {
    examples.dispose();
  }
}

/** The examples that can be diagnosed: those with finite outputs. */
export const finitePart = (data: Dataset, notFinite: readonly number[]): Dataset =>
  notFinite.length === 0
    ? data
    : subset(
        data,
        data.rows.filter((_, i) => !notFinite.includes(i)),
      );

/** What an attack leaves of all examples without what only a part of it broke that knew no gradients. */
const withGradients = ({ accuracy, blackBoxOnly }: RobustFigure): number => accuracy.mean + blackBoxOnly / accuracy.n;

/** Flags that the figures of an evaluation raise. `diameter` is the largest distance of two inputs. */
export function flagsOfFigures(
  robust: readonly RobustFigure[],
  worst: readonly { epsilon: number; accuracy: { mean: number } }[],
  diameter: number,
): Flag[] {
  const flags: Flag[] = [];
  const epsilons = worst.map(({ epsilon }) => epsilon);
  for (const epsilon of epsilons) {
    const here = robust.filter((figure) => figure.epsilon === epsilon && figure.attacked > 0);
    const figures = (those: readonly RobustFigure[]): [string, number][] =>
      those.map(({ attack, accuracy }) => [attack, accuracy.mean]);
    const least = (those: readonly RobustFigure[]): number => Math.min(...those.map(({ accuracy }) => accuracy.mean));
    const blackBox = here.filter((figure) => figure.blackBox || figure.blackBoxOnly > 0);
    const gradient = here.filter((figure) => !figure.blackBox);
    const best = Math.min(...gradient.map(withGradients));
    if (gradient.length > 0 && least(blackBox) < best - tolerance)
      flags.push({
        name: 'blackBoxStronger',
        message: `at epsilon ${epsilon} an attack without gradients leaves ${perCent(least(blackBox))}, the best with gradients ${perCent(best)}: the gradients mislead`,
        evidence: {
          epsilon,
          blackBox: figures(blackBox),
          gradient: gradient.map((figure) => [figure.attack, withGradients(figure)]),
        },
      });
    const budget = gradient.filter(({ distance }) => !distance);
    const single = budget.filter(({ queries, attacked }) => queries <= 2 * attacked);
    const iterated = budget.filter(({ queries, attacked }) => queries > 2 * attacked);
    if (iterated.length > 0 && least(single) < least(iterated) - tolerance)
      flags.push({
        name: 'singleStepStronger',
        message: `at epsilon ${epsilon} a single step leaves ${perCent(least(single))}, the best iterative attack ${perCent(least(iterated))}: iterations lose their way`,
        evidence: { epsilon, singleStep: figures(single), iterative: figures(iterated) },
      });
    const straight = single.some(({ attack }) => steepest.includes(attack));
    if (straight && least(iterated) < least(single) - blindness)
      flags.push({
        name: 'singleStepMisled',
        message: `at epsilon ${epsilon} the best single step leaves ${perCent(least(single))}, iterations ${perCent(least(iterated))}: single steps say little of this network`,
        evidence: { epsilon, singleStep: figures(single), iterative: figures(iterated) },
      });
  }
  for (const attack of new Set(robust.map((figure) => figure.attack))) {
    const along = robust.filter((figure) => figure.attack === attack).sort((a, b) => a.epsilon - b.epsilon);
    const at = along.findIndex(({ accuracy }, i) => i > 0 && accuracy.mean > along[i - 1]!.accuracy.mean + tolerance);
    if (at < 0) continue;
    const [before, after] = [along[at - 1]!, along[at]!];
    flags.push({
      name: 'risingAccuracy',
      message: `${attack} leaves more at epsilon ${after.epsilon} (${perCent(after.accuracy.mean)}) than at ${before.epsilon} (${perCent(before.accuracy.mean)}), where it had less room`,
      evidence: { attack, accuracy: along.map(({ epsilon, accuracy }) => [epsilon, accuracy.mean]) },
    });
  }
  // From any input the middle of the range is as near as that; there all look alike.
  const far = worst.find(({ epsilon, accuracy }) => epsilon >= diameter / 2 && accuracy.mean > 0);
  if (far !== undefined)
    flags.push({
      name: 'largeRadius',
      message: `at epsilon ${far.epsilon}, where every input could be any other, ${perCent(far.accuracy.mean)} still stand: the attacks are too weak or misled`,
      evidence: { epsilon: far.epsilon, accuracy: far.accuracy.mean, diameter },
    });
  return flags;
}

/** Refuses a radius that is not one in the units of the inputs. */
export function guardEpsilons(
  call: string,
  epsilons: readonly number[],
  norm: string,
  { shape, range: [low, high] }: Dataset,
): number {
  const size = shape.reduce((product, length) => product * length, 1);
  const diameter = (high - low) * ({ l1: size, l2: Math.sqrt(size) }[norm] ?? 1);
  const beyond = epsilons.find((epsilon) => epsilon > diameter);
  if (beyond === undefined) return diameter;
  const grey = norm === 'linf' && beyond <= 255 ? `; if it counts grey levels, divide it by ${255 / (high - low)}` : '';
  throw new SparringError(
    'OUT_OF_RANGE',
    `${call}: epsilons: expected at most ${diameter}, the ${norm} diameter of inputs of [${shape.join(',')}] in ${low} to ${high}, received ${beyond}${grey}`,
  );
}
