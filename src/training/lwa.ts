import * as v from 'valibot';
import { epsilonEntry } from '../adversary/attack.js';
import { norms, perturbed } from '../adversary/norms.js';
import { alphaDirection, lossDirection } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { parseOptions } from '../options.js';
import { mul } from '../tensor/ops.js';
import { evaluating, type Method } from './method.js';

const schema = v.strictObject({
  epsilon: v.optional(epsilonEntry, 1.5),
  norm: v.optional(v.picklist(['l1', 'l2', 'linf']), 'l2'),
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
export function lwa(options: LwaOptions = {}): Method {
  const settings = parseOptions(schema, options, 'lwa');
  const norm = norms[settings.norm];
  const rule = { loss: lossDirection, alpha: alphaDirection }[settings.perturbation];
  return {
    name: 'lwa',
    settings,
    prepare: ({ model, x, y }) => {
      const { direction } = evaluating(model, () => rule(model, x, y, norm));
      const adversarial = perturbed(x, mul(direction, settings.epsilon), { norm });
      return () => crossEntropyLoss(model.forward(adversarial), y);
    },
  };
}
