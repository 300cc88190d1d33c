/** Loads the engine; where that fails, says what is missing and how to get it. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { SparringError, type ErrorCode } from './errors.js';

/** What the engine tells of a new tensor. */
export interface NativeTensor {
  id: number;
  dtype: number;
  shape: number[];
}

export type Attribute = number | boolean | string | readonly number[] | undefined;
export type Attributes = Readonly<Record<string, Attribute>>;
export type NumberArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The addon's functions, as native/addon gives them. */
export interface Native {
  create(shape: readonly number[], dtype: number, data: NumberArray): NativeTensor;
  read(id: number, into: NumberArray): void;
  write(id: number, data: NumberArray): void;
  detach(id: number): NativeTensor;
  release(id: number): void;
  call(op: string, inputs: number[], attributes?: Attributes): NativeTensor[];
  watch(id: number): NativeTensor;
  pullback(
    outputs: number[],
    cotangents: number[],
    inputs: number[],
    record: boolean,
    release: boolean,
    rows?: number,
  ): NativeTensor[];
  traceBegin(types: [readonly number[], number][]): NativeTensor[];
  loopBegin(): void;
  loopLimit(rows: number[], count: number): void;
  loopEnd(): void;
  traceEnd(outputs?: number[]): number;
  planRun(plan: number, inputs: number[]): Promise<NativeTensor[]>;
  planRunSync(plan: number, inputs: number[]): NativeTensor[];
  planRelease(plan: number): void;
  planInfo(plan: number): { ops: string[]; arenaBytes: number };
  planProfile(plan: number, inputs: number[]): { op: string; seconds: number; shape: number[]; flops: number }[];
  memory(): { tensors: number; bytes: number; peakBytes: number; cachedBytes: number; allocations: number };
  trim(): void;
  threads(count?: number): number;
  machine(): { blas: string; blasCore: string; blasThreading: string; threads: number; simd: string; compiler: string };
  ops(): { name: string; differentiable: boolean; inPlace: boolean }[];
}

const binary = fileURLToPath(new URL('../build/cmake/Release/sparring.node', import.meta.url));

function load(): Native {
  try {
    return createRequire(import.meta.url)(binary) as Native;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new SparringError(
      'NATIVE_UNAVAILABLE',
      `sparring: the native engine could not be loaded (${reason}). Possible solutions:\n` +
        '  build it: npm run build\n' +
        '  install what it needs first: sudo apt-get install libopenblas-dev cmake g++ (Debian, Ubuntu), ' +
        'sudo dnf install openblas-devel cmake gcc-c++ (Fedora), brew install openblas cmake (macOS)',
      { cause },
    );
  }
}

/** Turns an error of the addon into ours, with its code. */
function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SparringError || !('code' in error)) return error;
  return new SparringError(error.code as ErrorCode, error.message, { cause: error });
}

function translated(addon: Native): Native {
  const result: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(addon) as [string, (...args: unknown[]) => unknown][]) {
    result[name] = (...args: unknown[]) => {
      try {
        const value = method(...args);
        return value instanceof Promise
          ? value.catch((error: unknown) => {
              throw fromNative(error);
            })
          : value;
      } catch (error) {
        throw fromNative(error);
      }
    };
  }
  return result as unknown as Native;
}

export const native: Native = translated(load());
