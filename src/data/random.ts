/**
 * Reproducible choices: Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011). The word at a place of a stream is a pure function of (seed, purpose, index, place), so a
 * choice is the same on every machine, and epoch 7 needs no epoch 6.
 */

/** What a stream is for, so that two uses of one seed never share numbers. */
export const purposes = { split: 0x73706c74, shuffle: 0x73687566, sample: 0x73616d70 } as const;

/** Names a stream of random words. */
export interface Stream {
  /** An integer of 0 to 2^53 - 1. */
  readonly seed: number;
  readonly purpose: number;
  /** Which of the streams of that purpose, an epoch for one: an integer of 0 to 2^32 - 1. */
  readonly index: number;
}

/** The upper 32 bits of a product of two 32-bit words; a double is not exact so far, hence the halves. */
function high(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/** Ten rounds of Philox: the four words at a counter (four words) under a key (two words). */
export function philox(counter: readonly number[], key: readonly number[]): Uint32Array {
  let [c0, c1, c2, c3] = counter as [number, number, number, number];
  let [k0, k1] = key as [number, number];
  for (let round = 0; round < 10; round++) {
    const high0 = high(0xd2511f53, c0);
    const high2 = high(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const low2 = Math.imul(0xcd9e8d57, c2) >>> 0;
    [c0, c1, c2, c3] = [(high2 ^ c1 ^ k0) >>> 0, low2, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/**
 * The words of a stream, one a call. Key: the seed's lower and upper 32 bits. Counter: number of the block of four words,
 * index, purpose, 0.
 */
export function words({ seed, purpose, index }: Stream): () => number {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  let block: Uint32Array = new Uint32Array(4);
  let place = 0;
  return () => {
    if (place % 4 === 0) block = philox([place / 4, index, purpose, 0], key);
    return block[place++ % 4]!;
  };
}

/** A uniform integer of 0 to `limit` - 1; words beyond the last whole multiple of `limit` are passed over, as they would favour small ones. */
export function below(limit: number, next: () => number): number {
  const fair = 2 ** 32 - (2 ** 32 % limit);
  let word = next();
  while (word >= fair) word = next();
  return word % limit;
}

/** A shuffled copy (Fisher-Yates, from the end): every order is as likely as any other. */
export function shuffled(values: Int32Array, stream: Stream): Int32Array {
  const next = words(stream);
  const result = values.slice();
  for (let last = result.length - 1; last > 0; last--) {
    const other = below(last + 1, next);
    [result[last], result[other]] = [result[other]!, result[last]!];
  }
  return result;
}
