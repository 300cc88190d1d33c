/** The fast gradient method: one step of the whole length. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { NormName } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  attackEntries,
  defineAttack,
  epsilonEntry,
  measured,
  reached,
  targetsEntry,
  type DefinedAttack,
  type AttackContext,
  type AttackResult,
  type BatchAttack,
  type Labels,
} from './attack.js';
import { project } from './ball.js';
import type { BudgetedOptions } from './budgeted.js';
import { losses } from './losses.js';
import { asRows, unit } from './norms.js';
import { overPoints } from './search.js';

/** Options of {@link fgm}. */
export interface FgmOptions extends BudgetedOptions {
  /** The classes to lead to, one an example, other than the labels; without them any wrong class will do. */
  targets?: Labels;
}

const schema = v.strictObject({ ...attackEntries, epsilon: epsilonEntry, targets: targetsEntry });
const signSchema = v.strictObject({
  ...schema.entries,
  norm: v.optional(v.picklist(['l1', 'l2', 'linf']), 'linf' as NormName),
});

/** One step up the cross-entropy; inputs that succeed already are left as they are. */
function singleStep(
  { epsilon, clip }: { epsilon: number; clip?: [number, number] | undefined },
  { model, norm, plan }: AttackContext,
  rule: (gradient: Tensor) => Tensor,
): BatchAttack<AttackResult> {
  const program = (x: Tensor, y: Tensor, targets?: Tensor) => {
    const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), x);
    const { cotangent } = losses.crossEntropy.at(logits, { y, targets });
    const direction = rule(asRows(pullback(cotangent), x.shape.slice(1)));
    const moved = project(x, ops.affine(direction, epsilon), { norm, epsilon, clip });
    const adversarial = ops.where(overPoints(reached(logits, y, targets), x), x, moved);
    return { ...measured(model, { x, y, targets, norm, adversarial, queries: 1, backwards: 1 }), logits };
  };
  const any = plan((x: Tensor, y: Tensor) => program(x, y));
  const targeted = plan(program);
  return (x, y, _, targets) => (targets === undefined ? any(x, y) : targeted(x, y, targets));
}

/**
 * The fast gradient method: one step of length epsilon in the direction in which the loss grows fastest in the norm, or
 * in which that of the target falls fastest. Without targets it is `advLoss` under the field's name.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `targets`, `clip`, `batchSize`, `rows`, `signal`.
 * @throws SparringError as every attack does (see `advAlpha`), and with `clip` for an epsilon beyond the diameter of the
 * range.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const { queries } = await attacks.fgm(model, uniform([2, 8], { seed: 2 }), [0, 1], { epsilon: 1, targets: [2, 2] });
 * console.log(queries.toArray()); // [2, 2]
 * ```
 */
export const fgm: DefinedAttack<FgmOptions> = defineAttack<typeof schema, FgmOptions>(
  'fgm',
  schema,
  (options, context) => singleStep(options, context, (gradient) => context.norm.steepest(gradient)),
);

/**
 * The fast gradient sign method (Goodfellow et al. 2015): one step of length epsilon in the sign of the loss gradient, in
 * linf by default; in another norm the sign is brought to that length there. Options and errors are otherwise those of
 * {@link fgm}.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, -4]]), bias: tensor([0, -5]) });
 * const { adversarial } = await attacks.fgsm(model, tensor([[0, 0]]), [0], { epsilon: 0.5 });
 * console.log(adversarial.toArray().map((row) => row.map((value) => value.toFixed(3)))); // [[0.500, -0.500]]
 * ```
 */
export const fgsm: DefinedAttack<FgmOptions> = defineAttack<typeof signSchema, FgmOptions>(
  'fgsm',
  signSchema,
  (options, context) => singleStep(options, context, (gradient) => unit(ops.sign(gradient), context.norm)),
);
