import fc from 'fast-check';
import test from 'tape';
import * as ops from '../../src/tensor/ops.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, randomTensor, sizeOf } from './numbers.js';

// Ops that walk shapes, against the plainest loops over indices.

/** A value for every index of a shape, in order. */
function each(shape: readonly number[], value: (index: number[]) => number): number[] {
  return Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const index: number[] = [];
    for (let axis = shape.length - 1, rest = flat; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]!);
      rest = Math.floor(rest / shape[axis]!);
    }
    return value(index);
  });
}

/** The element at an index of a shape that broadcasts with x's. */
function at(x: Tensor, index: readonly number[]): number {
  const own = index.slice(index.length - x.shape.length);
  const flat = own.reduce((sum, i, axis) => sum * x.shape[axis]! + (x.shape[axis] === 1 ? 0 : i), 0);
  return read(x)[flat]!;
}

const numbers = new WeakMap<Tensor, ArrayLike<number>>();
function read(x: Tensor): ArrayLike<number> {
  if (!numbers.has(x)) numbers.set(x, x.data());
  return numbers.get(x)!;
}

/** The list with another entry at one place. */
const replaced = (list: readonly number[], place: number, entry: number): number[] =>
  list.map((own, at) => (at === place ? entry : own));

const isSame = (actual: Tensor, shape: readonly number[], expected: readonly number[], within = 0): boolean =>
  actual.shape.join() === shape.join() && farthest(actual.data(), expected) <= within;

const length = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);

/** A shape, and so many that broadcast to it: axes are dropped from the front and replaced by 1. */
const broadcastable = (count: number): fc.Arbitrary<{ shape: number[]; operands: number[][] }> =>
  fc.array(length, { maxLength: 5 }).chain((shape) => {
    const operand = fc.tuple(fc.nat(shape.length), fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }));
    return fc.tuple(...Array.from({ length: count }, () => operand)).map((choices) => {
      const operands = choices.map(([dropped, stretched]) =>
        shape.map((lengthOf, axis) => (stretched[axis]! ? 1 : lengthOf)).slice(dropped),
      );
      const rank = Math.max(0, ...operands.map((each) => each.length));
      const joint = Array.from({ length: rank }, (_, axis) => {
        const lengths = operands.map((own) => own[axis - (rank - own.length)] ?? 1);
        return lengths.find((own) => own !== 1) ?? 1;
      });
      return { shape: joint, operands };
    });
  });

type Pair = (a: number, b: number) => number;

const pairs: Record<string, [op: (a: Tensor, b: Tensor) => Tensor, plain: Pair]> = {
  add: [ops.add, (a, b) => a + b],
  sub: [ops.sub, (a, b) => a - b],
  mul: [ops.mul, (a, b) => a * b],
  div: [ops.div, (a, b) => a / b],
  maximum: [ops.maximum, Math.max],
  minimum: [ops.minimum, Math.min],
  equal: [ops.equal, (a, b) => Number(a === b)],
  notEqual: [ops.notEqual, (a, b) => Number(a !== b)],
  less: [ops.less, (a, b) => Number(a < b)],
  lessEqual: [ops.lessEqual, (a, b) => Number(a <= b)],
  greater: [ops.greater, (a, b) => Number(a > b)],
  greaterEqual: [ops.greaterEqual, (a, b) => Number(a >= b)],
};

/** Few different numbers, so that comparisons meet equal ones. */
const coarse = (shape: readonly number[], seed: number, dtype: 'float32' | 'float64' | 'int32'): Tensor =>
  tensor(
    Array.from(randomTensor(shape, seed, { low: -3, high: 3, dtype: 'float64' }).data(), (value) => Math.round(value)),
    { shape, dtype },
  );

const dtypes = fc.constantFrom('float32' as const, 'float64' as const, 'int32' as const);

function holds<T extends unknown[]>(t: test.Test, name: string, property: fc.IProperty<T>, runs: number): void {
  const result = fc.check(property, { numRuns: runs, seed: 20180901 });
  t.notOk(result.failed, result.failed ? `${name}: ${fc.defaultReportMessage(result) ?? ''}` : name);
}

