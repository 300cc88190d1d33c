/** How methods find the inputs that they learn from. */
import { norms, perturbed } from '../adversary/norms.js';
import { alphaDirection, lossDirection, type DirectionRule } from '../adversary/perturbations.js';
import { mul, type NormName } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { evaluating, type Batch } from './method.js';

/** The paper's two perturbations by the names of their options: the likelihood's and the misclassification's. */
export const directionRules = { loss: lossDirection, alpha: alphaDirection };

/** The batch's inputs, each moved by epsilon in the rule's direction for the network as it will be used. */
export function moved(
  { model, x, y }: Batch,
  rule: DirectionRule,
  { epsilon, norm: name }: { epsilon: number; norm: NormName },
): Tensor {
  const norm = norms[name];
  const { direction } = evaluating(model, () => rule(model, x, y, norm));
  return perturbed(x, mul(direction, epsilon), { norm });
}
