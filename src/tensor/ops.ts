/**
 * The engine's ops, one typed function each, under the engine's own names. Element-wise ops broadcast as NumPy does and
 * take a number in place of either operand; functions of one tensor keep its shape and dtype. Masks are tensors of 0 and 1
 * in the dtype of what they were compared from. All make new tensors, which the scope around the call owns.
 *
 * All throw a SparringError that names the op and the shapes: `SHAPE_MISMATCH` for shapes that do not fit,
 * `DTYPE_MISMATCH` for kinds of number that do not, `INVALID_ARGUMENT` or `OUT_OF_RANGE` for what else is asked in vain,
 * `DISPOSED` for tensors that have been freed.
 */
import { SparringError } from '../errors.js';
import { native, type Attributes } from '../native.js';
import { oneOf } from '../options.js';
import { Tensor, idOf, tensor, tensorFor, type DType } from './tensor.js';

/** @internal Calls an op by its name. */
export function call(op: string, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor[] {
  for (const [name, value] of Object.entries(attributes)) {
    if (!Array.isArray(value) || value.every(Number.isSafeInteger)) continue;
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${op}: ${name}: expected whole numbers, received [${value.join(',')}]`,
    );
  }
  const ids = inputs.map((input) => idOf(input, op));
  return native.call(op, ids, attributes).map((made) => new Tensor(made));
}

function one(op: string, inputs: readonly Tensor[], attributes?: Attributes): Tensor {
  return call(op, inputs, attributes)[0]!;
}

/** A tensor, or a number that stands for one of its dtype. */
export type Operand = Tensor | number;

/** Calls an op on tensors and numbers; a number is a tensor of the dtype for as long as the call takes. */
function mixed(op: string, values: readonly Operand[], dtype: DType): Tensor {
  const operands = values.map((value) => (value instanceof Tensor ? value : tensorFor(op, value, { dtype })));
  try {
    return one(op, operands);
  } finally {
    for (const operand of operands) if (!values.includes(operand)) operand.dispose();
  }
}

function pair(op: string, a: Operand, b: Operand): Tensor {
  return mixed(op, [a, b], a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : 'float32');
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------

/**
 * a + b; shapes broadcast, here as in all arithmetic and comparisons.
 *
 * @example
 * ```ts
 * import { add, tensor } from 'sparring';
 *
 * console.log(add(tensor([[1], [2]]), tensor([10, 20])).toArray()); // [[11, 21], [12, 22]]
 * console.log(add(tensor([1, 2]), 0.5).toArray()); // [1.5, 2.5]
 * ```
 */
export const add = (a: Operand, b: Operand): Tensor => pair('add', a, b);
/** a - b. */
export const sub = (a: Operand, b: Operand): Tensor => pair('sub', a, b);
/** a · b, element by element. */
export const mul = (a: Operand, b: Operand): Tensor => pair('mul', a, b);
/** a / b. */
export const div = (a: Operand, b: Operand): Tensor => pair('div', a, b);
/**
 * The larger of the two; of equals the first takes the gradient.
 *
 * @example
 * ```ts
 * import { maximum, tensor } from 'sparring';
 *
 * console.log(maximum(tensor([1, 5]), 3).toArray()); // [3, 5]
 * ```
 */
export const maximum = (a: Operand, b: Operand): Tensor => pair('maximum', a, b);
/** The smaller of the two; of equals the first takes the gradient. */
export const minimum = (a: Operand, b: Operand): Tensor => pair('minimum', a, b);
/**
 * x · factor + shift, for two numbers; of whole numbers, cut towards zero.
 *
 * @example
 * ```ts
 * import { affine, tensor } from 'sparring';
 *
 * console.log(affine(tensor([1, 2]), 10, 3).toArray()); // [13, 23]
 * ```
 */
export const affine = (x: Tensor, factor: number, shift = 0): Tensor => one('affine', [x], { factor, shift });
/**
 * x to the power of a number.
 *
 * @example
 * ```ts
 * import { pow, tensor } from 'sparring';
 *
 * console.log(pow(tensor([2, 3]), 2).toArray()); // [4, 9]
 * ```
 */
export const pow = (x: Tensor, exponent: number): Tensor => one('pow', [x], { exponent });

// ---- functions ------------------------------------------------------------------------------------------------------

/**
 * -x. As all functions of this kind it keeps shape and dtype.
 *
 * @example
 * ```ts
 * import { neg, tensor } from 'sparring';
 *
 * console.log(neg(tensor([[1, -2]])).toArray()); // [[-1, 2]]
 * ```
 */
export const neg = (x: Tensor): Tensor => one('neg', [x]);
/** |x|; the gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => one('abs', [x]);
/** -1, 0 or 1; no gradient. */
export const sign = (x: Tensor): Tensor => one('sign', [x]);
/** The largest whole number not above x; no gradient. */
export const floor = (x: Tensor): Tensor => one('floor', [x]);
/**
 * The nearest whole number, halves to even; no gradient.
 *
 * @example
 * ```ts
 * import { round, tensor } from 'sparring';
 *
 * console.log(round(tensor([0.5, 1.5, -1.2])).toArray()); // [0, 2, -1]
 * ```
 */
export const round = (x: Tensor): Tensor => one('round', [x]);
/** x². */
export const square = (x: Tensor): Tensor => one('square', [x]);
/** The square root. */
export const sqrt = (x: Tensor): Tensor => one('sqrt', [x]);
/** e to the x. */
export const exp = (x: Tensor): Tensor => one('exp', [x]);
/** The natural logarithm. */
export const log = (x: Tensor): Tensor => one('log', [x]);
/** The sine of x radians. */
export const sin = (x: Tensor): Tensor => one('sin', [x]);
/** The cosine of x radians. */
export const cos = (x: Tensor): Tensor => one('cos', [x]);
/** The larger of x and 0; the gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => one('relu', [x]);
/** The hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => one('tanh', [x]);
/** 1 / (1 + e^-x). */
export const sigmoid = (x: Tensor): Tensor => one('sigmoid', [x]);
/**
 * x, no less than `low` and no more than `high`; the gradient is 0 outside.
 *
 * @example
 * ```ts
 * import { clamp, tensor } from 'sparring';
 *
 * console.log(clamp(tensor([-1, 0.5, 2]), { low: 0, high: 1 }).toArray()); // [0, 0.5, 1]
 * ```
 */
export const clamp = (x: Tensor, { low = -Infinity, high = Infinity }: { low?: number; high?: number }): Tensor =>
  one('clamp', [x], { low, high });
/**
 * 1 where low <= x <= high, else 0.
 *
 * @example
 * ```ts
 * import { inside, tensor } from 'sparring';
 *
 * console.log(inside(tensor([-1, 0.5, 1]), { low: 0, high: 1 }).toArray()); // [0, 1, 1]
 * ```
 */
export const inside = (x: Tensor, { low = -Infinity, high = Infinity }: { low?: number; high?: number }): Tensor =>
  one('inside', [x], { low, high });
/**
 * The same numbers in another dtype. On the way to whole numbers floats are cut towards zero, those beyond the range end
 * at its ends, and NaN becomes 0.
 *
 * @example
 * ```ts
 * import { cast, tensor } from 'sparring';
 *
 * console.log(cast(tensor([1.7, -1.7, NaN]), 'int32').toArray()); // [1, -1, 0]
 * ```
 */
export const cast = (x: Tensor, dtype: DType): Tensor => (x.dtype === dtype ? x : one('cast', [x], { dtype }));

// ---- comparisons ----------------------------------------------------------------------------------------------------

/**
 * 1 where a = b, else 0, in the dtype of a and b; shapes broadcast, as in all comparisons.
 *
 * @example
 * ```ts
 * import { equal, tensor } from 'sparring';
 *
 * console.log(equal(tensor([1, 2, 3]), 2).toArray()); // [0, 1, 0]
 * ```
 */
export const equal = (a: Operand, b: Operand): Tensor => pair('equal', a, b);
/** 1 where a differs from b, else 0. */
export const notEqual = (a: Operand, b: Operand): Tensor => pair('notEqual', a, b);
/** 1 where a < b, else 0. */
export const less = (a: Operand, b: Operand): Tensor => pair('less', a, b);
/** 1 where a <= b, else 0. */
export const lessEqual = (a: Operand, b: Operand): Tensor => pair('lessEqual', a, b);
/** 1 where a > b, else 0. */
export const greater = (a: Operand, b: Operand): Tensor => pair('greater', a, b);
/** 1 where a >= b, else 0. */
export const greaterEqual = (a: Operand, b: Operand): Tensor => pair('greaterEqual', a, b);
/**
 * a where the condition is not 0, else b; all three broadcast. The gradient goes to what was taken.
 *
 * @example
 * ```ts
 * import { tensor, where } from 'sparring';
 *
 * console.log(where(tensor([1, 0]), tensor([5, 6]), -1).toArray()); // [5, -1]
 * ```
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const dtype = a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : condition.dtype;
  return mixed('where', [cast(condition, dtype), a, b], dtype);
}

// ---- reductions -----------------------------------------------------------------------------------------------------

/** Which axes a reduction runs over (all by default; negative ones count from the last), and whether they stay as 1. */
export interface Reduction {
  axes?: readonly number[];
  keepDims?: boolean;
}

const reduction = ({ axes, keepDims }: Reduction): Attributes => ({ axes, keepDims });

/**
 * The sum over axes, all by default, added in double precision.
 *
 * @example
 * ```ts
 * import { sum, tensor } from 'sparring';
 *
 * const x = tensor([[1, 2], [3, 4]]);
 * console.log(sum(x).item(), sum(x, { axes: [0] }).toArray()); // 10 [4, 6]
 * console.log(sum(x, { axes: [-1], keepDims: true }).shape); // [2, 1]
 * ```
 */
export const sum = (x: Tensor, options: Reduction = {}): Tensor => one('sum', [x], reduction(options));
/** The mean over axes. */
export const mean = (x: Tensor, options: Reduction = {}): Tensor => one('mean', [x], reduction(options));
/** The largest element over axes; equal ones share the gradient. */
export const max = (x: Tensor, options: Reduction = {}): Tensor => one('max', [x], reduction(options));
/** The smallest element over axes; equal ones share the gradient. */
export const min = (x: Tensor, options: Reduction = {}): Tensor => one('min', [x], reduction(options));
/**
 * Where the largest element along an axis stands (the last by default), int32; the first of equals.
 *
 * @example
 * ```ts
 * import { argmax, tensor } from 'sparring';
 *
 * console.log(argmax(tensor([[1, 7, 7], [9, 0, 2]])).toArray()); // [1, 0]
 * ```
 */
export const argmax = (x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor => one('argmax', [x], { axis });
/** Where the smallest element along an axis stands (the last by default), int32; the first of equals. */
export const argmin = (x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor => one('argmin', [x], { axis });

/** The norms that lengths are measured in. */
export type NormName = 'l1' | 'l2' | 'linf';
const normOps: Readonly<Record<string, string>> = { l1: 'normL1', l2: 'normL2', linf: 'normLinf' };
/**
 * The L1, L2 (default) or L∞ norm over axes; its gradient at 0 is 0.
 *
 * @throws SparringError `INVALID_ARGUMENT` for another `order`.
 *
 * @example
 * ```ts
 * import { norm, tensor } from 'sparring';
 *
 * const x = tensor([[3, -4], [0, 2]]);
 * console.log(norm(x, { axes: [-1] }).toArray()); // [5, 2]
 * console.log(norm(x, { order: 'linf', axes: [-1] }).toArray()); // [4, 2]
 * ```
 */
export function norm(x: Tensor, { order = 'l2', ...options }: Reduction & { order?: NormName } = {}): Tensor {
  const op = normOps[order];
  if (op === undefined)
    throw new SparringError('INVALID_ARGUMENT', `norm: order: ${oneOf(order, Object.keys(normOps))}`);
  return one(op, [x], reduction(options));
}

// ---- shapes ---------------------------------------------------------------------------------------------------------

/**
 * The same numbers in another shape, row-major; one length may be -1. Shares memory.
 *
 * @example
 * ```ts
 * import { reshape, tensor } from 'sparring';
 *
 * console.log(reshape(tensor([1, 2, 3, 4, 5, 6]), [2, -1]).toArray()); // [[1, 2, 3], [4, 5, 6]]
 * ```
 */
export const reshape = (x: Tensor, shape: readonly number[]): Tensor => one('reshape', [x], { shape });
/**
 * All axes but the first as one: [B, ...] to [B, D].
 *
 * @example
 * ```ts
 * import { flatten, zeros } from 'sparring';
 *
 * console.log(flatten(zeros([2, 3, 4])).shape); // [2, 12]
 * ```
 */
export const flatten = (x: Tensor): Tensor =>
  reshape(x, [x.shape[0] ?? 1, x.shape.slice(1).reduce((product, length) => product * length, 1)]);
/**
 * Stretches axes of length 1, and adds axes in front, up to a shape.
 *
 * @example
 * ```ts
 * import { broadcastTo, tensor } from 'sparring';
 *
 * console.log(broadcastTo(tensor([[1], [2]]), [2, 3]).toArray()); // [[1, 1, 1], [2, 2, 2]]
 * ```
 */
export const broadcastTo = (x: Tensor, shape: readonly number[]): Tensor => one('broadcastTo', [x], { shape });
/**
 * The axes in another order, as `axes` lists them.
 *
 * @example
 * ```ts
 * import { permute, zeros } from 'sparring';
 *
 * console.log(permute(zeros([2, 3, 4]), [2, 0, 1]).shape); // [4, 2, 3]
 * ```
 */
export const permute = (x: Tensor, axes: readonly number[]): Tensor => one('permute', [x], { axes });
/**
 * The last two axes exchanged: [..., m, n] to [..., n, m].
 *
 * @throws SparringError `SHAPE_MISMATCH` for fewer than two axes.
 *
 * @example
 * ```ts
 * import { tensor, transpose } from 'sparring';
 *
 * console.log(transpose(tensor([[1, 2, 3], [4, 5, 6]])).toArray()); // [[1, 4], [2, 5], [3, 6]]
 * console.log(transpose(tensor([[[1, 2]], [[3, 4]]])).toArray()); // [[[1], [2]], [[3], [4]]]
 * ```
 */
export function transpose(x: Tensor): Tensor {
  const rank = Math.max(2, x.shape.length);
  const axes = Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  return permute(x, axes);
}

/** A list with an entry for every axis of x; those at the end that are missing are taken from `otherwise`. */
function perAxis(op: string, x: Tensor, list: readonly number[], otherwise: readonly number[]): number[] {
  if (list.length > x.shape.length) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${op}: expected at most ${x.shape.length} entries, received ${list.length}`,
    );
  }
  return x.shape.map((_, axis) => list[axis] ?? otherwise[axis]!);
}

