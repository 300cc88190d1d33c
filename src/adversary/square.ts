/** The square attack: random search by square windows, which asks for no gradient. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import * as ops from '../tensor/ops.js';
import type { NormName } from '../tensor/ops.js';
import { tensor } from '../tensor/tensor.js';
import { atLeastOne, type DefinedAttack } from './attack.js';
import { asRows } from './norms.js';
import { project } from './projection.js';
import {
  defineSearch,
  glance,
  iterate,
  judged,
  onRecords,
  searchEntries,
  standingOf,
  whole,
  type SearchOptions,
  type SearchResult,
  type Standing,
} from './search.js';

/** Options of {@link square}. */
export interface SquareOptions extends SearchOptions {
  /** How many evaluations an input gets, 5000 by default. */
  queries?: number;
  /** The fraction of the pixels that a window covers at first, .8 by default. */
  p?: number;
}

const schema = v.strictObject({
  ...searchEntries,
  norm: v.optional(v.picklist(['l1', 'l2', 'linf']), 'linf' as NormName),
  queries: v.optional(atLeastOne, 5000),
  p: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (part) => part > 0 && part <= 1,
        ({ input }) => `expected more than 0 and at most 1, received ${input}`,
      ),
    ),
    0.8,
  ),
});

/** After which iterations the windows' area is halved once more, of 10,000. */
const halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

/** The fraction of the pixels that a window covers at an iteration, of so many in all. */
export const coverage = (p: number, iteration: number, total: number): number =>
  p / 2 ** halvings.filter((after) => Math.floor((iteration / total) * 10000) > after).length;

/** Images that inputs are looked at as: channels, height and width. Rows of numbers are one line each. */
function layout(shape: readonly number[]): { channels: number; height: number; width: number } {
  if (shape.length === 4) return { channels: shape[1]!, height: shape[2]!, width: shape[3]! };
  const numbers = shape.slice(1).reduce((product, length) => product * length, 1);
  const side = Math.round(Math.sqrt(numbers));
  return side * side === numbers
    ? { channels: 1, height: side, width: side }
    : { channels: 1, height: 1, width: numbers };
}

/**
 * The square attack (Andriushchenko et al. 2020) for linf: random search that starts from vertical stripes of epsilon
 * and then moves one square window at a time to the other end of the ball, every channel as a whole. A move is kept when
 * a wrong class gains by it. The windows shrink on a schedule that is stretched to the number of queries. Windows are
 * drawn for each input by itself, under its number. Inputs [B, C, H, W] are images; rows of numbers are taken for square
 * images of one channel where they can be, else for a line.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `queries` (5000), `p` (.8), `targets`, `seed` (0), `clip`, `batchSize`, `rows`, `signal`.
 * @throws SparringError as `pgd` does, and for a norm other than linf.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 9, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([2, 1, 3, 3], { seed: 2 });
 * const { backwards } = await attacks.square(model, x, [0, 1], { epsilon: 0.1, queries: 50 });
 * console.log(backwards.toArray()); // [0, 0]
 * ```
 */
export const square: DefinedAttack<SquareOptions, SearchResult> = defineSearch<typeof schema, SquareOptions>(
  'square',
  schema,
  ({ queries, p, seed, epsilon }, { model, norm, plan, region, goalOf, signal }) => {
    if (norm.name !== 'linf')
      throw new SparringError('INVALID_ARGUMENT', `square: norm: expected linf, received '${norm.name}'`);
    const move = (isFirst: boolean) =>
      onRecords(plan, ({ x, rows, tick, high, wide, ...given }) => {
        const standing = given as Standing;
        const batch = x!.shape[0]!;
        const { channels, height, width } = layout(x!.shape);
        const source = { seed, rows: rows!, tick: tick!, dtype: x!.dtype as 'float32' | 'float64' };
        const drawn = (shape: readonly number[], stream: number) =>
          ops.uniform([batch, ...shape], { ...source, stream });
        const ends = (shape: readonly number[], stream: number) =>
          ops.affine(ops.greaterEqual(drawn(shape, stream), 0.5), 2 * epsilon, -epsilon);
        /** 1 in a random stretch of some length along an axis of so many places. */
        const stretch = (places: number, long: typeof x, shape: readonly number[], stream: number) => {
          const first = ops.floor(ops.mul(drawn([1, 1, 1], stream), ops.affine(long!, -1, places + 1)));
          const at = ops.reshape(ops.cast(ops.range(places), x!.dtype), shape);
          return ops.mul(ops.greaterEqual(at, first), ops.less(at, ops.add(first, long!)));
        };
        const rowsOf = (image: typeof x) =>
          asRows(ops.broadcastTo(image!, [batch, channels, height, width]), [channels, height, width]);
        const here = asRows(ops.sub(standing.best, x!), x!.shape.slice(1));
        const next = isFirst
          ? rowsOf(ends([channels, 1, width], 3))
          : ops.add(
              here,
              rowsOf(
                ops.mul(
                  ops.affine(ends([channels, 1, 1], 4), 2),
                  ops.mul(stretch(height, high, [1, 1, height, 1], 5), stretch(width, wide, [1, 1, 1, width], 6)),
                ),
              ),
            );
        const at = project(x!, next, region);
        return judged(standing, at, glance(model, seed, at, { rows: rows!, tick: tick! }), goalOf(given));
      });
    const [stripes, window] = [move(true), move(false)];
    return async (examples, standing) => {
      const { height, width } = layout(examples.x.shape);
      const dtype = examples.x.dtype;
      // The stripes are the start even where they are worse than the input.
      const value = ops.full(standing.value.shape, -Infinity, { dtype: standing.value.dtype });
      const found = await iterate(
        examples,
        { ...standing, value: ops.where(standing.active, value, standing.value) },
        queries,
        (here, now, tick) => {
          const given = { ...here, ...now, tick: whole(tick) };
          if (tick === 0) return stripes(given);
          const side = Math.max(Math.round(Math.sqrt(coverage(p, tick - 1, queries) * height * width)), 1);
          const [high, wide] = [height, width].map((most) => tensor(Math.min(side, most), { dtype }));
          return window({ ...given, high: high!, wide: wide! });
        },
        signal,
      );
      return standingOf(found);
    };
  },
);
