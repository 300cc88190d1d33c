/** Tensors in files: safetensors both ways, and NumPy's archives read. */
import { SparringError } from '../errors.js';
import { tensor, type DType, type Tensor } from '../tensor/tensor.js';
import { writeFileAtomic } from './atomic.js';
import { decodeNpz } from './npz.js';
import { readBytes } from './read.js';
import { decodeSafetensors, encodeSafetensors, type SafetensorsDtype, type SafetensorsEntry } from './safetensors.js';

const stored: Record<DType, SafetensorsDtype> = { float32: 'F32', float64: 'F64', int32: 'I32', uint8: 'U8' };

/** Whole numbers of 64 bits as int32, which is what the engine counts in. */
function narrowed(data: BigInt64Array, name: string, path: string): Int32Array {
  return Int32Array.from(data, (value) => {
    if (BigInt.asIntN(32, value) !== value) {
      throw new SparringError('BAD_FILE', `${path}: '${name}': expected whole numbers of 32 bits, received ${value}`);
    }
    return Number(value);
  });
}

/**
 * Writes named tensors as a safetensors file, atomically.
 *
 * @param path - The file.
 * @param tensors - Tensors by name, a module's `stateDict()` for one.
 * @param options - `metadata`: free text to store beside them.
 * @throws SparringError `WRITE_FAILED` when the file cannot be written; what stood there before is untouched.
 *
 * @example
 * ```ts
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { loadSafetensors, models, saveSafetensors } from 'sparring';
 *
 * const path = join(tmpdir(), `sparring-example-${process.pid}.safetensors`);
 * const model = models.mlp({ inputs: 4, hidden: [3], classes: 2, seed: 1 });
 * await saveSafetensors(path, model.stateDict());
 * model.loadStateDict(await loadSafetensors(path));
 * ```
 */
export async function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  { metadata = {} }: { metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const entries = Object.entries(tensors).map(([name, value]) => {
    const entry = { dtype: stored[value.dtype], shape: value.shape, data: value.data() } as unknown as SafetensorsEntry;
    return [name, entry] as const;
  });
  await writeFileAtomic(path, encodeSafetensors(new Map(entries), metadata));
}

/** The tensors of a safetensors file by name, and its free text. */
export async function readSafetensors(
  path: string,
): Promise<{ tensors: Record<string, Tensor>; metadata: Record<string, string> }> {
  const { tensors, metadata } = decodeSafetensors(await readBytes(path), path);
  const named = [...tensors].map(([name, { shape, data }]) => {
    const numbers = data instanceof BigInt64Array ? narrowed(data, name, path) : data;
    return [name, tensor(numbers, { shape })] as const;
  });
  return { tensors: Object.fromEntries(named), metadata };
}

/**
 * The tensors of a safetensors file, by name. F16 and BF16 are widened to float32, I64 narrowed to int32.
 *
 * @throws SparringError `NOT_FOUND`, or `BAD_FILE` saying what is wrong with the file.
 */
export async function loadSafetensors(path: string): Promise<Record<string, Tensor>> {
  return (await readSafetensors(path)).tensors;
}

/**
 * The arrays of a NumPy archive (`numpy.savez`) as tensors, by name: floats as they are (float16 as float32), integers
 * as int32 or uint8.
 *
 * @throws SparringError `NOT_FOUND`, or `BAD_FILE` saying what is wrong with the file.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { encodeNpz, loadNpz } from 'sparring';
 *
 * const path = join(tmpdir(), `sparring-example-${process.pid}.npz`);
 * await writeFile(path, encodeNpz({ x: { shape: [2], data: Float32Array.of(1, 2) } }));
 * console.log((await loadNpz(path)).x.toArray()); // [1, 2]
 * ```
 */
export async function loadNpz(path: string): Promise<Record<string, Tensor>> {
  const arrays = decodeNpz(await readBytes(path), path);
  const named = [...arrays].map(([name, { shape, data }]) => {
    if (data instanceof BigInt64Array) return [name, tensor(narrowed(data, name, path), { shape })] as const;
    const known =
      data instanceof Float32Array ||
      data instanceof Float64Array ||
      data instanceof Int32Array ||
      data instanceof Uint8Array;
    return [name, tensor(known ? data : Int32Array.from(data), { shape })] as const;
  });
  return Object.fromEntries(named);
}
