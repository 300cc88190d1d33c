import * as v from 'valibot';
import { crossEntropyLoss } from '../nn/losses.js';
import { defineMethod } from './method.js';

/**
 * Ordinary training: the mean cross-entropy of the clean batch.
 *
 * @example
 * ```ts
 * import { methods } from 'sparring';
 *
 * console.log(methods.normal().name); // normal
 * ```
 */
export const normal = defineMethod(
  'normal',
  v.strictObject({}),
  () =>
    ({ model, x, y }) =>
    () =>
      crossEntropyLoss(model.forward(x), y),
);
