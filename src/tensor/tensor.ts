/// <reference lib="esnext.disposable" preserve="true" />
import { SparringError } from '../errors.js';
import { native, type NativeTensor, type NumberArray } from '../native.js';

/** The kinds of number a tensor holds. */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8';

/** Numbers in nested arrays, as deep as a tensor has axes. */
export type NestedNumbers = number | readonly NestedNumbers[];

const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'uint8'];
const mostAxes = 8;
const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };

let created: (tensor: Tensor) => void = () => undefined;
/** Has every new tensor reported: the scopes' way to know what to free. */
export function onCreate(report: (tensor: Tensor) => void): void {
  created = report;
}

/** Frees what a program lost without disposing; only a net, since the collector does not see native memory. */
const lost = new FinalizationRegistry<{ id: number }>((handle) => {
  native.release(handle.id);
});

/**
 * A dense array of numbers in native memory. Its numbers do not change, except those of a module's parameters while it
 * is trained. Made by {@link tensor} and by the ops; freed by {@link Tensor.dispose}, by a {@link scope}, or at the
 * latest when it is collected.
 */
export class Tensor {
  /** The lengths of its axes; `[]` for a single number. */
  readonly shape: readonly number[];
  /** What kind of number it holds. */
  readonly dtype: DType;
  readonly #handle: { id: number };
  #disposed = false;

  /** @internal */
  constructor(made: NativeTensor) {
    if (typeof (made as NativeTensor | undefined)?.id !== 'number')
      throw new SparringError('INVALID_ARGUMENT', 'Tensor: expected to be made by tensor(values) or an op');
    this.shape = made.shape;
    this.dtype = dtypes[made.dtype]!;
    this.#handle = { id: made.id };
    lost.register(this, this.#handle, this.#handle);
    created(this);
  }

  /** How many numbers it holds. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** Whether it has been disposed. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** @internal The engine's number for it. */
  get id(): number {
    return this.idFor('tensor');
  }

  /** @internal The same, for a call of this name. */
  idFor(call: string): number {
    if (this.#disposed) {
      const shape = this.shape.join(',');
      throw new SparringError(
        'DISPOSED',
        `${call}: expected a live tensor, received one of shape [${shape}] that has been disposed`,
      );
    }
    return this.#handle.id;
  }

  /** @internal Puts another handle in this one's place; the handle that was there. */
  exchange(id: number): number {
    const before = this.id;
    this.#handle.id = id;
    return before;
  }

  /** A copy of the numbers, row-major. */
  data(): NumberArray {
    const numbers = new arrays[this.dtype](this.size);
    native.read(this.id, numbers);
    return numbers;
  }

  /** The numbers in nested arrays; a single number for shape `[]`. */
  toArray(): NestedNumbers {
    const numbers = this.data();
    let at = 0;
    const nest = (axis: number): NestedNumbers =>
      axis === this.shape.length ? numbers[at++]! : Array.from({ length: this.shape[axis]! }, () => nest(axis + 1));
    return nest(0);
  }

  /**
   * The number of a tensor that holds just one.
   *
   * @throws SparringError `SHAPE_MISMATCH` when it holds more or fewer.
   */
  item(): number {
    if (this.size !== 1) {
      throw new SparringError(
        'SHAPE_MISMATCH',
        `item: expected a tensor of one number, received shape [${this.shape.join(',')}]`,
      );
    }
    return this.data()[0]!;
  }

  /** Frees its memory now. Again does nothing; any other use afterwards is an error. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    lost.unregister(this.#handle);
    native.release(this.#handle.id);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A short description for logs. */
  toString(): string {
    return `Tensor(${this.dtype} [${this.shape.join(',')}])`;
  }
}

/** @internal The engine's number for what a call of this name received as a tensor. */
export function idOf(value: unknown, call: string): number {
  if (value instanceof Tensor) return value.idFor(call);
  throw new SparringError(
    'INVALID_ARGUMENT',
    `${call}: expected a tensor, received ${value === null ? 'null' : typeof value}`,
  );
}

/** @internal The engine's number for a dtype. */
export function dtypeCode(dtype: DType): number {
  const code = dtypes.indexOf(dtype);
  if (code < 0)
    throw new SparringError('DTYPE_MISMATCH', `tensor: expected dtype ${dtypes.join(', ')}, received '${dtype}'`);
  return code;
}

function dtypeOf(values: unknown): DType {
  if (values instanceof Float64Array) return 'float64';
  if (values instanceof Int32Array) return 'int32';
  if (values instanceof Uint8Array) return 'uint8';
  return 'float32';
}

function flatten(values: NestedNumbers): { shape: number[]; numbers: number[] } {
  const shape: number[] = [];
  for (let level = values; Array.isArray(level); level = (level as readonly NestedNumbers[])[0]!)
    shape.push(level.length);
  const numbers: number[] = [];
  const visit = (value: NestedNumbers, axis: number): void => {
    if (Array.isArray(value) && value.length === shape[axis]) {
      for (const entry of value as readonly NestedNumbers[]) visit(entry, axis + 1);
    } else if (typeof value === 'number' && axis === shape.length) {
      numbers.push(value);
    } else {
      const received = Array.isArray(value) ? `${value.length} entries` : typeof value;
      const expected = axis < shape.length ? `${shape[axis]} entries` : 'a number';
      throw new SparringError('SHAPE_MISMATCH', `tensor: expected ${expected} at depth ${axis}, received ${received}`);
    }
  };
  visit(values, 0);
  return { shape, numbers };
}

/** The numbers as an array of a dtype, the same one if it is of it. Floats are rounded; whole numbers have to fit. */
function converted(name: string, numbers: ArrayLike<number> & Iterable<number>, dtype: DType): NumberArray {
  if (numbers instanceof arrays[dtype]) return numbers;
  const data = arrays[dtype].from(numbers);
  if (data instanceof Int32Array || data instanceof Uint8Array) {
    const bad = data.findIndex((value, index) => value !== numbers[index]);
    if (bad >= 0) {
      const [low, high] = data instanceof Uint8Array ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1];
      throw new SparringError(
        'OUT_OF_RANGE',
        `${name}: expected whole numbers of ${low} to ${high} for ${dtype}, received ${numbers[bad]} at index ${bad}`,
      );
    }
  }
  return data;
}

