import * as v from 'valibot';
import { lossSignDirection } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { add, affine } from '../tensor/ops.js';
import { moved } from './adversarial.js';
import { defineMethod, lengthEntries, shareEntry } from './method.js';

const schema = v.strictObject({ ...lengthEntries, share: v.optional(shareEntry, 0.5) });

/** Settings of {@link goodfellow}. */
export type GoodfellowOptions = v.InferInput<typeof schema>;

/**
 * Goodfellow et al. 2014 (equation in section 6): a `share` (½) of the loss is that of inputs moved along the sign of
 * the loss gradient, the rest that of the clean inputs. The sign is brought to length `epsilon` (1.5) in the `norm` (l2,
 * as in the paper's tables); with `linf` each number moves by epsilon, as published.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.goodfellow({ epsilon: 0.25, norm: 'linf' }).settings.share); // 0.5
 * ```
 */
export const goodfellow = defineMethod('goodfellow', schema, ({ share, ...length }) => (batch) => {
  const { model, x, y } = batch;
  const adversarial = moved(batch, lossSignDirection, length);
  return () => {
    const clean = affine(crossEntropyLoss(model.forward(x), y), 1 - share);
    return add(clean, affine(crossEntropyLoss(model.forward(adversarial), y), share));
  };
});
