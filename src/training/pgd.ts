import * as v from 'valibot';
import { lossDirection } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { moved, stepEntries } from './adversarial.js';
import { ballEntries, defineMethod } from './method.js';

const schema = v.strictObject({ ...ballEntries, ...stepEntries(10, { randomStart: true }) });

/** Settings of {@link pgd}. */
export type PgdTrainingOptions = v.InferInput<typeof schema>;

/**
 * Adversarial training by projected gradient descent (Madry et al. 2018): the network learns from inputs that `steps`
 * (10) steps of length `stepSize` (2.5 `epsilon` / steps) have moved to where the loss is high, from a random place in the
 * ball of `epsilon` (1.5) in the `norm` (l2 or linf) or, without `randomStart`, from the inputs. With `clip` they stay in
 * a range.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * const method = methods.pgd({ norm: 'linf', epsilon: 0.3, steps: 7, stepSize: 0.1, clip: [0, 1] });
 * console.log(method.settings.randomStart); // true
 * ```
 */
export const pgd = defineMethod('pgd', schema, (settings) => (batch) => {
  const adversarial = moved(batch, lossDirection, settings);
  return () => crossEntropyLoss(batch.model.forward(adversarial), batch.y);
});
