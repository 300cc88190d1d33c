/** Learning-rate schedules: what the rate is multiplied by at each step of a training. */

/** The factor at step `step` (from 0) of `total`. */
export type Schedule = (step: number, total: number) => number;

/** The rate as it is. */
export const constant = (): Schedule => () => 1;

/** Falls along half a cosine from 1 to `final` (0). */
export const cosine =
  ({ final = 0 }: { final?: number } = {}): Schedule =>
  (step, total) =>
    final + ((1 - final) * (1 + Math.cos((Math.PI * step) / total))) / 2;

/** Multiplied by `factor` (0.1) at each of the given fractions of the training. */
export const steps =
  ({ at, factor = 0.1 }: { at: readonly number[]; factor?: number }): Schedule =>
  (step, total) =>
    factor ** at.filter((fraction) => step >= fraction * total).length;
