/** HopSkipJump: the attack that sees nothing of the network but the class that it names. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { atLeastOne, seedEntry, targetsEntry } from './attack.js';
import { projectedOnBall } from './ball.js';
import {
  asColumn,
  defineDistanceAttack,
  distanceEntries,
  distanceOf,
  nearer,
  onlyFound,
  spent,
  type Found,
  type Given,
  type TargetedOptions,
} from './distance.js';
import { asRows, nonZero, norms } from './norms.js';

/** Options of {@link hopSkipJump}. */
export interface HopSkipJumpOptions extends TargetedOptions {
  /** L2 or L∞; `l2` by default. */
  norm?: 'l2' | 'linf';
  /** The valid range of inputs, needed: the search starts from noise in it. */
  clip?: [number, number];
  /** Steps, 40 by default. */
  steps?: number;
  /** Probes for the direction of the first step, 100 by default; the t-th step takes √t times as many. */
  probes?: number;
  /** How many noise inputs are tried for an adversarial one to start from, 1000 by default. */
  starts?: number;
  /** Of the random numbers, 0 by default. */
  seed?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  norm: v.optional(v.picklist(['l2', 'linf']), 'l2'),
  targets: targetsEntry,
  steps: v.optional(atLeastOne, 40),
  probes: v.optional(atLeastOne, 100),
  starts: v.optional(atLeastOne, 1000),
  seed: seedEntry,
});

/** At most so many probes of an example are evaluated at once. */
const atOnce = 25;

/** How often a step is halved before it is given up. */
const halvings = 20;

/** How finely the boundary is found at least, relative to the distance: what the paper sets shrinks with the dimensions. */
const finest = 1e-3;

/** The search on the boundary. */
interface Walk extends Found {
  /** Adversarial points on the boundary, or the inputs where there are none. */
  at: Tensor;
  /** How far the next probes go, [B]. */
  reach: Tensor;
}

/** What the probes of a step told, summed over them: their directions, those that were adversarial, and how many these were. */
interface Told extends Record<string, Tensor> {
  ways: Tensor;
  adverse: Tensor;
  hits: Tensor;
}

/**
 * HopSkipJump (Chen, Jordan and Wainwright 2020, Algorithm 2): asks only which class the network names. From the first
 * noise input that is adversarial it goes back to the boundary by bisection; there the direction is estimated from
 * random probes, a step is taken along it, the distance divided by √t long and halved until it ends adversarial, and the
 * boundary is found anew. In spaces of few dimensions, where the paper's bisection would be coarse, it ends at a thousandth
 * of the distance. Numbers of probes are rounded up to whole batches of 25. No backward rows; `queries` tells the evaluations.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link HopSkipJumpOptions}; `clip` is needed.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`. INVALID_ARGUMENT without `clip`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.hopSkipJump(model, tensor([[0, 0]]), [0], { clip: [-2, 2], steps: 10 });
 * console.log(distance.item() >= 1 && distance.item() < 1.02); // true
 * ```
 */
