/** The square attack: random search by square windows, which asks for no gradient. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { atLeastOne, type DefinedAttack } from './attack.js';
import { project } from './ball.js';
import { asRows, nonZero, type Norm } from './norms.js';
import {
  defineSearch,
  glance,
  iterate,
  judged,
  onRecords,
  searchEntries,
  standingOf,
  whole,
  type Named,
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

/** Images that inputs are looked at as: channels, height and width. */
interface Layout {
  channels: number;
  height: number;
  width: number;
}

/** What inputs of a shape are looked at as: rows of numbers that are no square image are one line each. */
function layout(shape: readonly number[]): Layout {
  if (shape.length === 4) return { channels: shape[1]!, height: shape[2]!, width: shape[3]! };
  const numbers = shape.slice(1).reduce((product, length) => product * length, 1);
  const side = Math.round(Math.sqrt(numbers));
  return side * side === numbers
    ? { channels: 1, height: side, width: side }
    : { channels: 1, height: 1, width: numbers };
}

/** One hill on a rectangle: as many of the nested rectangles around its middle as a place lies in, the k-th worth 1 / k². */
function hill(row: number, column: number, rows: number, columns: number): number {
  const [middle, centre] = [rows >> 1, columns >> 1];
  let height = 0;
  for (let k = Math.max(Math.abs(row - middle), Math.abs(column - centre)); k <= Math.max(middle, centre); k++)
    height += 1 / (k + 1) ** 2;
  return height;
}

/**
 * Two hills of opposite sign above one another, of length 1 in the norm; the halves of one line stand side by side. Their
 * numbers row by row.
 */
export function pyramids(rows: number, columns: number, norm: 'l1' | 'l2'): number[][] {
  if (rows === 1 && columns > 1) return transposed(pyramids(columns, 1, norm));
  const upper = rows >> 1;
  const made = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) =>
      row < upper ? hill(row, column, upper, columns) : -hill(row - upper, column, rows - upper, columns),
    ),
  );
  const size = norm === 'l2' ? Math.hypot(...made.flat()) : made.flat().reduce((sum, each) => sum + Math.abs(each), 0);
  return made.map((row) => row.map((each) => each / size));
}

const transposed = (grid: readonly (readonly number[])[]): number[][] =>
  grid[0]!.map((_, column) => grid.map((row) => row[column]!));

type Real = 'float32' | 'float64';

/** A grid of so many rows and columns as a tensor, filled place by place. */
const grid = (rows: number, columns: number, dtype: Real, at: (row: number, column: number) => number): Tensor =>
  tensor(
    Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => at(row, column))),
    { dtype },
  );

/** How the moves are made in one norm: what is to be drawn, and what perturbations [B, C, H, W], in units of epsilon, become. */
interface Moves {
  /** What the start and the windows of a side need, besides what is drawn. */
  start(layout: Layout, dtype: Real): Named;
  window(layout: Layout, side: number, dtype: Real): Named;
  begin(draw: Draw, layout: Layout, given: Named): Tensor;
  move(draw: Draw, layout: Layout, given: Named, here: Tensor): Tensor;
}

/** Random numbers for each example: uniform ones [B, ...], and signs. */
interface Draw {
  uniform(shape: readonly number[], stream: number): Tensor;
  signs(shape: readonly number[], stream: number): Tensor;
}

const most = ({ height, width }: Layout, side: number): [number, number] => [
  Math.min(side, height),
  Math.min(side, width),
];

/** Where windows of some size, the same for all, begin in each example: [B, 1, 1, 1]. */
const corner = (draw: Draw, places: number, long: Tensor, stream: number): Tensor =>
  ops.floor(ops.mul(draw.uniform([1, 1, 1], stream), ops.affine(long, -1, places + 1)));

/** 1 inside a window that begins there. */
function inWindow({ height, width }: Layout, { high, wide }: Named, top: Tensor, left: Tensor): Tensor {
  const stretch = (places: number, shape: readonly number[], first: Tensor, long: Tensor): Tensor => {
    const at = ops.reshape(ops.cast(ops.range(places), first.dtype), shape);
    return ops.mul(ops.greaterEqual(at, first), ops.less(at, ops.add(first, long)));
  };
  return ops.mul(stretch(height, [1, 1, height, 1], top, high!), stretch(width, [1, 1, 1, width], left, wide!));
}

/** Where a window begins in each example, [B, 1, 1]. */
interface Corner {
  top: Tensor;
  left: Tensor;
}

/** For linf: vertical stripes, and windows that go to the other end of the ball, every channel as a whole. */
const ends: Moves = {
  start: () => ({}),
  window: (layout, side, dtype) => {
    const [high, wide] = most(layout, side);
    return { high: tensor(high, { dtype }), wide: tensor(wide, { dtype }) };
  },
  begin: (draw, { channels, width }) => draw.signs([channels, 1, width], 3),
  move: (draw, layout, given, here) => {
    const [top, left] = [corner(draw, layout.height, given.high!, 5), corner(draw, layout.width, given.wide!, 6)];
    const by = ops.affine(draw.signs([layout.channels, 1, 1], 4), 2);
    return ops.add(here, ops.mul(by, inWindow(layout, given, top, left)));
  },
};

