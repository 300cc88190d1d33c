import * as v from 'valibot';
import { crossEntropyLoss } from '../nn/losses.js';
import { directionRules, moved } from './adversarial.js';
import { defineMethod, lengthEntries } from './method.js';

const schema = v.strictObject({
  ...lengthEntries,
  perturbation: v.optional(v.picklist(['loss', 'alpha']), 'loss'),
});

/** Settings of {@link lwa}. */
export type LwaOptions = v.InferInput<typeof schema>;

/**
 * Learning with adversary (paper, Algorithm 2): each batch is moved by perturbations of length `epsilon` (1.5) that are
 * found for the network as it is, and the network learns from the moved batch only. `perturbation` is `loss` (the
 * likelihood's, Adv_Loss) or `alpha` (the misclassification's, Adv_Alpha); inputs that are misclassified already then
 * take the likelihood's.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.lwa({ epsilon: 1.5, norm: 'l2', perturbation: 'alpha' }).settings.epsilon); // 1.5
 * ```
 */
export const lwa = defineMethod('lwa', schema, (settings) => (batch) => {
  const adversarial = moved(batch, directionRules[settings.perturbation], settings);
  return () => crossEntropyLoss(batch.model.forward(adversarial), batch.y);
});