export const hopSkipJump = defineDistanceAttack<HopSkipJumpOptions, typeof schema>(
  'hopSkipJump',
  schema,
  ({ norm: normName, steps, probes, starts, seed, clip }, { model, norm, fooled, program, iterate, refuse }) => {
    if (clip === undefined) {
      return refuse(
        'INVALID_ARGUMENT',
        'clip: expected the range of the inputs, which the noise is to fill, received none',
      );
    }
    const [low, high] = clip;
    const clipped = (x: Tensor): Tensor => ops.clamp(x, { low, high });
    const real = (x: Tensor): 'float32' | 'float64' => x.dtype as 'float32' | 'float64';
    /** Whether points are adversarial, float64 [B]. */
    const adverse = (points: Tensor, aim: Tensor): Tensor => ops.cast(fooled(model.forward(points), aim), 'float64');
    /** 1 where there is a way to shorten. */
    const hasWay = (x: Tensor, at: Tensor): Tensor => ops.greater(distanceOf(norm, x, at), 0);

    const precision = (width: number): number => Math.min(finest, normName === 'l2' ? width ** -1.5 : width ** -2);

    /** The last adversarial point found by bisection between inputs and adversarial points. */
    const onBoundary = (x: Tensor, at: Tensor, aim: Tensor): { point: Tensor; rounds: number } => {
      const rows = asRows(ops.sub(at, x), x.shape.slice(1));
      const size = ops.reshape(norm.length(rows), [x.shape[0]!, 1]);
      const part = (share: Tensor): Tensor => {
        const by = ops.cast(share, x.dtype);
        const kept = normName === 'l2' ? ops.mul(rows, by) : projectedOnBall(rows, ops.mul(size, by), norm);
        return clipped(ops.add(x, ops.reshape(kept, x.shape)));
      };
      const rounds = Math.ceil(-Math.log2(precision(rows.shape[1]!)));
      let [point, inner, outer] = [at, ...[0, 1].map((share) => ops.full(size.shape, share, { dtype: 'float64' }))] as [
        Tensor,
        Tensor,
        Tensor,
      ];
      for (let round = 0; round < rounds; round++) {
        const middle = ops.affine(ops.add(inner, outer), 0.5);
        const there = part(middle);
        const won = adverse(there, aim);
        const mark = ops.reshape(won, size.shape);
        [inner, outer] = [ops.where(mark, inner, middle), ops.where(mark, middle, outer)];
        point = ops.where(asColumn(won, x), there, point);
      }
      return { point, rounds };
    };

    const draw = program((state: Given & Found & { at: Tensor; lacking: Tensor; tick: Tensor }) => {
      const { x, aim, rows, tick, at, lacking } = state;
      const drawn = ops.uniform(x.shape, { low, high, seed, stream: 0x450, rows, tick, dtype: real(x) });
      const corner = ops.where(ops.less(drawn, (low + high) / 2), low, ops.full([], high, { dtype: x.dtype }));
      const isOdd = ops.sub(
        tick,
        ops.affine(ops.cast(ops.floor(ops.affine(ops.cast(tick, 'float64'), 0.5)), 'int32'), 2),
      );
      const noise = ops.where(isOdd, corner, clipped(drawn));
      const won = ops.mul(adverse(noise, aim), lacking);
      return {
        ...onlyFound(state),
        ...spent(state, { queries: 1, backwards: 0 }, lacking),
        at: ops.where(asColumn(won, x), noise, at),
        lacking: ops.sub(lacking, won),
      };
    });

    const approach = program(({ x, aim, at, ...state }: Given & Found & { at: Tensor }) => {
      const active = hasWay(x, at);
      const { point, rounds } = onBoundary(x, at, aim);
      return {
        ...nearer(norm, x, state, point, active),
        ...spent(state, { queries: rounds, backwards: 0 }, active),
        at: point,
        // A tenth of the range at first: the start is far off.
        reach: ops.full([x.shape[0]!], (high - low) / 10, { dtype: 'float64' }),
      };
    });

    const count = Math.min(probes, atOnce);
    const probe = program((state: Given & Told & { at: Tensor; reach: Tensor; first: Tensor; tick: Tensor }) => {
      const { x, aim, rows, at } = state;
      const [batch, width] = [x.shape[0]!, x.size / x.shape[0]!];
      const source = { seed, stream: 0x451, rows, tick: ops.add(state.first, state.tick), dtype: real(x) };
      const shape = [batch, count, width];
      const drawn = normName === 'l2' ? ops.normal(shape, source) : ops.uniform(shape, { ...source, low: -1, high: 1 });
      const reach = ops.reshape(ops.cast(state.reach, x.dtype), [batch, 1, 1]);
      const here = ops.reshape(at, [batch, 1, width]);
      const there = clipped(ops.add(here, ops.mul(norms.l2.steepest(drawn), reach)));
      const ways = ops.div(ops.sub(there, here), nonZero(reach));
      const flat = [batch * count];
      const aims = ops.reshape(ops.broadcastTo(ops.reshape(aim, [batch, 1]), [batch, count]), flat);
      const won = ops.reshape(adverse(ops.reshape(there, [...flat, ...x.shape.slice(1)]), aims), [batch, count]);
      const mark = ops.cast(ops.reshape(won, [batch, count, 1]), x.dtype);
      return {
        ways: ops.add(state.ways, ops.sum(ways, { axes: [1] })),
        adverse: ops.add(state.adverse, ops.sum(ops.mul(ways, mark), { axes: [1] })),
        hits: ops.add(state.hits, ops.sum(won, { axes: [1] })),
      };
    });

    const advance = program((state: Given & Walk & Told & { probed: Tensor; step: Tensor }) => {
      const { x, aim, at, ways, hits, probed, step } = state;
      const [batch, width] = ways.shape as [number, number];
      const active = hasWay(x, at);
      // The mean of (φ - φ's mean) u for decisions φ of ±1, as far as a factor; where all agree, they or their opposite.
      const share = ops.div(hits, ops.cast(probed, 'float64'));
      const column = ops.cast(ops.reshape(share, [batch, 1]), x.dtype);
      const agree = ops.mul(ways, ops.affine(column, 2, -1));
      const apart = ops.sub(state.adverse, ops.mul(ways, column));
      const mixed = ops.reshape(ops.mul(ops.greater(share, 0), ops.less(share, 1)), [batch, 1]);
      const way = ops.reshape(norms[normName].steepest(ops.where(mixed, apart, agree)), x.shape);

      const distance = distanceOf(norm, x, at);
      let size = ops.div(distance, ops.sqrt(ops.cast(step, 'float64')));
      let [searching, point] = [ops.cast(active, 'float64'), at];
      let tried = ops.mul(searching, 0);
      for (let round = 0; round < halvings; round++) {
        const there = clipped(ops.add(at, ops.mul(way, asColumn(ops.cast(size, x.dtype), x))));
        const won = ops.mul(adverse(there, aim), searching);
        tried = ops.add(tried, searching);
        point = ops.where(asColumn(won, x), there, point);
        searching = ops.sub(searching, won);
        size = ops.affine(size, 0.5);
      }
      const { point: next, rounds } = onBoundary(x, point, aim);
      const fineness = precision(width) * (normName === 'l2' ? Math.sqrt(width) : width);
      const cost = ops.add(ops.cast(tried, 'int32'), ops.mul(ops.cast(active, 'int32'), ops.add(probed, rounds)));
      return {
        ...nearer(norm, x, state, next, active),
        queries: ops.add(state.queries, cost),
        backwards: state.backwards,
        at: next,
        reach: ops.affine(distanceOf(norm, x, next), fineness),
      };
    });

    return async (given, found) => {
      const whole = (value: number): Tensor => tensor(value, { dtype: 'int32' });
      const lacking = ops.cast(ops.greater(found.distance, 0), 'float64');
      const drawn = await iterate(given, { ...found, at: given.x, lacking }, starts, draw, ({ lacking: still }) =>
        still.data().every((each) => each === 0),
      );
      let state: Walk = await approach({ ...given, ...onlyFound(drawn), at: drawn.at });
      let first = 0;
      for (let step = 1; step <= steps; step++) {
        const batches = Math.ceil((probes * Math.sqrt(step)) / count);
        state = await scope(async () => {
          const none = asRows(ops.mul(given.x, 0), given.x.shape.slice(1));
          const nothing = { ways: none, adverse: none, hits: ops.zeros([given.x.shape[0]!], { dtype: 'float64' }) };
          const there = { ...given, at: state.at, reach: state.reach, first: whole(first) };
          const told = await iterate(there, nothing, batches, probe);
          return advance({ ...given, ...state, ...told, probed: whole(batches * count), step: whole(step) });
        });
        first += batches;
      }
      return onlyFound(state);
    };
  },
);
