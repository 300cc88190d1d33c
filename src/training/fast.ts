import * as v from 'valibot';
import { attackEntries } from '../adversary/attack.js';
import { lossDirection } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { moved } from './adversarial.js';
import { ballEntries, defineMethod } from './method.js';

const schema = v.strictObject({ ...ballEntries, clip: attackEntries.clip });

/** Settings of {@link fast}. */
export type FastOptions = v.InferInput<typeof schema>;

/**
 * Fast adversarial training (Wong, Rice & Kolter 2020): one gradient step of length 1.25 `epsilon` (1.5) from a random
 * place in the ball, brought back into it. With norm `linf` it is the published method; the default is `l2`, as
 * everywhere here.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.fast({ norm: 'linf', epsilon: 0.3 }).name); // fast
 * ```
 */
export const fast = defineMethod('fast', schema, (settings) => (batch) => {
  const moves = { ...settings, stepSize: 1.25 * settings.epsilon, randomStart: true };
  const adversarial = moved(batch, lossDirection, moves);
  return () => crossEntropyLoss(batch.model.forward(adversarial), batch.y);
});