const nothing = (x: Tensor): number[] => x.shape.map(() => 0);

/**
 * A box of x: on each axis, from `starts` up to but not including `stops`; axes that the lists do not reach stay whole.
 * The first axis' rows share memory.
 *
 * @example
 * ```ts
 * import { slice, tensor } from 'sparring';
 *
 * const x = tensor([[1, 2, 3], [4, 5, 6]]);
 * console.log(slice(x, [1]).toArray()); // [[4, 5, 6]]
 * console.log(slice(x, [0, 1], [2, 2]).toArray()); // [[2], [5]]
 * ```
 */
export function slice(x: Tensor, starts: readonly number[], stops: readonly number[] = []): Tensor {
  const from = perAxis('slice', x, starts, nothing(x));
  const to = perAxis('slice', x, stops, x.shape);
  const isRows = x.shape.every((length, axis) => {
    const isInside = 0 <= from[axis]! && from[axis]! <= to[axis]! && to[axis]! <= length;
    return axis === 0 ? isInside : from[axis] === 0 && to[axis] === length;
  });
  return one(isRows && x.shape.length > 0 ? 'rows' : 'slice', [x], { starts: from, stops: to });
}

/**
 * Adds `before[axis]` and `after[axis]` elements of a value (0) around x; axes that the lists do not reach stay.
 *
 * @example
 * ```ts
 * import { pad, tensor } from 'sparring';
 *
 * console.log(pad(tensor([[1, 2]]), [1], [0, 1]).toArray()); // [[0, 0, 0], [1, 2, 0]]
 * ```
 */
