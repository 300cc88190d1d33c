import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { Dropout, Linear } from '../nn/layers.js';
import { crossEntropyLoss } from '../nn/losses.js';
import { layersOf } from '../nn/split.js';
import type { Tensor } from '../tensor/tensor.js';
import { defineMethod } from './method.js';

const rate = v.pipe(
  v.number(),
  v.check(
    (value) => value >= 0 && value < 1,
    ({ input }) => `expected at least 0 and below 1, received ${input}`,
  ),
);

const schema = v.strictObject({ rate: v.optional(rate, 0.5) });

/** Settings of {@link dropout}. */
export type DropoutOptions = v.InferInput<typeof schema>;

/**
 * Training with dropout (Srivastava et al. 2014), of a network that is made without: while it learns, each hidden unit of
 * the dense layers is left out with probability `rate` (½). It is what the models' option `dropout` does, but belongs to
 * the training: the network, its names and its file are those of {@link normal}.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options; when training begins, for a network that
 * is no Sequential with two dense layers, or has dropout of its own, which {@link normal} trains with.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.dropout({ rate: 0.2 }).settings.rate); // 0.2
 * ```
 */
export const dropout = defineMethod('dropout', schema, (settings) => {
  const layer = new Dropout(settings);
  return ({ model, x, y }) => {
    const layers = layersOf(model);
    const hidden = new Set(layers.filter(({ module }) => module instanceof Linear).slice(1));
    const refuse = (what: string): never => {
      throw new SparringError('INVALID_ARGUMENT', `dropout: expected ${what}`);
    };
    if (layers.some(({ module }) => module instanceof Dropout))
      refuse('a network without dropout of its own, received one with Dropout layers; the method normal trains it');
    if (hidden.size === 0) refuse('a Sequential with at least two dense layers, received another network');
    const thinned = (value: Tensor, each: (typeof layers)[number]): Tensor =>
      each.forward(hidden.has(each) ? layer.forward(value) : value);
    return () => crossEntropyLoss(layers.reduce(thinned, x), y);
  };
});