/**
 * For l2 and l1: pairs of hills, in 5 x 5 tiles at first. A move empties one window into another, which is given the shape
 * that it has, of length 1, plus a pair of hills; what of the length was not used before goes there too, each channel for
 * itself.
 */
function hills(norm: 'l1' | 'l2'): Moves {
  const [power, root] = norm === 'l2' ? [ops.square, ops.sqrt] : [ops.abs, (x: Tensor): Tensor => x];
  const mass = (pixels: Tensor): Tensor => ops.sum(power(pixels), { axes: [-1], keepDims: true });
  const unit = (pixels: Tensor): Tensor => ops.div(pixels, nonZero(root(mass(pixels))));
  /** Hills above one another and beside one another, one of which is drawn. */
  const hillsOf = (high: number, wide: number): [number[][], number[][]] => [
    pyramids(high, wide, norm),
    transposed(pyramids(wide, high, norm)),
  ];
  /** How 5 tiles, or as many as there is room for, lie on a stretch: their size and where the first begins. */
  const tiles = (places: number): { count: number; size: number; first: number } => {
    const count = Math.min(5, places);
    const size = Math.floor(places / count);
    return { count, size, first: (places - count * size) >> 1 };
  };
  return {
    start: (layout, dtype) => {
      const [down, across] = [tiles(layout.height), tiles(layout.width)];
      const within = (at: number, { count, size, first }: typeof down): number =>
        at < first || at >= first + count * size ? -1 : (at - first) % size;
      const member =
        ({ size, first }: typeof down) =>
        (at: number, tile: number): number =>
          Number(Math.floor((at - first) / size) === tile);
      const [above, beside] = hillsOf(down.size, across.size);
      const tiled = (of: number[][]): Tensor =>
        grid(layout.height, layout.width, dtype, (row, column) => {
          const [i, j] = [within(row, down), within(column, across)];
          return i < 0 || j < 0 ? 0 : of[i]![j]!;
        });
      return {
        above: tiled(above),
        beside: tiled(beside),
        down: grid(layout.height, down.count, dtype, member(down)),
        across: grid(layout.width, across.count, dtype, member(across)),
      };
    },
    window: (layout, side, dtype) => {
      const odd = (places: number): number => Math.min(Math.max(side, 3) | 1, places - 1 + (places % 2) || 1);
      const [high, wide] = [odd(layout.height), odd(layout.width)];
      const each = (number: (row: number, column: number) => number): Tensor =>
        ops.reshape(grid(high, wide, dtype, number), [high * wide]);
      const [above, beside] = hillsOf(high, wide);
      return {
        ...{ high: tensor(high, { dtype }), wide: tensor(wide, { dtype }) },
        ...{ pixelRow: each((row) => row), pixelColumn: each((_, column) => column) },
        above: each((row, column) => above[row]![column]!),
        beside: each((row, column) => beside[row]![column]!),
      };
    },
    begin: (draw, { channels }, { above, beside, down, across }) => {
      const counts = [down!.shape[1]!, across!.shape[1]!];
      const spread = (tiles: Tensor): Tensor => ops.matmul(ops.matmul(down!, tiles), across!, { transposeB: true });
      const upright = ops.greater(spread(draw.signs([1, ...counts], 3)), 0);
      const signs = spread(draw.signs([channels, ...counts], 4));
      const images = ops.mul(signs, ops.where(upright, above!, beside!));
      // Every tile of every channel has length 1.
      const all = channels * counts[0]! * counts[1]!;
      return ops.affine(images, norm === 'l2' ? 1 / Math.sqrt(all) : 1 / all);
    },
    move: (draw, { channels, height, width }, { high, wide, pixelRow, pixelColumn, above, beside }, here) => {
      const batch = here.shape[0]!;
      const flat = ops.reshape(here, [batch, channels, height * width]);
      const [into, from] = [5, 7].map((stream) => ({
        top: ops.reshape(corner(draw, height, high!, stream), [batch, 1, 1]),
        left: ops.reshape(corner(draw, width, wide!, stream + 1), [batch, 1, 1]),
      })) as [Corner, Corner];
      /** Where the pixels of a window stand, row by row. */
      const places = ({ top, left }: Corner): Tensor => {
        const at = ops.add(ops.affine(ops.add(pixelRow!, top), width), ops.add(pixelColumn!, left));
        return ops.broadcastTo(ops.cast(at, 'int32'), [batch, channels, pixelRow!.size]);
      };
      const [intoPlaces, fromPlaces] = [places(into), places(from)];
      const inside = ops.takeAlong(flat, intoPlaces);
      const within = (at: Tensor, long: Tensor): Tensor => ops.mul(ops.greaterEqual(at, 0), ops.less(at, long));
      const shared = ops.mul(
        within(ops.add(pixelRow!, ops.sub(from.top, into.top)), high!),
        within(ops.add(pixelColumn!, ops.sub(from.left, into.left)), wide!),
      );
      const taken = ops.where(shared, 0, ops.takeAlong(flat, fromPlaces));
      const chosen = ops.where(ops.greater(draw.signs([1, 1], 3), 0), above!, beside!);
      const drawn = ops.mul(draw.signs([channels, 1], 4), chosen);
      const sum = ops.add(drawn, unit(inside));
      // In a window of one pixel the two may cancel out.
      const shape = ops.where(ops.greater(mass(sum), 1e-6), sum, drawn);
      const unused = ops.relu(ops.affine(ops.sum(mass(flat), { axes: [1], keepDims: true }), -1, 1));
      const kept = ops.add(mass(inside), mass(taken));
      const length = root(ops.add(kept, ops.affine(unused, 1 / channels)));
      const changes = ops.concat([ops.sub(ops.mul(unit(shape), length), inside), ops.neg(taken)], { axis: -1 });
      const changed = ops.concat([intoPlaces, fromPlaces], { axis: -1 });
      const moved = ops.add(flat, ops.putAlong(changes, changed, { size: height * width }));
      return ops.reshape(moved, here.shape);
    },
  };
}

