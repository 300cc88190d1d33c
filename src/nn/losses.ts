import { crossEntropy, mean } from '../tensor/ops.js';
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
