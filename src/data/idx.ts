import {
  badFile,
  elementCount,
  elementWidth,
  lengthFault,
  readElements,
  shapeText,
  type ElementKind,
} from '../io/bytes.js';
import { inflated, readBytes } from '../io/read.js';

/**
 * The IDX format of MNIST: two zero bytes, the element's type, the number of dimensions, each dimension as a big-endian
 * 32-bit size, then the elements, big-endian and row-major.
 */

/** An array read from an IDX file. */
export interface IdxArray {
  readonly shape: readonly number[];
  /** The elements in row-major order; the type of the array is that of the file. */
  readonly data: Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;
}

/** What the caller knows of the file. */
export interface IdxOptions {
  /** How many dimensions it must have: 3 for images, 1 for labels. */
  readonly rank?: number;
}

const kinds = {
  0x08: 'uint8',
  0x09: 'int8',
  0x0b: 'int16',
  0x0c: 'int32',
  0x0d: 'float32',
  0x0e: 'float64',
} as const satisfies Record<number, ElementKind>;

function kindOf(type: number | undefined): (typeof kinds)[keyof typeof kinds] | undefined {
  return (kinds as Record<number, (typeof kinds)[keyof typeof kinds]>)[type ?? 0];
}

/**
 * Reads the bytes of an IDX file that is not compressed.
 *
 * @param bytes - the whole file
 * @param fileName - what errors call it
 * @throws BAD_FILE when it is no IDX file, is cut short or has bytes left over, or has another number of dimensions.
 *
 * @example
 * ```ts
 * import { decodeIdx } from 'sparring';
 *
 * const bytes = Uint8Array.of(0, 0, 0x08, 1, 0, 0, 0, 3, 7, 2, 1);
 * console.log(decodeIdx(bytes, 'labels-idx1-ubyte', { rank: 1 }).data); // Uint8Array(3) [ 7, 2, 1 ]
 * ```
 */
export function decodeIdx(bytes: Uint8Array, fileName: string, { rank }: IdxOptions = {}): IdxArray {
  const kind = kindOf(bytes[2]);
  const dimensions = bytes[3] ?? 0;
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || kind === undefined || dimensions === 0) {
    const first = Buffer.from(bytes.subarray(0, 4)).toString('hex');
    throw badFile(
      fileName,
      `expected an IDX file (00 00, type, dimensions), received ${bytes.length} bytes that begin with ${first || 'nothing'}`,
    );
  }
  if (rank !== undefined && dimensions !== rank) {
    throw badFile(fileName, `expected ${rank} dimensions, received ${dimensions}`);
  }
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) {
    throw badFile(fileName, `expected a header of ${start} bytes, received ${bytes.length} (truncated)`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const count = elementCount(shape);
  if (Number.isNaN(count))
    throw badFile(fileName, `expected a countable number of elements, received ${shapeText(shape)}`);
  const fault = lengthFault(start + count * elementWidth[kind], bytes.length, shapeText(shape));
  if (fault !== undefined) throw badFile(fileName, fault);
  return { shape, data: readElements(bytes.subarray(start), kind, 'big') };
}

/**
 * Reads an IDX file, plain or gzip by its contents.
 *
 * @throws NOT_FOUND when there is none, BAD_FILE as `decodeIdx` does and for a damaged gzip stream.
 *
 * @example
 * ```ts
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { gzipSync } from 'node:zlib';
 * import { readIdx } from 'sparring';
 *
 * const path = join(await mkdtemp(join(tmpdir(), 'example-')), 'labels-idx1-ubyte');
 * await writeFile(path, gzipSync(Uint8Array.of(0, 0, 0x08, 1, 0, 0, 0, 2, 5, 0)));
 * console.log((await readIdx(path)).data); // Uint8Array(2) [ 5, 0 ]
 * ```
 */
export async function readIdx(path: string, options: IdxOptions = {}): Promise<IdxArray> {
  return decodeIdx(await inflated(await readBytes(path), path), path, options);
}
