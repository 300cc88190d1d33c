/** Learning-rate schedules: what the rate is multiplied by at each step of a training. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';

const factor = v.pipe(v.number(), v.finite(), v.minValue(0));
const cosineOptions = v.strictObject({ final: v.optional(factor, 0) });
const stepsOptions = v.strictObject({
  at: v.array(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
  factor: v.optional(factor, 0.1),
});

/** The factor at step `step` (from 0) of `total`. */
export type Schedule = (step: number, total: number) => number;

/** The rate as it is. */
export const constant = (): Schedule => () => 1;

/**
 * Falls along half a cosine from 1 to `final` (0).
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 */
export function cosine(options: v.InferInput<typeof cosineOptions> = {}): Schedule {
  const { final } = parseOptions(cosineOptions, options, 'schedules.cosine');
  return (step, total) => final + ((1 - final) * (1 + Math.cos((Math.PI * step) / total))) / 2;
}

/**
 * Multiplied by `factor` (0.1) at each of the given fractions of the training.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 */
export function steps(options: { at: readonly number[]; factor?: number }): Schedule {
  const { at, factor } = parseOptions(stepsOptions, options, 'schedules.steps');
  return (step, total) => factor ** at.filter((fraction) => step >= fraction * total).length;
}

/**
 * One factor after the other, each for its length of the training in any unit, epochs for instance: the authors' rate on
 * CIFAR-10, .025 for 50 epochs, .003 for 5, .001 for 5, .0001 for 5, is a rate of .025 and the pieces below.
 *
 * @throws SparringError `INVALID_ARGUMENT` where there is no piece, or one of no length or with no factor.
 *
 * @example
 * ```ts
 * import { schedules } from 'sparring';
 *
 * const schedule = schedules.piecewise([[50, 1], [5, 0.12], [5, 0.04], [5, 0.004]]);
 * console.log(schedule(0, 650), schedule(500, 650), schedule(649, 650)); // 1 0.12 0.004
 * ```
 */
export function piecewise(pieces: readonly (readonly [length: number, factor: number])[]): Schedule {
  if (pieces.length === 0 || !pieces.flat().every((each) => each >= 0) || !pieces.every(([length]) => length > 0)) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `piecewise: expected pieces [length above 0, factor of at least 0], received ${JSON.stringify(pieces)}`,
    );
  }
  const whole = pieces.reduce((sum, [length]) => sum + length, 0);
  return (step, total) => {
    let end = 0;
    const piece = pieces.find(([length]) => step * whole < (end += length) * total);
    return (piece ?? pieces.at(-1)!)[1];
  };
}
