/** The paper's attacks of a given length: Adv_Alpha, Adv_Loss and Adv_Loss_Sign. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  attackEntries,
  defineAttack,
  epsilonEntry,
  measured,
  type AttackContext,
  type AttackOptions,
} from './attack.js';
import { perturbed } from './norms.js';
import { reachOf } from './reach.js';
import { alphaDirection, lossDirection, lossSignDirection, type DirectionRule } from './perturbations.js';

/** Options of an attack of a given length. */
export interface BudgetedOptions extends AttackOptions {
  /** The length of the perturbations, in the norm and the units of the inputs. */
  epsilon: number;
}

/** Options of {@link advAlpha}. */
export interface AdvAlphaOptions extends BudgetedOptions {
  /**
   * Whether classes that cannot win, by what the network can do at most, are left out: the answer is the same. By default
   * where that spares more work than finding the bound takes.
   */
  bound?: boolean;
}

const schema = v.strictObject({ ...attackEntries, epsilon: epsilonEntry });
const alphaSchema = v.strictObject({ ...schema.entries, bound: v.optional(v.boolean()) });

/** One step of length epsilon in the rule's direction; inputs that are misclassified already are left as they are. */
const singleStep =
  (rule: DirectionRule, reach?: Tensor) =>
  ({ epsilon, clip }: { epsilon: number; clip?: [number, number] | undefined }, context: AttackContext) => {
    const { model, norm, plan } = context;
    return plan((x: Tensor, y: Tensor) => {
      const { logits, direction, backwards } = rule(model, x, y, norm, reach);
      const correct = ops.equal(ops.argmax(logits), y);
      const moved = perturbed(x, ops.mul(direction, epsilon), { norm, epsilon, clip });
      const adversarial = ops.where(ops.reshape(correct, [-1, ...x.shape.slice(1).map(() => 1)]), moved, x);
      return { ...measured(model, { x, y, norm, adversarial, queries: 1, backwards }), logits };
    });
  };

/**
 * Adv_Alpha (paper, sections 2 and 3.1.2): a step of length epsilon towards the class that is nearest in the linearised
 * network, found by Algorithm 1. The direction is exact however confident the network is. Of networks whose layers are known, many
 * examples take about three backward rows each instead of one a class; `backwards` counts them. Misclassified inputs are left as they are.
 *
 * With `clip` the step is cut coordinate by coordinate where it leaves the range, so that it may end shorter than epsilon:
 * one step in a direction that knows nothing of the range. An iterative attack makes use of the rest.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `clip`, `bound`, `batchSize`, `signal`.
 * @returns Adversarial inputs, successes, lengths and queries.
 * @throws SparringError for options that are unknown or out of range, a network in training mode, outputs that are
 * probabilities, inputs outside the clip range or not finite, labels outside the classes.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([4, 8], { seed: 2 });
 * const { adversarial, success, norms } = await attacks.advAlpha(model, x, [0, 1, 2, 0], { epsilon: 0.5 });
 * console.log(adversarial.shape, success.shape, Math.max(...norms.data()) <= 0.5); // [4, 8] [4] true
 * ```
 */
export const advAlpha = defineAttack<typeof alphaSchema, AdvAlphaOptions>(
  'advAlpha',
  alphaSchema,
  async ({ bound, ...options }, context) => singleStep(alphaDirection, await reachOf(context, bound))(options, context),
);

/**
 * Adv_Loss (paper, section 3.1.1): a step of length epsilon along which the linearised likelihood of the label falls
 * fastest: the loss gradient for l2, its sign for linf, its largest coordinate for l1. Options, errors and the effect of
 * `clip` are those of {@link advAlpha}.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const { norms } = await attacks.advLoss(model, uniform([2, 8], { seed: 2 }), [0, 1], { epsilon: 0.1, norm: 'linf' });
 * console.log(norms.data().every((length) => length <= 0.1)); // true
 * ```
 */
export const advLoss = defineAttack<typeof schema, BudgetedOptions>('advLoss', schema, singleStep(lossDirection));

/**
 * Adv_Loss_Sign (paper, section 4.1): the sign of the loss gradient, brought to length epsilon in the norm. With linf it
 * is {@link advLoss}. Options, errors and the effect of `clip` are those of {@link advAlpha}.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const { queries } = await attacks.advLossSign(model, uniform([2, 8], { seed: 2 }), [0, 1], { epsilon: 1 });
 * console.log(queries.toArray()); // [2, 2]
 * ```
 */
export const advLossSign = defineAttack<typeof schema, BudgetedOptions>(
  'advLossSign',
  schema,
  singleStep(lossSignDirection),
);
