/** How methods find the inputs that they learn from: steps of an adversary against the network as it will be used. */
import * as v from 'valibot';
import { atLeastOne, attackEntries } from '../adversary/attack.js';
import { asRows, nonZero, norms, perturbed, type Norm } from '../adversary/norms.js';
import { alphaDirection, lossDirection, type DirectionRule } from '../adversary/perturbations.js';
import { carriedReachBound } from '../nn/bounds.js';
import { nextRandomness } from '../nn/randomness.js';
import { add, clamp, div, mul, normal, pow, reshape, sub, uniform, type NormName } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { evaluating, type Batch } from './method.js';

/**
 * The paper's two perturbations by the names of their options: the likelihood's and the misclassification's. The latter
 * leaves out classes that cannot win by what the network can do at most, which is carried from update to update.
 */
export const directionRules = { loss: lossDirection, alpha: alphaDirection };

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
  const { epsilon, steps = 1, randomStart = false, clip } = moves;
  const { stepSize = steps === 1 ? epsilon : (2.5 * epsilon) / steps } = moves;
  const norm = norms[moves.norm];
  return evaluating(model, () => {
    const reach = rule === alphaDirection ? carriedReachBound(model) : undefined;
    const step = (at: Tensor): Tensor => mul(rule(model, at, y, norm, reach).direction, stepSize);
    // A single step from the input needs no way back.
    if (steps === 1 && !randomStart && stepSize <= epsilon) return perturbed(x, step(x), { norm, clip });
    let at = randomStart ? scattered(x, moves) : x;
    for (let i = 0; i < steps; i++) at = movedOn(x, at, step(at), moves);
    return at;
  });
}
