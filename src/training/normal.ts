import { crossEntropyLoss } from '../nn/losses.js';
import type { Method } from './method.js';

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
export function normal(): Method {
  return {
    name: 'normal',
    settings: {},
    prepare:
      ({ model, x, y }) =>
      () =>
        crossEntropyLoss(model.forward(x), y),
  };
}