test('broadcast: two operands of any shapes', (t) => {
  for (const [name, [op, plain]] of Object.entries(pairs)) {
    const property = fc.property(broadcastable(2), dtypes, fc.nat(1000), ({ shape, operands }, dtype, seed) =>
      scope(() => {
        if (name === 'div' && dtype === 'int32') return true;
        const [a, b] = operands.map((own, k) => coarse(own, seed + k, dtype)) as [Tensor, Tensor];
        const round = dtype === 'float32' ? Math.fround : Number;
        return isSame(
          op(a, b),
          shape,
          each(shape, (index) => round(plain(at(a, index), at(b, index)))),
        );
      }),
    );
    holds(t, name, property, 120);
  }
  t.end();
});

test('broadcast: where, and stretching', (t) => {
  const where = fc.property(broadcastable(3), dtypes, fc.nat(1000), ({ shape, operands }, dtype, seed) =>
    scope(() => {
      const [c, a, b] = operands.map((own, k) => coarse(own, seed + k, dtype)) as [Tensor, Tensor, Tensor];
      return isSame(
        ops.where(c, a, b),
        shape,
        each(shape, (index) => (at(c, index) !== 0 ? at(a, index) : at(b, index))),
      );
    }),
  );
  holds(t, 'where', where, 300);
  const stretch = fc.property(
    broadcastable(1),
    fc.array(length, { maxLength: 2 }),
    dtypes,
    ({ operands }, front, dtype) =>
      scope(() => {
        const own = operands[0]!;
        const x = coarse(own, 1, dtype);
        const shape = [...front, ...own.map((lengthOf) => (lengthOf === 1 ? 3 : lengthOf))];
        return isSame(
          ops.broadcastTo(x, shape),
          shape,
          each(shape, (index) => at(x, index)),
        );
      }),
  );
  holds(t, 'broadcastTo', stretch, 200);
  t.end();
});

const shaped = fc.array(length, { minLength: 1, maxLength: 5 });

test('broadcast: reductions over any axes', (t) => {
  const fold: Record<string, [op: (x: Tensor, options: ops.Reduction) => Tensor, start: number, plain: Pair]> = {
    sum: [ops.sum, 0, (a, b) => a + b],
    max: [ops.max, -Infinity, Math.max],
    min: [ops.min, Infinity, Math.min],
    normL1: [(x, options) => ops.norm(x, { order: 'l1', ...options }), 0, (a, b) => a + Math.abs(b)],
    normLinf: [(x, options) => ops.norm(x, { order: 'linf', ...options }), 0, (a, b) => Math.max(a, Math.abs(b))],
  };
  for (const [name, [op, start, plain]] of Object.entries(fold)) {
    const choices = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });
    const property = fc.property(shaped, choices, fc.boolean(), fc.boolean(), (shape, chosen, keepDims, fromEnd) =>
      scope(() => {
        const isReduced = (axis: number): boolean => chosen[axis]!;
        const axes = [...shape.keys()].filter(isReduced).map((axis) => (fromEnd ? axis - shape.length : axis));
        const reducesNothing = axes.some((axis) => shape.at(axis) === 0);
        if (reducesNothing && ['max', 'min', 'normLinf'].includes(name)) return true;
        const x = coarse(shape, 5, 'float64');
        const kept = shape.map((lengthOf, axis) => (isReduced(axis) ? 1 : lengthOf));
        const totals = each(kept, () => start);
        each(shape, (index) => {
          const place = index.reduce((flat, i, axis) => flat * kept[axis]! + (isReduced(axis) ? 0 : i), 0);
          totals[place] = plain(totals[place]!, at(x, index));
          return 0;
        });
        const expected = keepDims ? kept : kept.filter((_, axis) => !isReduced(axis));
        return isSame(op(x, { axes, keepDims }), expected, totals, 1e-12);
      }),
    );
    holds(t, name, property, 150);
  }
  t.end();
});

