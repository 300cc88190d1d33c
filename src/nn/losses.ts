import { crossEntropy, exp, logSoftmax, mean, mul, sub, sum } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * The mean cross-entropy of a batch: logits [B, K], labels int32 [B].
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * const loss = nn.crossEntropyLoss(tensor([[0, 0]]), tensor([1], { dtype: 'int32' }));
 * console.log(loss.item().toFixed(4)); // 0.6931
 * ```
 */
export const crossEntropyLoss = (logits: Tensor, labels: Tensor): Tensor => mean(crossEntropy(logits, labels));

/**
 * How far the probabilities of some logits are from those of others, KL(p ‖ q) for each example: logits of p and of q [B,
 * K], result [B]. It may be differentiated by both.
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * const divergence = nn.klDivergence(tensor([[0, 0]]), tensor([[0, 2]]));
 * console.log(divergence.data()[0].toFixed(4)); // 0.4338
 * ```
 */
export function klDivergence(p: Tensor, q: Tensor): Tensor {
  const logP = logSoftmax(p);
  return sum(mul(exp(logP), sub(logP, logSoftmax(q))), { axes: [-1] });
}
