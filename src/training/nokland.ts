import * as v from 'valibot';
import { lossSignDirection } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { moved } from './adversarial.js';
import { defineMethod, lengthEntries } from './method.js';

const schema = v.strictObject(lengthEntries);

/** Settings of {@link nokland}. */
export type NoklandOptions = v.InferInput<typeof schema>;

/**
 * Nøkland 2015: the network learns from inputs moved along the sign of the loss gradient, and from nothing else;
 * {@link goodfellow} without its clean half. The sign is brought to length `epsilon` (1.5) in the `norm` (l2, as in the
 * paper's tables); with `linf` each number moves by epsilon, as published.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.nokland({ epsilon: 0.1, norm: 'linf' }).settings.epsilon); // 0.1
 * ```
 */
export const nokland = defineMethod('nokland', schema, (settings) => (batch) => {
  const adversarial = moved(batch, lossSignDirection, settings);
  return () => crossEntropyLoss(batch.model.forward(adversarial), batch.y);
});
