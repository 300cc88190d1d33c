/** FAB: the fast adaptive boundary attack. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne, seedEntry, type Labels } from './attack.js';
import { nearestBoundary, others, ranked } from './boundary.js';
import {
  asColumn,
  between,
  defineDistanceAttack,
  distanceEntries,
  ledEntry,
  nearer,
  onlyFound,
  spent,
  type DistanceOptions,
  type Found,
  type Given,
} from './distance.js';
import { projectedOnPlane } from './hyperplane.js';
import { asRows, nonZero } from './norms.js';

/** Options of {@link fab}. */
export interface FabOptions extends DistanceOptions {
  /** Steps of each run, 100 by default. */
  steps?: number;
  /** Runs, 1 by default; each after the first starts from a random point half as far as the best one found, or epsilon. */
  restarts?: number;
  /**
   * A number runs once for each of so many classes, those with the largest logits besides the label's: FAB-T, 9 in the
   * standard protocol, with one backward row a step however many classes there are. Any class but the label is a success.
   * One class for each input leads the inputs there, and only that is a success.
   */
  targets?: number | Labels;
  /** The most that the steps are drawn back to the original, .1 by default. */
  alphaMax?: number;
  /** How far beyond the boundary the steps go, 1.05 by default. */
  eta?: number;
  /** What remains of an adversarial perturbation for the next step to start from, .9 by default. */
  beta?: number;
  /** Of the random starts, 0 by default. */
  seed?: number;
}

/**
 * How much farther the step from the original goes: from a point behind a flat boundary the two steps would else meet on it
 * exactly, and rounding would decide.
 */
const beyond = 0.001;

const schema = v.strictObject({
  ...distanceEntries,
  steps: v.optional(atLeastOne, 100),
  restarts: v.optional(atLeastOne, 1),
  targets: ledEntry,
  alphaMax: v.optional(between(0, 1), 0.1),
  eta: v.optional(between(1, 2), 1.05),
  beta: v.optional(between(0, 1), 0.9),
  seed: seedEntry,
});

/**
 * FAB (Croce and Hein 2020, Algorithm 1): walks along the nearest linearised boundary, projecting the point and the
 * original on it inside the box, and draws adversarial points back towards the original. With a number of `targets` FAB-T.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link FabOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.fab(model, tensor([[0, 0]]), [0]);
 * console.log(distance.item() > 1 && distance.item() < 1.01); // true
 * ```
 */
export const fab = defineDistanceAttack<FabOptions, typeof schema>(
  'fab',
  schema,
  (
    { steps, restarts, targets, alphaMax, eta, beta, seed, epsilon = Infinity, clip },
    { model, norm, targeted, fooled, margin, program, iterate },
  ) => {
    const clipped = (x: Tensor): Tensor => (clip === undefined ? x : ops.clamp(x, { low: clip[0], high: clip[1] }));

    const choose = program(({ aim, logits }: Given) => ({
      classes: targeted
        ? ops.reshape(aim, [1, aim.size])
        : typeof targets === 'number'
          ? ranked(logits, aim, targets)
          : others(logits.shape[1]!, aim),
    }));

    const begin = program(({ x, rows, distance, tick }: Given & Found & { tick: Tensor }) => {
      const source = { seed, stream: 0xfab, rows, tick, dtype: x.dtype as 'float32' | 'float64' };
      const drawn = asRows(
        norm.name === 'linf' ? ops.uniform(x.shape, { ...source, low: -1, high: 1 }) : ops.normal(x.shape, source),
        x.shape.slice(1),
      );
      const reach = ops.minimum(distance, epsilon);
      const size = ops.affine(ops.where(ops.less(reach, Infinity), reach, 0), 0.5);
      const by = ops.div(ops.cast(size, x.dtype), nonZero(norm.length(drawn)));
      return { at: clipped(ops.add(x, ops.mul(ops.reshape(drawn, x.shape), asColumn(by, x)))) };
    });

    const step = program((state: Given & Found & { at: Tensor; classes: Tensor }) => {
      const { x, aim, at, classes } = state;
      const from = targeted ? (logits: Tensor): Tensor => margin(logits, aim).from : aim;
      const { w, gap } = nearestBoundary(model, at, { norm, from, candidates: classes });
      const example = x.shape.slice(1);
      const rows = asRows(ops.concat([at, x]), example);
      const normal = ops.concat([w, w]);
      const apart = ops.sum(ops.mul(w, asRows(ops.sub(x, at), example)), { axes: [-1], keepDims: true });
      const offset = ops.neg(ops.concat([gap, ops.add(gap, apart)]));
      const both = projectedOnPlane(rows, normal, offset, { norm, clip });
      const batch = x.shape[0]!;
      const [near, far] = [ops.slice(both, [0], [batch]), ops.slice(both, [batch])];
      const [d1, d2] = [norm.length(near), norm.length(far)];
      const share = ops.clamp(ops.div(d1, nonZero(ops.add(d1, d2))), { high: alphaMax });
      // On the way to a target several boundaries are crossed: what draws back waits until it has been reached.
      const alpha = asColumn(targeted ? ops.where(ops.less(state.distance, Infinity), share, 0) : share, x);
      const along = (start: Tensor, d: Tensor, by: number): Tensor =>
        ops.add(start, ops.affine(ops.reshape(d, x.shape), by));
      const next = clipped(
        ops.add(ops.mul(ops.affine(alpha, -1, 1), along(at, near, eta)), ops.mul(alpha, along(x, far, eta + beyond))),
      );
      const through = fooled(model.forward(next), aim);
      return {
        ...nearer(norm, x, state, next, through),
        ...spent(state, { queries: 2, backwards: classes.shape[0]! }),
        at: ops.where(asColumn(through, x), ops.add(x, ops.affine(ops.sub(next, x), beta)), next),
      };
    });

    return async (given, found) => {
      const { classes } = await choose(given);
      const runs =
        typeof targets === 'number'
          ? Array.from({ length: classes.shape[0]! }, (_, run) => ops.slice(classes, [run], [run + 1]))
          : [classes];
      let state = found;
      for (let restart = 0; restart < restarts; restart++) {
        for (const [run, toward] of runs.entries()) {
          state = await scope(async () => {
            const tick = ops.full([], restart * runs.length + run, { dtype: 'int32' });
            const { at } = restart === 0 ? { at: given.x } : await begin({ ...given, ...state, tick });
            return onlyFound(await iterate({ ...given, classes: toward }, { ...state, at }, steps, step));
          });
        }
      }
      return state;
    };
  },
  { leads: true },
);