const moves: Record<Norm['name'], Moves> = { linf: ends, l2: hills('l2'), l1: hills('l1') };

/**
 * The square attack (Andriushchenko et al. 2020; for l1 Croce and Hein 2021): random search by square windows. For linf it
 * starts from vertical stripes of epsilon and moves one window at a time to the other end of the ball, every channel as a
 * whole. For l2 and l1 it starts from 5 x 5 tiles of hills, and shifts length from one window to another. A move is kept
 * when a wrong class gains by it. The windows shrink on a schedule that is stretched to the number of queries. They are
 * drawn for each input by itself, under its number. Inputs [B, C, H, W] are images; rows of numbers are taken for square
 * images of one channel where they can be, else for a line.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `queries` (5000), `p` (.8), `targets`, `seed` (0), `clip`, `batchSize`, `rows`,
 * `signal`.
 * @throws SparringError as `pgd` does.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 9, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([2, 1, 3, 3], { seed: 2 });
 * const { backwards } = await attacks.square(model, x, [0, 1], { epsilon: 0.1, norm: 'linf', queries: 50 });
 * console.log(backwards.toArray()); // [0, 0]
 * ```
 */
export const square: DefinedAttack<SquareOptions, SearchResult> = defineSearch<typeof schema, SquareOptions>(
  'square',
  schema,
  ({ queries, p, seed, epsilon }, { model, norm, plan, region, goalOf, signal }) => {
    const how = moves[norm.name];
    const move = (isFirst: boolean) =>
      onRecords(plan, ({ x, rows, tick, ...given }) => {
        const standing = given as unknown as Standing;
        const images = layout(x!.shape);
        const { channels, height, width } = images;
        const shape = [x!.shape[0]!, channels, height, width];
        const source = { seed, rows: rows!, tick: tick!, dtype: x!.dtype as Real };
        const uniform = (of: readonly number[], stream: number): Tensor =>
          ops.uniform([x!.shape[0]!, ...of], { ...source, stream });
        const signs = (of: readonly number[], stream: number): Tensor =>
          ops.affine(ops.cast(ops.greaterEqual(uniform(of, stream), 0.5), x!.dtype), 2, -1);
        const draw = { uniform, signs };
        // In units of epsilon, whose square may be beyond float32.
        const here = ops.reshape(ops.affine(ops.sub(standing.best, x!), 1 / (epsilon || 1)), shape);
        const next = isFirst ? how.begin(draw, images, given) : how.move(draw, images, given, here);
        const rowsOf = asRows(ops.broadcastTo(next, shape), shape.slice(1));
        const at = project(x!, ops.affine(rowsOf, epsilon), region);
        return judged(standing, at, glance(model, { seed }, at, { rows: rows!, tick: tick! }), goalOf(given));
      });
    const [first, later] = [move(true), move(false)];
    return async (examples, standing) => {
      const images = layout(examples.x.shape);
      const dtype = examples.x.dtype as Real;
      const sideAt = (tick: number): number =>
        Math.max(Math.round(Math.sqrt(coverage(p, tick - 1, queries) * images.height * images.width)), 1);
      const sides = new Set(Array.from({ length: queries }, (_, tick) => sideAt(tick)));
      const windows = new Map([...sides].map((side) => [side, how.window(images, side, dtype)]));
      const start = how.start(images, dtype);
      // The start is taken even where it is worse than the input.
      const value = ops.full(standing.value.shape, -Infinity, { dtype: standing.value.dtype });
      const found = await iterate(
        examples,
        { ...standing, value: ops.where(standing.active, value, standing.value) },
        queries,
        (here, now, tick) => {
          const given = { ...here, ...now, tick: whole(tick) };
          return tick === 0 ? first({ ...given, ...start }) : later({ ...given, ...windows.get(sideAt(tick))! });
        },
        signal,
      );
      return standingOf(found);
    };
  },
);
