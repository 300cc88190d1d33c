/** Learning-rate schedules: what the rate is multiplied by at each step of a training. */
import * as v from 'valibot';
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
