/** Minimal perturbations by Algorithm 1: one step as in the paper, or iterated until the class changes. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  atLeastOne,
  attackEntries,
  defineAttack,
  epsilonEntry,
  measured,
  type DefinedAttack,
  type AttackOptions,
  type AttackResult,
} from './attack.js';
import { minimalOfLinearization, type Linearize } from './linearization.js';
import { longest, perturbed } from './norms.js';
import { reachOf } from './reach.js';

/** Options of {@link minimal}. */
export interface MinimalOptions extends AttackOptions {
  /** `probabilities`, as in the paper (default), or `logits`, whose lengths are distances also for confident networks. */
  linearize?: Linearize;
  /** How often to linearise anew while the class stands, 1 by default as in the paper; more are for `logits`: DeepFool. */
  steps?: number;
  /** By how much the total perturbation goes beyond the linear boundary, relative; 0 by default, .02 with more steps. */
  overshoot?: number;
  /** The most that an input may be moved; no limit by default. */
  epsilon?: number;
}

/** What {@link minimal} gives besides the result of every attack. */
export interface MinimalResult extends AttackResult {
  /** The unit direction that the first linearisation gives, shaped as the inputs; 0 where no direction leads to another class. */
  direction: Tensor;
  /** The length that the first linearisation asks for, float64 [B]: in a confident network it may be astronomic. */
  length: Tensor;
  /** The class that the first linearisation leads to, int32 [B]. */
  target: Tensor;
}

/**
 * How far beyond the linearised boundary each of several steps goes inside a range, in units of the norm, as DeepFool's do:
 * where the range cuts steps short the boundary would else be met only in the limit, and rounding would decide on which side.
 */
const beyond = 1e-4;

const relative = v.pipe(
  v.number(),
  v.check(
    (part) => part >= 0 && part <= 1000,
    ({ input }) => `expected 0 to 1000, received ${input}`,
  ),
);

const schema = v.strictObject({
  ...attackEntries,
  linearize: v.optional(v.picklist(['probabilities', 'logits']), 'probabilities'),
  steps: v.optional(atLeastOne, 1),
  overshoot: v.optional(relative),
  epsilon: v.optional(epsilonEntry),
});

/**
 * Algorithm 1 of the paper: the smallest perturbation at which the linearised network names another class, for l2, linf
 * and l1 (Propositions 2.1 and 2.2). One linearisation by default; with more `steps` of the `logits` the network is
 * linearised anew at the perturbed input until its class changes. Misclassified inputs are left as they are.
 *
 * In a confident network the length that the linearised probabilities ask for is astronomic (it grows as e to the logit
 * gap) though the direction is sound: it is given as `length` beside `direction`, and the adversarial inputs are finite.
 * For distances, linearise the logits.
 *
 * With `clip` the perturbation is cut where it leaves the range: the linear problem knows nothing of the range.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `norm` (l2), `linearize`, `steps`, `overshoot`, `epsilon`, `clip`, `batchSize`, `signal`.
 * @throws SparringError as every attack does (see `advAlpha`), and for more than one step of the probabilities.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { length, direction } = await attacks.minimal(model, tensor([[0, 0]]), [0], { linearize: 'logits' });
 * console.log(length.item().toFixed(3)); // 1.000
 * console.log(Array.from(direction.data(), (part) => part.toFixed(3))); // [0.600, 0.800]
 * ```
 */
export const minimal: DefinedAttack<MinimalOptions, MinimalResult> = defineAttack<
  typeof schema,
  MinimalOptions,
  MinimalResult
>('minimal', schema, async ({ linearize, steps, overshoot = steps > 1 ? 0.02 : 0, epsilon, clip }, context) => {
  if (steps > 1 && linearize === 'probabilities') {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `minimal: steps: expected 1 with linearize 'probabilities', received ${steps}; the lengths that they ask for are no ` +
        "distances in a confident network, so that steps of them overshoot the boundary: linearize 'logits' to iterate",
    );
  }
  const { model, norm, plan, signal } = context;
  const reach = await reachOf(context);
  const moved = (x: Tensor, total: Tensor): Tensor =>
    perturbed(x, ops.affine(total, 1 + overshoot), { norm, epsilon, clip });

  const start = plan((x: Tensor, y: Tensor) => {
    const logits = model.forward(x);
    const predicted = ops.argmax(logits);
    return {
      logits,
      predicted,
      active: ops.equal(predicted, y),
      total: ops.zeros([x.shape[0]!, x.size / x.shape[0]!], { dtype: x.dtype }),
    };
  });
  const step = plan((x: Tensor, predicted: Tensor, total: Tensor, active: Tensor) => {
    const found = minimalOfLinearization(model, moved(x, total), { norm, linearize, from: predicted, reach });
    const going = ops.mul(active, ops.equal(ops.argmax(found.logits), predicted));
    const size = ops.cast(ops.minimum(ops.affine(found.length, 1, steps > 1 && clip ? beyond : 0), longest), x.dtype);
    const longer = ops.add(total, ops.mul(found.direction, ops.reshape(size, [-1, 1])));
    // Where the class has changed the linearisation means nothing, and may overflow.
    const next = ops.where(ops.reshape(going, [-1, 1]), longer, total);
    const backwards = ops.mul(active, found.backwards);
    return { ...found, total: next, active: going, backwards };
  });
  const finish = plan((x: Tensor, y: Tensor, total: Tensor, queries: Tensor, backwards: Tensor) =>
    measured(model, { x, y, norm, adversarial: moved(x, total), queries, backwards }),
  );

  return async (x, y) => {
    const { logits, predicted, active, total } = await start(x, y);
    const first = await step(x, predicted, total, active);
    let state = first;
    let queries = ops.add(active, 1);
    let { backwards } = first;
    for (let done = 1; done < steps && ops.max(ops.cast(state.active, 'float32')).item() > 0; done++) {
      signal?.throwIfAborted();
      queries = ops.add(queries, state.active);
      state = await step(x, predicted, state.total, state.active);
      backwards = ops.add(backwards, state.backwards);
    }
    return {
      ...((await finish(x, y, state.total, queries, backwards)) as AttackResult),
      logits,
      direction: ops.reshape(first.direction, x.shape),
      length: first.length,
      target: first.target,
    };
  };
});
