import * as v from 'valibot';
import { atLeastOne, attackEntries } from '../adversary/attack.js';
import { asRows, norms } from '../adversary/norms.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { mul } from '../tensor/ops.js';
import { movedOn } from './adversarial.js';
import { ballEntries, defineMethod } from './method.js';

const schema = v.strictObject({
  ...ballEntries,
  replays: v.optional(atLeastOne, 4),
  clip: attackEntries.clip,
});

/** Settings of {@link free}. */
export type FreeOptions = v.InferInput<typeof schema>;

/**
 * Free adversarial training (Shafahi et al. 2019): each batch is learned from `replays` (4) times, and the backward pass
 * of each update also moves the inputs, by a step of length `epsilon` (1.5), for the next one. A batch begins with the
 * perturbations that the last one was left with, the first one with none. An epoch takes as long as `replays` of normal
 * training. The steps are found as the network trains, with dropout if it has any: they are a by-product.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.free({ norm: 'linf', epsilon: 0.3, replays: 8 }).settings.replays); // 8
 * ```
 */
export const free = defineMethod(
  'free',
  schema,
  ({ replays, ...moves }) =>
    ({ model, x, y, carried }) => ({
      times: replays,
      inputs: carried ? movedOn(x, x, asRows(carried, x.shape.slice(1)), moves) : x,
      loss: (at) => crossEntropyLoss(model.forward(at), y),
      next: (at, gradient) => {
        const direction = norms[moves.norm].steepest(asRows(gradient, x.shape.slice(1)));
        return movedOn(x, at, mul(direction, moves.epsilon), moves);
      },
    }),
  { carries: true },
);
