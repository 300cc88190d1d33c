import * as v from 'valibot';
import { directions } from '../adversary/perturbations.js';
import { carriedReachBound } from '../nn/bounds.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { moved, stepEntries } from './adversarial.js';
import { defineMethod, evaluating, lengthEntries } from './method.js';

const schema = v.strictObject({
  ...lengthEntries,
  perturbation: v.optional(v.picklist(['loss', 'alpha']), 'loss'),
  ...stepEntries(1, { randomStart: false }),
});

/** Settings of {@link lwa}. */
export type LwaOptions = v.InferInput<typeof schema>;

/**
 * Learning with adversary (paper, Algorithm 2): each batch is moved by perturbations of length `epsilon` (1.5) that are
 * found for the network as it is, and the network learns from the moved batch only. `perturbation` is `loss` (the
 * likelihood's, Adv_Loss) or `alpha` (the misclassification's, Adv_Alpha); inputs that are misclassified already then
 * take the likelihood's.
 *
 * Beyond the paper, the adversary may take several `steps` (1), each of length `stepSize` (2.5 epsilon / steps), from the
 * inputs or, with `randomStart`, from a random place no farther than epsilon from them, and keep them in a range `clip`.
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
  const { model } = batch;
  // The bound is that of the network as the adversary sees it.
  const reach = settings.perturbation === 'alpha' ? evaluating(model, () => carriedReachBound(model)) : undefined;
  const adversarial = moved(batch, directions[settings.perturbation], { ...settings, reach });
  return () => crossEntropyLoss(model.forward(adversarial), batch.y);
});