/** How {@link tensor} reads its values. */
export interface TensorOptions {
  /** The lengths of the axes; by default those of the nested arrays, or one axis for a typed array. */
  shape?: readonly number[];
  /** The kind of number; by default that of a typed array, else `float32`. */
  dtype?: DType;
}

/**
 * A tensor of the given numbers.
 *
 * @param values - A number, nested arrays of equal lengths, or a typed array.
 * @throws SparringError `SHAPE_MISMATCH` for ragged arrays or a shape that does not fit, `DTYPE_MISMATCH` for an unknown
 * dtype, `OUT_OF_RANGE` for a number that a dtype of whole numbers does not hold.
 *
 * @example
 * ```ts
 * import { tensor } from 'sparring';
 *
 * const x = tensor([[1, 2, 3], [4, 5, 6]]);
 * console.log(x.shape, x.dtype); // [2, 3] float32
 * const y = tensor(new Float64Array(6), { shape: [2, 3] });
 * console.log(y.dtype); // float64
 * ```
 */
export function tensor(values: NestedNumbers | NumberArray, options: TensorOptions = {}): Tensor {
  return tensorFor('tensor', values, options);
}

/** @internal {@link tensor} for a call of another name, which messages give. */
export function tensorFor(name: string, values: NestedNumbers | NumberArray, options: TensorOptions): Tensor {
  const typed = ArrayBuffer.isView(values);
  if (typed && typeof (values[0] ?? values.length) !== 'number')
    throw new SparringError('DTYPE_MISMATCH', `${name}: expected numbers, received ${values.constructor.name}`);
  const { shape, numbers } = typed ? { shape: [values.length], numbers: values } : flatten(values);
  const dtype = options.dtype ?? dtypeOf(values);
  const code = dtypeCode(dtype);
  const wanted = options.shape ?? shape;
  if (!Array.isArray(wanted))
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: shape: expected a list of whole numbers, received ${typeof wanted}`,
    );
  if (wanted.length > mostAxes) {
    throw new SparringError('SHAPE_MISMATCH', `tensor: expected at most ${mostAxes} axes, received ${wanted.length}`);
  }
  if (wanted.some((length) => !Number.isInteger(length) || length < 0)) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `tensor: expected a shape of whole numbers, received [${wanted.join(',')}]`,
    );
  }
  return new Tensor(native.create(wanted, code, converted(name, numbers, dtype)));
}