export const pad = (
  x: Tensor,
  before: readonly number[],
  after: readonly number[],
  { value = 0 }: { value?: number } = {},
): Tensor =>
  one('pad', [x], {
    before: perAxis('pad', x, before, nothing(x)),
    after: perAxis('pad', x, after, nothing(x)),
    value,
  });
/**
 * Joins tensors along an axis (the first by default); the other axes are of one length.
 *
 * @example
 * ```ts
 * import { concat, tensor } from 'sparring';
 *
 * console.log(concat([tensor([[1], [2]]), tensor([[3], [4]])], { axis: 1 }).toArray()); // [[1, 3], [2, 4]]
 * ```
 */
export const concat = (parts: readonly Tensor[], { axis = 0 }: { axis?: number } = {}): Tensor =>
  one('concat', parts, { axis });
/**
 * Joins tensors of one shape along a new first axis.
 *
 * @example
 * ```ts
 * import { stack, tensor } from 'sparring';
 *
 * console.log(stack([tensor([1, 2]), tensor([3, 4])]).toArray()); // [[1, 2], [3, 4]]
 * ```
 */
export const stack = (parts: readonly Tensor[]): Tensor =>
  concat(parts.map((part) => reshape(part, [1, ...part.shape])));

// ---- products -------------------------------------------------------------------------------------------------------

