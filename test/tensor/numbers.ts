/** Seeded numbers and comparisons that the engine's tests share. */
import { native, type NumberArray } from '../../src/native.js';
import { tensor, type DType, type Tensor } from '../../src/tensor/tensor.js';

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many elements a shape has. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** A tensor of random numbers between low and high. */
export function randomTensor(
  shape: readonly number[],
  seed: number,
  { low = -1, high = 1, dtype = 'float32' }: { low?: number; high?: number; dtype?: DType } = {},
): Tensor {
  const next = seeded(seed);
  const numbers = Float64Array.from({ length: sizeOf(shape) }, () => low + (high - low) * next());
  return tensor(numbers, { shape, dtype });
}

const bits = (numbers: NumberArray): Buffer => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);

/** Whether two arrays hold the same bits. */
export const sameBits = (a: NumberArray, b: NumberArray): boolean => bits(a).equals(bits(b));

/** Whether two tensors have one type and hold the same bits. */
export const identical = (a: Tensor, b: Tensor): boolean =>
  a.dtype === b.dtype && a.shape.join() === b.shape.join() && sameBits(a.data(), b.data());

/** The largest difference of two lists of numbers, where NaN equals NaN and an infinity itself. */
export function farthest(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const difference = Math.abs(actual[i]! - expected[i]!);
    most = Math.max(most, Number.isNaN(difference) ? Infinity : difference);
  }
  return most;
}

/** Runs fn with so many threads, and then with as many as before again. */
export function withThreads<T>(count: number, fn: () => T): T {
  const before = native.threads();
  native.threads(count);
  try {
    return fn();
  } finally {
    native.threads(before);
  }
}
