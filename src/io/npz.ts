import { zipSync, type Zippable } from 'fflate';
import { SparringError } from '../errors.js';
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
  type ByteOrder,
  type ElementArrays,
  type ElementKind,
  type Named,
} from './bytes.js';
import { unzip } from './zip.js';

/**
 * numpy's own files: .npy holds one array (a magic string, a version, a header that is a Python dictionary, the
 * elements), .npz is a ZIP archive of them.
 */

/** The array that holds each dtype; float16 is read as float32, int64 stays exact, booleans are bytes 0 and 1. */
export type NpyArrays = Omit<ElementArrays, 'float16' | 'bfloat16'>;

/** The dtypes that an array read from a .npy file has. */
export type NpyDtype = keyof NpyArrays;

/** An array read from a .npy file: its dtype, its shape, and its elements in row-major order. */
export type NpyArray = {
  [D in NpyDtype]: { readonly dtype: D; readonly shape: readonly number[]; readonly data: NpyArrays[D] };
}[NpyDtype];

/** An array to write; the type of `data` says which dtype the file gets. */
export interface NpyInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** numpy's own limit on what it will parse, against headers made to exhaust a parser. */
const mostHeader = 10_000;

/** numpy's limit before version 2. */
const mostDimensions = 32;

const kinds = new Map<string, ElementKind>([
  ['b1', 'bool'],
  ['u1', 'uint8'],
  ['i1', 'int8'],
  ['i2', 'int16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
]);

type Token = string | number | boolean | { readonly text: string };

/** The tokens of the Python literals in a header: punctuation, booleans, sizes (`3L` in Python 2), quoted text. */
function tokens(header: string, fileName: string): Token[] {
  const pattern = /\s*(?:'([^'\\]*)'|"([^"\\]*)"|(True|False)|(\d+)L?|([{}():,]))\s*/y;
  const found: Token[] = [];
  while (pattern.lastIndex < header.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(header);
    if (match === null) {
      throw badFile(fileName, `expected a numpy header of plain numbers, received ${excerpt(header.slice(at))}`);
    }
    const [, single, double, boolean, digits, punctuation] = match;
    if (punctuation !== undefined) found.push(punctuation);
    else if (digits !== undefined) found.push(Number(digits));
    else if (boolean !== undefined) found.push(boolean === 'True');
    else found.push({ text: (single ?? double)! });
  }
  return found;
}

interface NpyHeader {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: number[];
}

function parseHeader(header: string, fileName: string): NpyHeader {
  const queue = tokens(header, fileName);
  const malformed = (): SparringError => badFile(fileName, `expected a numpy header, received ${excerpt(header)}`);
  const take = (expected: string): void => {
    if (queue.shift() !== expected) throw malformed();
  };
  const sizes = (): number[] => {
    const shape: number[] = [];
    while (queue[0] !== ')') {
      const size = queue.shift();
      if (typeof size !== 'number') throw malformed();
      shape.push(size);
      if (queue[0] !== ')') take(',');
    }
    take(')');
    return shape;
  };

  const values = new Map<string, string | boolean | number[]>();
  take('{');
  while (queue[0] !== '}') {
    const key = queue.shift();
    if (typeof key !== 'object' || values.has(key.text)) throw malformed();
    take(':');
    const value = queue.shift();
    if (value === '(') values.set(key.text, sizes());
    else if (typeof value === 'object') values.set(key.text, value.text);
    else if (typeof value === 'boolean') values.set(key.text, value);
    else throw malformed();
    if (queue[0] !== '}') take(',');
  }
  take('}');

  const descr = values.get('descr');
  const fortranOrder = values.get('fortran_order');
  const shape = values.get('shape');
  const known = queue.length === 0 && values.size === 3;
  if (!known || typeof descr !== 'string' || typeof fortranOrder !== 'boolean' || !Array.isArray(shape))
    throw malformed();
  return { descr, fortranOrder, shape };
}

