/** How methods find the inputs that they learn from: steps of an adversary against the network as it will be used. */
import * as v from 'valibot';
import { atLeastOne, attackEntries, epsilonEntry } from '../adversary/attack.js';
import { asRows, nonZero, norms, perturbed, type Norm } from '../adversary/norms.js';
import { directions, type DirectionRule } from '../adversary/perturbations.js';
import { SparringError } from '../errors.js';
import { Module } from '../nn/module.js';
import { nextRandomness } from '../nn/randomness.js';
import { parseOptions, shown } from '../options.js';
import { add, clamp, div, mul, normal, pow, reshape, sub, uniform, type NormName } from '../tensor/ops.js';
import { idOf, Tensor } from '../tensor/tensor.js';
import { evaluating, type Batch } from './method.js';

/** How an adversary moves inputs. */
export interface Moves {
  /** The most that an input is moved in all, in the norm. */
  epsilon: number;
  norm: NormName;
  /** 1 by default. */
  steps?: number;
  /** The length of a step; by default epsilon for a single one, and 2.5 epsilon / steps for several. */
  stepSize?: number | undefined;
  /** Whether the first step begins at a random place in the ball; at the input by default. */
  randomStart?: boolean;
  /** The range that inputs stay inside. */
  clip?: readonly [number, number] | undefined;
  /** What is known of the network's reach, see {@link reachBound}. */
  reach?: Tensor | undefined;
}

const stepSize = v.pipe(
  v.number(),
  v.check(
    (length) => length >= 0 && Number.isFinite(length),
    ({ input }) => `expected a length of at least 0, received ${input}`,
  ),
);

/** The options of a method whose adversary takes several steps. */
export const stepEntries = (steps: number, { randomStart }: { randomStart: boolean }) => ({
  steps: v.optional(atLeastOne, steps),
  stepSize: v.optional(stepSize),
  randomStart: v.optional(v.boolean(), randomStart),
  clip: attackEntries.clip,
});

/** Random perturbations no longer than 1, one a row: uniform in the ball for l2 and linf. */
function randomRows(shape: readonly [number, number], norm: Norm, dtype: 'float32' | 'float64'): Tensor {
  const draw = (of: readonly number[], low: number): Tensor => uniform(of, { low, dtype, ...nextRandomness() });
  if (norm.name === 'linf') return draw(shape, -1);
  const direction = normal(shape, { dtype, ...nextRandomness() });
  const lengths = reshape(nonZero(norm.length(direction)), [shape[0], 1]);
  return mul(div(direction, lengths), pow(draw([shape[0], 1], 0), 1 / shape[1]));
}

/** The batch's inputs at a random place in the ball. */
export function scattered(x: Tensor, { epsilon, norm: name, clip }: Moves): Tensor {
  const norm = norms[name];
  const rows = asRows(x, x.shape.slice(1));
  const drawn = randomRows(rows.shape as [number, number], norm, x.dtype === 'float64' ? 'float64' : 'float32');
  return perturbed(x, mul(drawn, epsilon), { norm, epsilon, clip });
}

/** Inputs that are moved on by rows [B, D], and brought back where that leads out of the ball around x. */
export function movedOn(x: Tensor, at: Tensor, by: Tensor, { epsilon, norm: name, clip }: Moves): Tensor {
  const moved = add(asRows(sub(at, x), x.shape.slice(1)), by);
  const near = name === 'linf' ? clamp(moved, { low: -epsilon, high: epsilon }) : moved;
  return perturbed(x, near, { norm: norms[name], epsilon, clip });
}

/** The batch's inputs, each moved in the rule's direction, found for the network as it will be used. */
export function moved({ model, x, y }: Batch, rule: DirectionRule, moves: Moves): Tensor {
  const { epsilon, steps = 1, randomStart = false, clip, reach } = moves;
  const { stepSize = steps === 1 ? epsilon : (2.5 * epsilon) / steps } = moves;
  const norm = norms[moves.norm];
  return evaluating(model, () => {
    const step = (at: Tensor): Tensor => mul(rule(model, at, y, norm, reach).direction, stepSize);
    // A single step from the input needs no way back.
    if (steps === 1 && !randomStart && stepSize <= epsilon) return perturbed(x, step(x), { norm, clip });
    let at = randomStart ? scattered(x, moves) : x;
    for (let i = 0; i < steps; i++) at = movedOn(x, at, step(at), moves);
    return at;
  });
}

const schema = v.strictObject({
  epsilon: epsilonEntry,
  norm: attackEntries.norm,
  direction: v.optional(v.picklist(Object.keys(directions) as (keyof typeof directions)[]), 'loss'),
  ...stepEntries(1, { randomStart: false }),
  reach: v.optional(v.instance(Tensor)),
});

/** Options of {@link adversarialInputs}. */
export interface AdversarialInputsOptions {
  /** The most that an input is moved in all, in the norm. */
  epsilon: number;
  /** `l2` by default. */
  norm?: NormName;
  /** Which way a step goes: that of Adv_Loss (`loss`, by default), Adv_Loss_Sign (`lossSign`) or Adv_Alpha (`alpha`). */
  direction?: keyof typeof directions;
  /** 1 by default. */
  steps?: number;
  /** The length of a step; by default epsilon for a single one, and 2.5 epsilon / steps for several. */
  stepSize?: number;
  /** Whether the first step begins at a random place in the ball; at the input by default. */
  randomStart?: boolean;
  /** The range that inputs stay inside, [low, high]. */
  clip?: [number, number];
  /**
   * What {@link reachBound} tells of the network as it is: with `alpha`, classes that cannot win are then left out. The
   * direction is the same, from about three backward rows an example instead of one a class.
   */
  reach?: Tensor | undefined;
}

/**
 * Inputs moved by an adversary, and nothing more: for training methods of your own, and wherever the images are wanted
 * but not what becomes of them. An attack evaluates the network once more, to say which of them succeed. All inputs are
 * moved, also those that are misclassified already. This is a tensor program: eager when called, and as part of a plan as
 * fast as the engine goes.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K]; it is attacked in evaluation mode.
 * @param x - Inputs [B, ...].
 * @param y - Labels, int32 [B].
 * @param options - `epsilon`, `norm` (l2), `direction` (loss), `steps` (1), `stepSize`, `randomStart` (false), `clip`,
 * `reach`.
 * @returns [B, ...], each no farther from its input than epsilon but for the rounding of a single step.
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options or what is no module, and what the network
 * throws for inputs that do not fit.
 *
 * @example
 * ```ts
 * import { adversarialInputs, models, planned, uniform, zeros } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 });
 * const [x, y] = [uniform([4, 8], { seed: 2 }), zeros([4], { dtype: 'int32' })];
 * const pgd = planned((x, y) => [adversarialInputs(model, x, y, { epsilon: 0.5, steps: 10, stepSize: 0.1, clip: [0, 1] })]);
 * const [adversarial] = await pgd(x, y);
 * console.log(adversarial.shape); // [4, 8]
 * ```
 */
export function adversarialInputs(model: Module, x: Tensor, y: Tensor, options: AdversarialInputsOptions): Tensor {
  const name = 'adversarialInputs';
  const { direction, ...moves } = parseOptions(schema, options, name);
  if (!((model as unknown) instanceof Module))
    throw new SparringError('INVALID_ARGUMENT', `${name}: expected a module, received ${shown(model)}`);
  for (const input of [x, y]) idOf(input, name);
  return moved({ model, x, y }, directions[direction], moves);
}
