import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import {
  badFile,
  elementCount,
  elementWidth,
  excerpt,
  isReservedName,
  lengthFault,
  littleEndian,
  namedEntries,
  readElements,
  shapeText,
  type ElementKind,
  type Named,
} from './bytes.js';

/**
 * The safetensors format on plain arrays: 8 bytes with the length of a JSON header (unsigned, little-endian), the header
 * `{"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {string: string}}`, then the elements, little-endian and
 * row-major, without gaps or overlaps.
 */

/** The array that holds each dtype; 64-bit integers stay exact as a BigInt64Array, booleans are bytes 0 and 1. */
export interface SafetensorsArrays {
  F32: Float32Array;
  F64: Float64Array;
  I32: Int32Array;
  I64: BigInt64Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

/** The dtypes that are written; F16 and BF16 are read as well, as F32. */
export type SafetensorsDtype = keyof SafetensorsArrays;

/** One array of a safetensors file: its dtype, its shape, and its elements in row-major order. */
export type SafetensorsEntry = {
  [D in SafetensorsDtype]: {
    readonly dtype: D;
    readonly shape: readonly number[];
    readonly data: SafetensorsArrays[D];
  };
}[SafetensorsDtype];

/** What a safetensors file holds. */
export interface SafetensorsFile {
  /** The arrays by name, in the order in which they are stored. */
  readonly tensors: Map<string, SafetensorsEntry>;
  /** The free text of the file. */
  readonly metadata: Record<string, string>;
}

const written: { readonly [D in SafetensorsDtype]: ElementKind } = {
  F32: 'float32',
  F64: 'float64',
  I32: 'int32',
  I64: 'int64',
  U8: 'uint8',
  BOOL: 'bool',
};
const kinds = new Map<string, ElementKind>([...Object.entries(written), ['F16', 'float16'], ['BF16', 'bfloat16']]);
const widened = new Map<string, SafetensorsDtype>([
  ['F16', 'F32'],
  ['BF16', 'F32'],
]);

/** The reference writer stores the dtype of widest elements first, in this order, so that every array lies aligned. */
const storedFirst: readonly SafetensorsDtype[] = ['I64', 'F64', 'F32', 'I32', 'U8', 'BOOL'];

const arrayTypes: { readonly [D in SafetensorsDtype]: new (length: number) => SafetensorsArrays[D] } = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

const metadataKey = '__metadata__';
const mostHeader = 100_000_000;

function checkEntry(name: string, { dtype, shape, data }: SafetensorsEntry): void {
  const where = `encodeSafetensors: '${name}'`;
  if (name === metadataKey || isReservedName(name) || /\p{Surrogate}/u.test(name)) {
    throw new SparringError('INVALID_ARGUMENT', `${where}: expected another name, this one is reserved or not text`);
  }
  if (!Object.hasOwn(written, dtype)) {
    throw new SparringError('DTYPE_MISMATCH', `${where}: dtype: ${oneOf(dtype, Object.keys(written))}`);
  }
  const expected = arrayTypes[dtype].name;
  if (!(data instanceof arrayTypes[dtype])) {
    const received = (data as object | undefined)?.constructor.name;
    throw new SparringError(
      'DTYPE_MISMATCH',
      `${where}: data: expected ${expected} for ${dtype}, received ${received}`,
    );
  }
  const count = elementCount(shape);
  if (count !== data.length) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${where}: expected ${count} elements for shape [${shape.join(', ')}], received ${data.length}`,
    );
  }
}

/**
 * Arrays as the bytes of a safetensors file, in the layout of the reference writer: the widest dtype first, then by name,
 * and a header padded with spaces to a multiple of 8 bytes. The same arrays always give the same bytes.
 *
 * @param tensors - the arrays by name
 * @param metadata - free text to keep beside them
 * @throws INVALID_ARGUMENT, DTYPE_MISMATCH or SHAPE_MISMATCH naming the array.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from 'sparring';
 *
 * const bytes = encodeSafetensors(
 *   { '0.bias': { dtype: 'F32', shape: [2], data: new Float32Array([0.5, -0.5]) } },
 *   { method: 'lwa' },
 * );
 * const { tensors, metadata } = decodeSafetensors(bytes, 'model.safetensors');
 * console.log(tensors.get('0.bias')?.data, metadata.method); // Float32Array(2) [ 0.5, -0.5 ] lwa
 * ```
 */
export function encodeSafetensors(
  tensors: Named<SafetensorsEntry>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries = namedEntries(tensors);
  for (const [name, entry] of entries) checkEntry(name, entry);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string' || isReservedName(key)) {
      throw new SparringError(
        'INVALID_ARGUMENT',
        `encodeSafetensors: metadata '${key}': expected text under a free name`,
      );
    }
  }
  entries.sort(
    ([a, left], [b, right]) =>
      storedFirst.indexOf(left.dtype) - storedFirst.indexOf(right.dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );

  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [[metadataKey, metadata]] : [];
  let end = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const begin = end;
    end += data.byteLength;
    header.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const members = header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = Buffer.from(`{${members.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > mostHeader) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `encodeSafetensors: expected a header of at most ${mostHeader} bytes, received ${padded}`,
    );
  }

  const bytes = new Uint8Array(8 + padded + end).fill(0x20, 8, 8 + padded);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  let offset = 8 + padded;
  for (const [, { data }] of entries) {
    bytes.set(littleEndian(data), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * The first key that an object in a valid JSON text has twice. `JSON.parse` keeps the last of them in silence, and two
 * readers that keep different ones see two different files.
 */
function duplicateKey(json: string): string | undefined {
  const scopes: (Set<string> | undefined)[] = [];
  let text = '';
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '"') {
      let end = i + 1;
      while (json[end] !== '"') end += json[end] === '\\' ? 2 : 1;
      text = json.slice(i, end + 1);
      i = end;
    } else if (character === ':') {
      const key = JSON.parse(text) as string;
      const keys = scopes.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    } else if (character === '{') scopes.push(new Set());
    else if (character === '[') scopes.push(undefined);
    else if (character === '}' || character === ']') scopes.pop();
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readHeader(bytes: Uint8Array, fileName: string): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8)
    throw badFile(fileName, `expected a safetensors file, received ${bytes.length} bytes (truncated)`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(mostHeader)) {
    throw badFile(
      fileName,
      `expected a header of at most ${mostHeader} bytes, received ${length} (not a safetensors file?)`,
    );
  }
  const start = 8 + Number(length);
  if (start > bytes.length) {
    throw badFile(fileName, `expected a header of ${length} bytes, received ${bytes.length - 8} (truncated)`);
  }
  let header: unknown;
  let json: string;
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, start));
    header = JSON.parse(json);
  } catch (cause) {
    throw badFile(fileName, `expected a JSON header (${(cause as Error).message})`, cause);
  }
  if (!isObject(header) || !json.startsWith('{')) throw badFile(fileName, 'expected the header to be a JSON object');
  const twice = duplicateKey(json);
  if (twice !== undefined) throw badFile(fileName, `expected each name once, received '${twice}' twice`);
  return { header, start };
}

function readMetadata(value: unknown, fileName: string): Record<string, string> {
  if (!isObject(value)) throw badFile(fileName, `expected ${metadataKey} to be an object of texts`);
  for (const [key, text] of Object.entries(value)) {
    if (isReservedName(key)) throw badFile(fileName, `metadata has the reserved name '${key}'`);
    if (typeof text !== 'string') throw badFile(fileName, `metadata '${key}': expected text, received ${typeof text}`);
  }
  return value as Record<string, string>;
}

interface Placed {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function readPlace(name: string, value: unknown, fileName: string): Placed {
  const where = `tensor '${name}'`;
  if (isReservedName(name)) throw badFile(fileName, `${where} has a reserved name`);
  if (!isObject(value)) throw badFile(fileName, `${where}: expected an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const kind = typeof dtype === 'string' ? kinds.get(dtype) : undefined;
  if (kind === undefined) {
    throw badFile(
      fileName,
      `${where}: dtype: expected one of ${[...kinds.keys()].join(', ')}, received ${excerpt(dtype)}`,
    );
  }
  const count = Array.isArray(shape) ? elementCount(shape) : NaN;
  if (Number.isNaN(count))
    throw badFile(fileName, `${where}: shape: expected a list of sizes, received ${excerpt(shape)}`);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    Number.isNaN(elementCount([offsets[0]])) ||
    Number.isNaN(elementCount([offsets[1]]))
  ) {
    throw badFile(fileName, `${where}: data_offsets: expected [begin, end], received ${excerpt(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const fault = lengthFault(
    count * elementWidth[kind],
    end - begin,
    `${String(dtype)} ${shapeText(shape as number[])}`,
  );
  if (fault !== undefined) throw badFile(fileName, `${where}: data_offsets [${begin}, ${end}]: ${fault}`);
  return { name, dtype: dtype as string, shape: shape as number[], begin, end };
}

/**
 * Reads the bytes of a safetensors file into plain arrays, in copies of their own. F16 and BF16 widen to F32, which holds
 * every one of their values exactly; I64 becomes a BigInt64Array, exact as well.
 *
 * @param bytes - the whole file
 * @param fileName - what errors call it
 * @throws BAD_FILE when the header is no JSON object, is longer than the file or than 100 MB, names an array twice, when
 * the arrays overlap, leave gaps or leave bytes over, or when a dtype is none of those that are read.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from 'sparring';
 *
 * const bytes = encodeSafetensors({ scale: { dtype: 'F64', shape: [], data: new Float64Array([0.25]) } });
 * console.log(decodeSafetensors(bytes, 'scale.safetensors').tensors.get('scale')?.data[0]); // 0.25
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array, fileName: string): SafetensorsFile {
  const { header, start } = readHeader(bytes, fileName);
  const { [metadataKey]: stored = {}, ...named } = header;
  const metadata = readMetadata(stored, fileName);
  const places = Object.entries(named).map(([name, value]) => readPlace(name, value, fileName));
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);

  let next = 0;
  for (const { name, begin, end } of places) {
    if (begin !== next) {
      const fault = begin < next ? 'overlaps another' : 'leaves a gap';
      throw badFile(
        fileName,
        `tensor '${name}': expected data_offsets to begin at ${next}, received ${begin} (${fault})`,
      );
    }
    next = end;
  }
  const fault = lengthFault(next, bytes.length - start, 'the tensors');
  if (fault !== undefined) throw badFile(fileName, fault);

  const tensors = new Map<string, SafetensorsEntry>();
  for (const { name, dtype, shape, begin, end } of places) {
    const data = readElements(bytes.subarray(start + begin, start + end), kinds.get(dtype)!, 'little');
    if (dtype === 'BOOL' && (data as Uint8Array).some((value) => value > 1)) {
      throw badFile(fileName, `tensor '${name}': expected booleans to be bytes 0 and 1`);
    }
    tensors.set(name, { dtype: widened.get(dtype) ?? dtype, shape, data } as SafetensorsEntry);
  }
  return { tensors, metadata };
}
