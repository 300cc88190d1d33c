import * as v from 'valibot';
import { crossEntropyLoss, klDivergence } from '../nn/losses.js';
import { add, affine, mean } from '../tensor/ops.js';
import { moved, stepEntries } from './adversarial.js';
import { divergenceDirection } from './divergence.js';
import { ballEntries, defineMethod, evaluating, weightEntry } from './method.js';

const schema = v.strictObject({
  ...ballEntries,
  ...stepEntries(10, { randomStart: true }),
  beta: v.optional(weightEntry, 6),
});

/** Settings of {@link trades}. */
export type TradesOptions = v.InferInput<typeof schema>;

/**
 * TRADES (Zhang et al. 2019, equation 5): the loss of the clean batch plus `beta` (6) times the divergence KL(p(x) ‖
 * p(x')) of the network's answers, where x' is what {@link pgd}'s steps, its options the same, find to depart most from
 * p(x). The network learns through both answers. Without a random start the divergence has no slope to climb.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.trades({ norm: 'linf', epsilon: 0.3, beta: 1 }).settings.steps); // 10
 * ```
 */
export const trades = defineMethod('trades', schema, ({ beta, ...moves }) => (batch) => {
  const { model, x, y } = batch;
  const adversarial = moved(batch, divergenceDirection(evaluating(model, () => model.forward(x))), moves);
  return () => {
    const clean = model.forward(x);
    const change = mean(klDivergence(clean, model.forward(adversarial)));
    return add(crossEntropyLoss(clean, y), affine(change, beta));
  };
});