/** How {@link matmul} reads its operands. */
export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/**
 * Matrix product of a [..., m, k] and b [..., k, n]; the axes in front broadcast. With `transposeA` or `transposeB` the
 * last two axes of that operand are read exchanged.
 *
 * @throws SparringError `SHAPE_MISMATCH` when the inner lengths differ or an operand has fewer than two axes.
 *
 * @example
 * ```ts
 * import { matmul, tensor } from 'sparring';
 *
 * const a = tensor([[1, 2], [3, 4]]);
 * console.log(matmul(a, a, { transposeB: true }).toArray()); // [[5, 11], [11, 25]]
 * ```
 */
export const matmul = (a: Tensor, b: Tensor, { transposeA, transposeB }: MatmulOptions = {}): Tensor =>
  one('matmul', [a, b], { transposeA, transposeB });

/**
 * x [..., in] times weight [out, in] transposed, plus bias [out]: the dense layer, [..., out].
 *
 * @example
 * ```ts
 * import { linear, tensor } from 'sparring';
 *
 * const weight = tensor([[1, 0], [0, 1], [1, 1]]);
 * console.log(linear(tensor([[2, 3]]), weight, tensor([0, 0, 10])).toArray()); // [[2, 3, 15]]
 * ```
 */
export const linear = (x: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  one('linear', bias === undefined ? [x, weight] : [x, weight, bias]);

/** Strides, padding and the like: one number for both directions, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];
const both = (value: Pair): readonly number[] => (typeof value === 'number' ? [value, value] : value);

/** How {@link conv2d} moves its window. */
export interface Conv2dOptions {
  /** 1 by default. */
  stride?: Pair;
  /** Zeros around the image, 0 by default. */
  padding?: Pair;
  /** Distance of the window's elements, 1 by default. */
  dilation?: Pair;
  /** Into how many groups the channels are split, 1 by default. */
  groups?: number;
}

/**
 * Two-dimensional cross-correlation, as PyTorch's conv2d.
 *
 * @param x - Images [B, C, H, W].
 * @param weight - [O, C / groups, kh, kw].
 * @param options - Stride, padding, dilation, groups, and a `bias` [O].
 * @returns [B, O, oh, ow].
 * @throws SparringError `SHAPE_MISMATCH` when channels, groups or sizes do not fit.
 *
 * @example
 * ```ts
 * import { conv2d, tensor } from 'sparring';
 *
 * const image = tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]);
 * const weight = tensor([[[[1, 0], [0, 1]]]]);
 * console.log(conv2d(image, weight).toArray()); // [[[[6, 8], [12, 14]]]]
 * ```
 */
export const conv2d = (
  x: Tensor,
  weight: Tensor,
  { stride = 1, padding = 0, dilation = 1, groups = 1, bias }: Conv2dOptions & { bias?: Tensor } = {},
): Tensor =>
  one('conv2d', bias === undefined ? [x, weight] : [x, weight, bias], {
    stride: both(stride),
    padding: both(padding),
    dilation: both(dilation),
    groups,
  });

/** The window of a pooling op. */
export interface PoolOptions {
  /** The window's size. */
  kernel: Pair;
  /** The kernel's size by default, so that windows do not overlap. */
  stride?: Pair;
  /** 0 by default. */
  padding?: Pair;
}

const pooling = ({ kernel, stride = kernel, padding = 0 }: PoolOptions): Attributes => ({
  kernel: both(kernel),
  stride: both(stride),
  padding: both(padding),
});

/**
 * The largest element of each window of images [..., H, W], [..., oh, ow]; padding never wins.
 *
 * @example
 * ```ts
 * import { maxPool2d, tensor } from 'sparring';
 *
 * const image = tensor([[[1, 2, 5, 6], [3, 4, 7, 8]]]);
 * console.log(maxPool2d(image, { kernel: 2 }).toArray()); // [[[4, 8]]]
 * ```
 */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor => one('maxPool2d', [x], pooling(options));
/**
 * The mean of each window of images [..., H, W], [..., oh, ow]; padding counts as zeros.
 *
 * @example
 * ```ts
 * import { averagePool2d, tensor } from 'sparring';
 *
 * const image = tensor([[[1, 2, 5, 6], [3, 4, 7, 8]]]);
 * console.log(averagePool2d(image, { kernel: 2 }).toArray()); // [[[2.5, 6.5]]]
 * ```
 */
export const averagePool2d = (x: Tensor, options: PoolOptions): Tensor => one('averagePool2d', [x], pooling(options));

// ---- classification -------------------------------------------------------------------------------------------------

/**
 * Probabilities from logits, over the last axis.
 *
 * @example
 * ```ts
 * import { softmax, tensor } from 'sparring';
 *
 * console.log(softmax(tensor([[0, 0], [1000, 0]])).toArray()); // [[0.5, 0.5], [1, 0]]
 * ```
 */
export const softmax = (x: Tensor): Tensor => one('softmax', [x]);
/**
 * The logarithm of the probabilities, over the last axis; exact where the probability rounds to 0.
 *
 * @example
 * ```ts
 * import { logSoftmax, tensor } from 'sparring';
 *
 * console.log(logSoftmax(tensor([[1000, 0]])).toArray()); // [[0, -1000]]
 * ```
 */
export const logSoftmax = (x: Tensor): Tensor => one('logSoftmax', [x]);
/**
 * -log of the probability of the label, per example: logits [B, K], labels int32 [B], result [B]. Exact however
 * confident the network is, and so is its gradient.
 *
 * @example
 * ```ts
 * import { crossEntropy, tensor } from 'sparring';
 *
 * const labels = tensor(Int32Array.of(1));
 * console.log(crossEntropy(tensor([[1000, 0]]), labels).toArray()); // [1000]
 * ```
 */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor => one('crossEntropy', [logits, labels]);
/**
 * The gradient of {@link crossEntropy} by the logits, [B, K]: the probabilities, less 1 at the label.
 *
 * @example
 * ```ts
 * import { crossEntropyGrad, tensor } from 'sparring';
 *
 * const labels = tensor(Int32Array.of(1));
 * console.log(crossEntropyGrad(tensor([[0, 0]]), labels).toArray()); // [[0.5, -0.5]]
 * ```
 */
export const crossEntropyGrad = (logits: Tensor, labels: Tensor): Tensor => one('crossEntropyGrad', [logits, labels]);

// ---- indices --------------------------------------------------------------------------------------------------------

/**
 * Entries of x at int32 indices along an axis (the first by default), as NumPy's take.
 *
 * @example
 * ```ts
 * import { gather, tensor } from 'sparring';
 *
 * const x = tensor([[1, 2], [3, 4], [5, 6]]);
 * console.log(gather(x, tensor(Int32Array.of(2, 0))).toArray()); // [[5, 6], [1, 2]]
 * ```
 */
export const gather = (x: Tensor, indices: Tensor, { axis = 0 }: { axis?: number } = {}): Tensor =>
  one('gather', [x, indices], { axis });
/**
 * Adds the rows of x at int32 indices into a tensor of zeros whose axis (the first by default) has `size` places.
 *
 * @example
 * ```ts
 * import { scatterAdd, tensor } from 'sparring';
 *
 * const x = tensor([[1, 2], [3, 4]]);
 * console.log(scatterAdd(x, tensor(Int32Array.of(2, 2)), { size: 3 }).toArray()); // [[0, 0], [0, 0], [4, 6]]
 * ```
 */
export const scatterAdd = (x: Tensor, indices: Tensor, { size, axis = 0 }: { size: number; axis?: number }): Tensor => {
  const rank = x.shape.length - indices.shape.length + 1;
  return one('scatterAdd', [x, indices], { size, axis: axis < 0 ? axis : axis - rank });
};
/**
 * For each row of the last axis, its elements at that row's int32 indices: [..., N] and [..., M] to [..., M].
 *
 * @example
 * ```ts
 * import { reshape, takeAlong, tensor } from 'sparring';
 *
 * const indices = reshape(tensor(Int32Array.of(2, 0)), [2, 1]);
 * console.log(takeAlong(tensor([[1, 2, 3], [4, 5, 6]]), indices).toArray()); // [[3], [4]]
 * ```
 */
export const takeAlong = (x: Tensor, indices: Tensor): Tensor => one('takeAlong', [x, indices]);
/**
 * Adds each element of a row at its int32 index into a row of `size` zeros: [..., M] to [..., size].
 *
 * @example
 * ```ts
 * import { putAlong, reshape, tensor } from 'sparring';
 *
 * const indices = reshape(tensor(Int32Array.of(2, 0)), [2, 1]);
 * console.log(putAlong(tensor([[7], [8]]), indices, { size: 3 }).toArray()); // [[0, 0, 7], [8, 0, 0]]
 * ```
 */
export const putAlong = (x: Tensor, indices: Tensor, { size }: { size: number }): Tensor =>
  one('putAlong', [x, indices], { size });
/** Writes rows [R, ...] over those of x, [N, ...], that `at`, int32 [R], numbers, in place. */
export const assignRows = (x: Tensor, at: Tensor, rows: Tensor): void => void call('assignRows', [x, at, rows]);

/**
 * For a search over pairs (example, class): of each example the classes of the highest bounds [B, K] that exceed the best [B] so
 * far, both float64: half as many as were tried, int32 [B], but one at least. An example with more than there is room for waits.
 * The bounds of the pairs given are set to -Infinity, in place, so that each is given once.
 *
 * @returns Examples and classes, int32 [room], of which the first `count`, int32 [], are meant.
 */
export function selectPairs(
  bounds: Tensor,
  { value, tried }: Pick<Best, 'value' | 'tried'>,
  { room }: { room: number },
): { example: Tensor; candidate: Tensor; count: Tensor } {
  const [example, candidate, count] = call('selectPairs', [bounds, value, tried], { room }) as [Tensor, Tensor, Tensor];
  return { example, candidate, count };
}

/**
 * How high the water stands in the vessels of each row that are filled together: the level θ at which
 * Σ min(width θ, room) is the amount; where that is more than there is room for, one at which all are full. It has no
 * derivative.
 *
 * @param widths - [..., D], not negative.
 * @param rooms - [..., D], not negative.
 * @param amount - [..., 1].
 * @returns [..., 1].
 */
export const waterLevel = (widths: Tensor, rooms: Tensor, amount: Tensor): Tensor =>
  one('waterLevel', [widths, rooms, amount]);

/** What is known of each example in a search over pairs; {@link keepBest} writes it in place. */
export interface Best {
  /** float64 [B]. */
  value: Tensor;
  /** [B, D]. */
  rows: Tensor;
  /** int32 [B]. */
  target: Tensor;
  /** How many pairs were tried, int32 [B]. */
  tried: Tensor;
}

/** Takes the pairs' values, float64 [R], and rows [R, D] over where they are the best of their example so far. */
export const keepBest = (
  { value, rows, target, tried }: Best,
  pairs: { example: Tensor; candidate: Tensor; value: Tensor; rows: Tensor },
): void => void call('keepBest', [value, rows, target, tried, pairs.example, pairs.candidate, pairs.value, pairs.rows]);

/**
 * 1 at the index, 0 elsewhere, on a new last axis of `classes` places; `dtype` is float32 by default.
 *
 * @example
 * ```ts
 * import { oneHot, tensor } from 'sparring';
 *
 * console.log(oneHot(tensor(Int32Array.of(2, 0)), { classes: 3 }).toArray()); // [[0, 0, 1], [1, 0, 0]]
 * ```
 */
export const oneHot = (
  indices: Tensor,
  { classes, dtype = 'float32' }: { classes: number; dtype?: 'float32' | 'float64' },
): Tensor => one('oneHot', [indices], { classes, dtype });

// ---- constants and random numbers -----------------------------------------------------------------------------------

/**
 * A tensor of one value; `dtype` is float32 by default, here as in `zeros` and `ones`.
 *
 * @example
 * ```ts
 * import { full } from 'sparring';
 *
 * console.log(full([2, 2], 7, { dtype: 'int32' }).toArray()); // [[7, 7], [7, 7]]
 * ```
 */
export const full = (shape: readonly number[], value: number, { dtype = 'float32' }: { dtype?: DType } = {}): Tensor =>
  one('full', [], { shape, value, dtype });
/** Zeros. */
export const zeros = (shape: readonly number[], options: { dtype?: DType } = {}): Tensor => full(shape, 0, options);
/** Ones. */
export const ones = (shape: readonly number[], options: { dtype?: DType } = {}): Tensor => full(shape, 1, options);

/**
 * 0, 1, ... up to but not including `count`, int32.
 *
 * @throws SparringError `OUT_OF_RANGE` for what is no whole number of at least 0.
 *
 * @example
 * ```ts
 * import { range } from 'sparring';
 *
 * console.log(range(3).toArray()); // [0, 1, 2]
 * ```
 */
export function range(count: number): Tensor {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new SparringError('OUT_OF_RANGE', `range: expected a whole number of at least 0, received ${count}`);
  }
  return tensor(Int32Array.from({ length: count }, (_, index) => index));
}

