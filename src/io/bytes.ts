import { endianness } from 'node:os';
import { SparringError } from '../errors.js';

/**
 * What the file formats share: how the elements of an array lie in bytes, and what makes a header impossible.
 *
 * Every reader copies, so that what it returns is aligned, owned, and never longer than the file that it came from.
 */

/** The array that holds the elements of a kind; half-precision kinds widen to float32, which holds each of them exactly. */
export interface ElementArrays {
  bool: Uint8Array;
  uint8: Uint8Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  float16: Float32Array;
  bfloat16: Float32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** How one element is stored. */
export type ElementKind = keyof ElementArrays;

/** The order of the bytes within one element. */
export type ByteOrder = 'little' | 'big';

const hostOrder: ByteOrder = endianness() === 'LE' ? 'little' : 'big';

/** The bytes that one stored element takes. */
export const elementWidth: Readonly<Record<ElementKind, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

function widenHalf(half: Uint16Array): Float32Array {
  return Float32Array.from(half, (bits) => {
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
    return sign * (0x400 + fraction) * 2 ** (exponent - 25);
  });
}

/** A bfloat16 is the upper half of the float32 of the same value. */
function widenBrain(half: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(half, (bits) => bits << 16).buffer);
}

const views: { readonly [K in ElementKind]: (buffer: ArrayBuffer) => ElementArrays[K] } = {
  bool: (buffer) => new Uint8Array(buffer),
  uint8: (buffer) => new Uint8Array(buffer),
  int8: (buffer) => new Int8Array(buffer),
  int16: (buffer) => new Int16Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  int64: (buffer) => new BigInt64Array(buffer),
  float16: (buffer) => widenHalf(new Uint16Array(buffer)),
  bfloat16: (buffer) => widenBrain(new Uint16Array(buffer)),
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
};

function swap(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (width === 2) buffer.swap16();
  if (width === 4) buffer.swap32();
  if (width === 8) buffer.swap64();
}

/** A copy of `bytes`, whose length is a multiple of the element's width, as an array of its elements. */
export function readElements<K extends ElementKind>(bytes: Uint8Array, kind: K, order: ByteOrder): ElementArrays[K] {
  const copy = new Uint8Array(bytes);
  if (order !== hostOrder) swap(copy, elementWidth[kind]);
  return views[kind](copy.buffer);
}

/** The bytes of an array in little-endian order; a view where the machine already has them so. */
export function littleEndian(data: ElementArrays[ElementKind]): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (hostOrder === 'little') return bytes;
  const copy = new Uint8Array(bytes);
  swap(copy, data.BYTES_PER_ELEMENT);
  return copy;
}

/** How many elements a shape has, or NaN where a dimension is no size or the count is beyond exact integers. */
export function elementCount(shape: readonly unknown[]): number {
  let count = 1;
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return NaN;
    count *= size;
    if (!Number.isSafeInteger(count)) return NaN;
  }
  return count;
}

/** Names with what they stand for, as a map or as an object. */
export type Named<T> = ReadonlyMap<string, T> | Readonly<Record<string, T>>;

/** The pairs of either. */
export function namedEntries<T>(named: Named<T>): [name: string, value: T][] {
  return [...(named instanceof Map ? (named as ReadonlyMap<string, T>) : Object.entries(named as Record<string, T>))];
}

/** A shape for a message: `60000x28x28`. */
export function shapeText(shape: readonly number[]): string {
  return shape.length === 0 ? 'a scalar' : shape.join('x');
}

/** `expected 8 bytes for 2x1, received 5 (truncated)`, or undefined when the length is right. */
export function lengthFault(expected: number, received: number, what: string): string | undefined {
  if (expected === received) return undefined;
  const fault = received < expected ? 'truncated' : `${received - expected} bytes too many`;
  return `expected ${expected} bytes for ${what}, received ${received} (${fault})`;
}

/** A value read from a header, for a message, cut to a readable length. */
export function excerpt(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** The error for a file whose contents are not what they should be. */
export function badFile(fileName: string, message: string, cause?: unknown): SparringError {
  return new SparringError('BAD_FILE', `${fileName}: ${message}`, cause === undefined ? undefined : { cause });
}

const reserved = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Whether a name read from a file could reach an object's prototype, should a program some day use it, or a part of it
 * between dots, as a property.
 */
export function isReservedName(name: string): boolean {
  return name.split('.').some((part) => reserved.has(part));
}