function parseDescr(descr: string, fileName: string): { kind: ElementKind; order: ByteOrder } {
  const kind = kinds.get(descr.slice(1));
  const order = descr[0];
  const stated = order === '<' || order === '>' || (order === '|' && kind !== undefined && elementWidth[kind] === 1);
  if (kind === undefined || !stated) {
    throw badFile(fileName, `dtype: expected one of ${[...kinds.keys()].join(', ')}, received ${excerpt(descr)}`);
  }
  return { kind, order: order === '>' ? 'big' : 'little' };
}

/** Column-major elements (the first index runs fastest) in row-major order. */
function fromFortran<A extends NpyArrays[NpyDtype]>(data: A, shape: readonly number[]): A {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  const index = shape.map(() => 0);
  const result = data.slice() as A;
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    result[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/**
 * Reads the bytes of a .npy file (versions 1 to 3): float16, float32, float64, int8, int16, int32, int64, uint8 and
 * bool, in either byte order, row-major or Fortran order. What it returns is row-major and a copy.
 *
 * @param bytes - the whole file
 * @param fileName - what errors call it
 * @throws BAD_FILE when it is no .npy file, is cut short or has bytes left over, or holds another dtype, such as pickled
 * objects, which are never loaded.
 *
 * @example
 * ```ts
 * import { decodeNpy, encodeNpy } from 'sparring';
 *
 * const bytes = encodeNpy({ shape: [2, 2], data: new Float32Array([1, 2, 3, 4]) });
 * const { dtype, shape, data } = decodeNpy(bytes, 'weights.npy');
 * console.log(dtype, shape, data[3]); // float32 [ 2, 2 ] 4
 * ```
 */
export function decodeNpy(bytes: Uint8Array, fileName: string): NpyArray {
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte)) {
    const first = Buffer.from(bytes.subarray(0, 6)).toString('hex');
    throw badFile(
      fileName,
      `expected a .npy file (93 N U M P Y), received ${bytes.length} bytes that begin with ${first || 'nothing'}`,
    );
  }
  const [major, minor] = [bytes[6]!, bytes[7]!];
  if (major < 1 || major > 3 || minor !== 0) {
    throw badFile(fileName, `expected .npy version 1.0, 2.0 or 3.0, received ${major}.${minor}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > mostHeader)
    throw badFile(fileName, `expected a header of at most ${mostHeader} bytes, received ${length}`);
  const begin = major === 1 ? 10 : 12;
  const end = begin + length;
  if (end > bytes.length)
    throw badFile(fileName, `expected a header of ${length} bytes, received ${bytes.length - begin} (truncated)`);

  const header = parseHeader(
    Buffer.from(bytes.subarray(begin, end)).toString(major === 3 ? 'utf8' : 'latin1'),
    fileName,
  );
  const { kind, order } = parseDescr(header.descr, fileName);
  const { shape } = header;
  const count = elementCount(shape);
  if (Number.isNaN(count))
    throw badFile(fileName, `shape: expected a countable number of elements, received ${excerpt(shape)}`);
  const fault = lengthFault(count * elementWidth[kind], bytes.length - end, `${kind} ${shapeText(shape)}`);
  if (fault !== undefined) throw badFile(fileName, fault);

  const stored = readElements(bytes.subarray(end), kind, order);
  if (kind === 'bool' && (stored as Uint8Array).some((value) => value > 1)) {
    throw badFile(fileName, 'expected booleans to be bytes 0 and 1');
  }
  const data = header.fortranOrder ? fromFortran(stored, shape) : stored;
  return { dtype: kind === 'float16' ? 'float32' : kind, shape, data } as NpyArray;
}

function descrOf(data: NpyInput['data'], name: string): string {
  if (data instanceof Float32Array) return '<f4';
  if (data instanceof Float64Array) return '<f8';
  if (data instanceof Int32Array) return '<i4';
  if (data instanceof Uint8Array) return '|u1';
  const received = (data as object | undefined)?.constructor.name;
  throw new SparringError(
    'DTYPE_MISMATCH',
    `${name}: data: expected Float32Array, Float64Array, Int32Array or Uint8Array, received ${received}`,
  );
}

function encodeArray({ shape, data }: NpyInput, name: string): Uint8Array {
  const descr = descrOf(data, name);
  const count = elementCount(shape);
  if (count !== data.length || shape.length > mostDimensions) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: expected ${count} elements for shape [${shape.join(', ')}] of at most ${mostDimensions} dimensions, received ${data.length}`,
    );
  }
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const begin = magic.length + 4;
  // The elements begin at a multiple of 64 bytes, so that numpy can map the file.
  const start = Math.ceil((begin + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start + data.byteLength).fill(0x20, begin, start);
  bytes.set([...magic, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, start - begin, true);
  bytes.set(Buffer.from(text, 'latin1'), begin);
  bytes[start - 1] = 0x0a;
  bytes.set(littleEndian(data), start);
  return bytes;
}

/**
 * An array as the bytes of a .npy file (version 1.0), which `numpy.load` reads: float32, float64, int32 or uint8 after
 * the type of `data`.
 *
 * @throws DTYPE_MISMATCH for another type of array, SHAPE_MISMATCH when the shape does not hold its elements.
 *
 * @example
 * ```ts
 * import { encodeNpy } from 'sparring';
 *
 * const bytes = encodeNpy({ shape: [3], data: new Int32Array([1, 2, 3]) });
 * console.log(bytes.length); // 140
 * ```
 */
export function encodeNpy(array: NpyInput): Uint8Array {
  return encodeArray(array, 'encodeNpy');
}

const suffix = '.npy';

/**
 * Reads the bytes of a .npz file, as `numpy.savez` and `numpy.savez_compressed` write it, into arrays by name (without
 * the `.npy`). Checksums are verified.
 *
 * @param bytes - the whole file
 * @param fileName - what errors call it
 * @throws BAD_FILE when the archive or an array in it is damaged, or a member is no array.
 *
 * @example
 * ```ts
 * import { decodeNpz, encodeNpz } from 'sparring';
 *
 * const bytes = encodeNpz({ weight: { shape: [1, 2], data: new Float32Array([0.5, 2]) } });
 * console.log(decodeNpz(bytes, 'model.npz').get('weight')?.shape); // [ 1, 2 ]
 * ```
 */
export function decodeNpz(bytes: Uint8Array, fileName: string): Map<string, NpyArray> {
  const arrays = new Map<string, NpyArray>();
  for (const [member, data] of unzip(bytes, fileName)) {
    const name = member.slice(0, -suffix.length);
    if (!member.endsWith(suffix) || isReservedName(name)) {
      throw badFile(fileName, `expected .npy members under free names, received '${member}'`);
    }
    arrays.set(name, decodeNpy(data, `${fileName}: ${member}`));
  }
  return arrays;
}

/**
 * Arrays by name as the bytes of a .npz file, which `numpy.load` reads. The same arrays always give the same bytes.
 *
 * @throws DTYPE_MISMATCH, SHAPE_MISMATCH or INVALID_ARGUMENT naming the array.
 *
 * @example
 * ```ts
 * import { decodeNpz, encodeNpz } from 'sparring';
 *
 * const bytes = encodeNpz(new Map([['labels', { shape: [2], data: new Uint8Array([7, 2]) }]]));
 * console.log(decodeNpz(bytes, 'labels.npz').get('labels')?.data); // Uint8Array(2) [ 7, 2 ]
 * ```
 */
export function encodeNpz(arrays: Named<NpyInput>): Uint8Array {
  const members: Zippable = {};
  for (const [name, array] of namedEntries(arrays)) {
    const where = `encodeNpz: '${name}'`;
    if (isReservedName(name))
      throw new SparringError('INVALID_ARGUMENT', `${where}: expected another name, this one is reserved`);
    // A fixed time, since the clock has no place in a result; ZIP cannot say an earlier one.
    members[name + suffix] = [encodeArray(array, where), { level: 0, mtime: new Date(1980, 0, 1) }];
  }
  return zipSync(members);
}
