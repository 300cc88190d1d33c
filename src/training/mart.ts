import * as v from 'valibot';
import { lossDirection } from '../adversary/perturbations.js';
import { klDivergence } from '../nn/losses.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { moved, stepEntries } from './adversarial.js';
import { ballEntries, defineMethod, weightEntry } from './method.js';

const schema = v.strictObject({
  ...ballEntries,
  ...stepEntries(10, { randomStart: true }),
  beta: v.optional(weightEntry, 5),
});

/** Settings of {@link mart}. */
export type MartOptions = v.InferInput<typeof schema>;

const labelOf = (logits: Tensor, y: Tensor): Tensor =>
  ops.oneHot(y, { classes: logits.shape[1]!, dtype: logits.dtype === 'float64' ? 'float64' : 'float32' });

/**
 * The boosted cross-entropy -log p_y - log (1 - p_m), m the likeliest of the other classes. As 1 - p_m = (Σ_{k≠m} e^{z_k}) /
 * Σ e^{z_k}, its logarithm is the cross-entropy without class m less that with it.
 */
function boosted(logits: Tensor, y: Tensor): Tensor {
  const others = ops.where(labelOf(logits, y), -Infinity, logits);
  const rival = labelOf(logits, ops.argmax(others));
  const without = ops.crossEntropy(ops.where(rival, -Infinity, logits), y);
  return ops.sub(ops.affine(ops.crossEntropy(logits, y), 2), without);
}

/**
 * MART (Wang et al. 2020, equation 11): the boosted cross-entropy of inputs x' moved by {@link pgd}'s steps, its options
 * the same, plus `beta` (5) times the divergence KL(p(x) ‖ p(x')), in which an example counts by 1 - p_y(x): those that
 * are misclassified count most.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.mart({ norm: 'linf', epsilon: 0.3 }).settings.beta); // 5
 * ```
 */
export const mart = defineMethod('mart', schema, ({ beta, ...moves }) => (batch) => {
  const { model, x, y } = batch;
  const adversarial = moved(batch, lossDirection, moves);
  return () => {
    const [clean, attacked] = [model.forward(x), model.forward(adversarial)];
    const doubt = ops.sum(ops.where(labelOf(clean, y), 0, ops.softmax(clean)), { axes: [-1] });
    const change = ops.affine(ops.mul(klDivergence(clean, attacked), doubt), beta);
    return ops.mean(ops.add(boosted(attacked, y), change));
  };
});