test('broadcast: permuting, slicing, padding, joining', (t) => {
  const permuted = fc.property(
    shaped.chain((shape) =>
      fc.tuple(fc.constant(shape), fc.shuffledSubarray([...shape.keys()], { minLength: shape.length })),
    ),
    dtypes,
    ([shape, axes], dtype) =>
      scope(() => {
        const x = coarse(shape, 2, dtype);
        const to = axes.map((axis) => shape[axis]!);
        const expected = each(to, (index) =>
          at(
            x,
            shape.map((_, axis) => index[axes.indexOf(axis)]!),
          ),
        );
        return isSame(ops.permute(x, axes), to, expected);
      }),
  );
  holds(t, 'permute', permuted, 200);

  const ends = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 5, maxLength: 5 });
  const sliced = fc.property(shaped, ends, dtypes, (shape, cuts, dtype) =>
    scope(() => {
      const x = coarse(shape, 3, dtype);
      const starts = shape.map((lengthOf, axis) => Math.min(lengthOf, ...cuts[axis]!));
      const stops = shape.map((lengthOf, axis) => Math.min(lengthOf, Math.max(...cuts[axis]!)));
      const to = shape.map((_, axis) => stops[axis]! - starts[axis]!);
      return isSame(
        ops.slice(x, starts, stops),
        to,
        each(to, (index) =>
          at(
            x,
            index.map((i, axis) => i + starts[axis]!),
          ),
        ),
      );
    }),
  );
  holds(t, 'slice', sliced, 300);

  const padded = fc.property(shaped, ends, dtypes, (shape, around, dtype) =>
    scope(() => {
      const x = coarse(shape, 4, dtype);
      const [before, after] = [0, 1].map((side) => shape.map((_, axis) => Math.floor(around[axis]![side]! / 2))) as [
        number[],
        number[],
      ];
      const to = shape.map((lengthOf, axis) => before[axis]! + lengthOf + after[axis]!);
      const expected = each(to, (index) => {
        const from = index.map((i, axis) => i - before[axis]!);
        return from.every((i, axis) => i >= 0 && i < shape[axis]!) ? at(x, from) : 7;
      });
      return isSame(ops.pad(x, before, after, { value: 7 }), to, expected);
    }),
  );
  holds(t, 'pad', padded, 200);

  const lengths = fc.array(fc.nat(3), { minLength: 1, maxLength: 4 });
  const joined = fc.property(shaped, fc.nat(4), lengths, dtypes, (shape, axisAt, parts, dtype) =>
    scope(() => {
      const axis = axisAt % shape.length;
      const x = parts.map((own, k) => coarse(replaced(shape, axis, own), k, dtype));
      const to = replaced(
        shape,
        axis,
        parts.reduce((total, own) => total + own, 0),
      );
      const expected = each(to, (index) => {
        let [part, i] = [0, index[axis]!];
        while (i >= parts[part]!) i -= parts[part++]!;
        return at(x[part]!, replaced(index, axis, i));
      });
      return isSame(ops.concat(x, { axis: axis - shape.length }), to, expected);
    }),
  );
  holds(t, 'concat', joined, 200);
  t.end();
});

test('broadcast: matrix products of stacks', (t) => {
  const size = fc.integer({ min: 1, max: 4 });
  const property = fc.property(
    broadcastable(2),
    fc.tuple(size, size, size),
    fc.boolean(),
    fc.boolean(),
    (batch, [m, k, n], transposeA, transposeB) =>
      scope(() => {
        const [batchA, batchB] = batch.operands as [number[], number[]];
        const a = coarse([...batchA, ...(transposeA ? [k, m] : [m, k])], 1, 'float64');
        const b = coarse([...batchB, ...(transposeB ? [n, k] : [k, n])], 2, 'float64');
        const shape = [...batch.shape, m, n];
        const expected = each(shape, (index) => {
          const [i, j] = index.slice(-2) as [number, number];
          const stack = index.slice(0, -2);
          let total = 0;
          for (let p = 0; p < k; p++) {
            total +=
              at(a, [...stack, ...(transposeA ? [p, i] : [i, p])]) *
              at(b, [...stack, ...(transposeB ? [j, p] : [p, j])]);
          }
          return total;
        });
        return isSame(ops.matmul(a, b, { transposeA, transposeB }), shape, expected, 1e-12);
      }),
  );
  holds(t, 'matmul', property, 300);
  t.end();
});
