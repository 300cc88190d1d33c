/** What iterative attacks make grow: functions of the logits, one number an example, with their gradients. */
import { vjp } from '../autodiff/autodiff.js';
import { SparringError } from '../errors.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { ascentCotangent } from './linearization.js';

/** The name of a loss. */
export type LossName = keyof typeof losses;

/** Labels, and the classes to lead to where the attack is targeted; int32 [B] each. */
export interface Goal {
  y: Tensor;
  targets?: Tensor | undefined;
}

/** A loss at some logits [B, K]. */
export interface LossValue {
  /** It grows as the attack advances; [B]. */
  value: Tensor;
  /** Its gradient by the logits, [B, K]; of the cross-entropy up to a factor, whose logarithm is `weight`. */
  cotangent: Tensor;
  /** [B] */
  weight?: Tensor;
}

/** A loss of attacks. */
export interface AttackLoss {
  /** How many classes it needs, untargeted and targeted. */
  readonly classes: readonly [number, number];
  at(logits: Tensor, goal: Goal): LossValue;
}

const rank1 = (x: Tensor): Tensor => ops.reshape(x, [x.shape[0]!]);

/** The logit of a class, [B]. */
const logitOf = (z: Tensor, labels: Tensor): Tensor =>
  rank1(ops.takeAlong(z, ops.reshape(labels, [labels.shape[0]!, 1])));

const marks = (z: Tensor, labels: Tensor): Tensor =>
  ops.oneHot(labels, { classes: z.shape[1]!, dtype: z.dtype === 'float64' ? 'float64' : 'float32' });

/** The logits with those of a class out of the running. */
export const without = (z: Tensor, labels: Tensor): Tensor => ops.where(marks(z, labels), -Infinity, z);

/** Where the `count` largest logits stand, the largest first, int32 [B] each; of equals the first. */
export function largest(logits: Tensor, count: number): Tensor[] {
  const found: Tensor[] = [];
  let left = logits;
  for (let place = 0; place < count; place++) {
    const top = ops.argmax(left);
    found.push(top);
    left = without(left, top);
  }
  return found;
}

/** A loss given by its value, with the places of the largest logits at hand; its gradient is found by differentiation. */
function differentiated(
  classes: readonly [number, number],
  value: (z: Tensor, goal: Goal, top: readonly Tensor[]) => Tensor,
): AttackLoss {
  return {
    classes,
    at: (logits, goal) => {
      const top = largest(logits, Math.min(4, logits.shape[1]!));
      const { value: found, pullback } = vjp((z: Tensor) => value(z, goal, top), logits);
      return { value: found, cotangent: pullback(ops.ones(found.shape, { dtype: logits.dtype })) };
    },
  };
}

/** The place of the largest logit but that of a class. */
const rival = (z: Tensor, labels: Tensor): Tensor => ops.argmax(without(z, labels));

/** By how much the best wrong class is ahead of the label, or the target of all others; [B]. */
export function lead(z: Tensor, { y, targets }: Goal): Tensor {
  return targets === undefined
    ? ops.sub(logitOf(z, rival(z, y)), logitOf(z, y))
    : ops.sub(logitOf(z, targets), logitOf(z, rival(z, targets)));
}

/**
 * The losses of attacks.
 *
 * `crossEntropy`: that of the label, or less that of the target. Its value is given as the log-odds against the label,
 * log Σ_{k≠y} e^{z_k} - z_y, which grow exactly as it does, and neither they nor their gradient round to zero in a
 * confident network.
 *
 * `margin`: how far the best other class is ahead of the label, or the target of all others.
 *
 * `dlr` (Croce and Hein 2020): the difference of logits ratio -(z_y - max_{i≠y} z_i) / (z_1st - z_3rd + 1e-12); targeted
 * -(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2 + 1e-12). It does not change when all logits are scaled.
 */
export const losses = {
  crossEntropy: {
    classes: [2, 2],
    at: (logits, { y, targets }) => {
      const label = targets ?? y;
      const others = without(logits, label);
      const most = ops.max(others, { axes: [-1], keepDims: true });
      const total = ops.log(ops.sum(ops.exp(ops.sub(others, most)), { axes: [-1] }));
      const odds = ops.sub(ops.add(total, rank1(most)), logitOf(logits, label));
      const cotangent = ascentCotangent(logits, label);
      // The cross-entropy's gradient is σ(odds) times that of the odds; log σ is written so that nothing overflows.
      const weight = ops.sub(ops.minimum(odds, 0), ops.log(ops.affine(ops.exp(ops.neg(ops.abs(odds))), 1, 1)));
      return targets === undefined
        ? { value: odds, cotangent, weight }
        : { value: ops.neg(odds), cotangent: ops.neg(cotangent), weight };
    },
  },
  margin: differentiated([2, 2], lead),
  dlr: differentiated([3, 4], (z, { y, targets }, top) => {
    const [first, , third, fourth] = top.map((place) => logitOf(z, place));
    if (targets === undefined) return ops.div(lead(z, { y }), ops.affine(ops.sub(first!, third!), 1, 1e-12));
    const spread = ops.sub(first!, ops.affine(ops.add(third!, fourth!), 0.5));
    return ops.div(ops.sub(logitOf(z, targets), logitOf(z, y)), ops.affine(spread, 1, 1e-12));
  }),
} as const satisfies Record<string, AttackLoss>;

/** The names of the losses. */
export const lossNames = Object.keys(losses) as LossName[];

/** Refuses a loss that needs more classes than there are. */
export function guardClasses(name: string, loss: LossName, classes: number, isTargeted: boolean): void {
  const least = losses[loss].classes[isTargeted ? 1 : 0];
  if (classes >= least) return;
  throw new SparringError(
    'INVALID_ARGUMENT',
    `${name}: loss: expected crossEntropy or margin for ${classes} classes (${isTargeted ? 'targeted ' : ''}${loss} needs ${least}), received '${loss}'`,
  );
}