/**
 * Where random numbers come from. They are a function of the seed, the stream (which of a program's uses this is), the
 * example's number (`rows`, int32 [B]) and the tick (int32 []: the step or iteration), and of nothing else: the same
 * whatever the batch size, the order or the number of threads.
 */
export interface RandomSource {
  seed: number;
  stream?: number;
  rows?: Tensor;
  tick?: Tensor;
}

function counters(op: string, { rows, tick }: RandomSource, count: number): [Tensor, Tensor] {
  if (rows !== undefined && rows.size !== count) {
    throw new SparringError('SHAPE_MISMATCH', `${op}: rows: expected ${count}, one an example, received ${rows.size}`);
  }
  return [rows ?? range(count), tick ?? tensor(0, { dtype: 'int32' })];
}

function random(op: string, shape: readonly number[], source: RandomSource, attributes: Attributes): Tensor {
  const inputs = counters(op, source, shape[0] ?? 1);
  const drawn = one(op, inputs, {
    ...attributes,
    shape: shape.slice(1),
    seed: source.seed,
    stream: source.stream ?? 0,
  });
  return shape.length === 0 ? reshape(drawn, []) : drawn;
}

/**
 * Uniform random numbers in [low, high), 0 to 1 by default, of shape [B, ...].
 *
 * @example
 * ```ts
 * import { uniform } from 'sparring';
 *
 * const a = uniform([4, 3], { seed: 7 });
 * const b = uniform([2, 3], { seed: 7 });
 * console.log(a.data().slice(0, 6).join() === b.data().join()); // true: a row depends on its number only
 * ```
 */
