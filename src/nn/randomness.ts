/** Where a module that acts at random takes its numbers from while it trains. */
import type { RandomSource } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';

interface Randomness extends Required<Pick<RandomSource, 'seed' | 'rows' | 'tick'>> {
  stream: number;
}

let current: Randomness | undefined;

/**
 * Runs fn with every random module inside drawing from this source, each use in a stream of its own: the numbers are a
 * function of the seed, the example and the tick, whatever the batch.
 */
export function withRandomness<T>(source: Omit<Randomness, 'stream'> & { stream?: number }, fn: () => T): T {
  const before = current;
  current = { ...source, stream: source.stream ?? firstStream };
  try {
    return fn();
  } finally {
    current = before;
  }
}

/** Streams below this one are the initializers'. */
const firstStream = 1 << 20;
let calls = 0;

/**
 * The source of random numbers for the next use, for layers and training methods of your own. While a network trains, it
 * is keyed by the training's seed, the examples' numbers and the step, each use in a stream of its own: two steps draw
 * differently, and an example's numbers do not depend on its batch. Elsewhere each call draws anew from seed 0.
 *
 * @returns What `uniform`, `normal` and `dropout` take as their source.
 *
 * @example
 * ```ts
 * import { nextRandomness, uniform } from 'sparring';
 *
 * const [first, second] = [uniform([2], nextRandomness()), uniform([2], nextRandomness())];
 * console.log(first.data().join() === second.data().join()); // false
 * ```
 */
export function nextRandomness(): RandomSource {
  if (current === undefined) return { seed: 0, stream: firstStream - 1 - (calls++ % (firstStream / 2)) };
  return { ...current, stream: current.stream++ };
}

/** Runs fn with every random module inside drawing for other examples, int32 [B], than those of the source. */
export function forRows<T>(rows: Tensor, fn: () => T): T {
  if (current === undefined) return fn();
  const source = current;
  const before = source.rows;
  source.rows = rows;
  try {
    return fn();
  } finally {
    source.rows = before;
  }
}