export const uniform = (
  shape: readonly number[],
  {
    low = 0,
    high = 1,
    dtype = 'float32',
    ...source
  }: RandomSource & { low?: number; high?: number; dtype?: 'float32' | 'float64' },
): Tensor => random('uniform', shape, source, { low, high, dtype });

/**
 * Normal random numbers of shape [B, ...], of `mean` 0 and standard `deviation` 1 by default.
 *
 * @example
 * ```ts
 * import { mean, normal } from 'sparring';
 *
 * const x = normal([10000], { seed: 1, mean: 3, deviation: 2 });
 * console.log(Math.abs(mean(x).item() - 3) < 0.1); // true
 * ```
 */
export const normal = (
  shape: readonly number[],
  {
    mean = 0,
    deviation = 1,
    dtype = 'float32',
    ...source
  }: RandomSource & { mean?: number; deviation?: number; dtype?: 'float32' | 'float64' },
): Tensor => random('normal', shape, source, { mean, deviation, dtype });

/**
 * Each element of x [B, ...] set to 0 with probability `rate` (0 to below 1), else divided by 1 - rate.
 *
 * @example
 * ```ts
 * import { dropout, ones } from 'sparring';
 *
 * const { length } = dropout(ones([1, 1000]), { rate: 0.5, seed: 1 }).data().filter((value) => value === 2);
 * console.log(length > 400 && length < 600); // true
 * ```
 */
export const dropout = (x: Tensor, { rate, ...source }: RandomSource & { rate: number }): Tensor =>
  one('dropout', [x, ...counters('dropout', source, x.shape[0] ?? 1)], {
    rate,
    seed: source.seed,
    stream: source.stream ?? 0,
    exampleRank: x.shape.length - 1,
  });
