/** Lifetimes: what a scope does not return is freed when it ends. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { native } from '../native.js';
import { Tensor, onCreate } from './tensor.js';

type Members = Set<Tensor>;

const current = new AsyncLocalStorage<Members>();
onCreate((tensor) => current.getStore()?.add(tensor));

/** Calls visit with every tensor inside a value: in arrays, maps, sets, plain objects and the fields of instances. */
function eachTensor(value: unknown, visit: (tensor: Tensor) => void, seen = new Set<unknown>()): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
  seen.add(value);
  if (value instanceof Tensor) visit(value);
  else if (value instanceof Map || value instanceof Set) for (const entry of value) eachTensor(entry, visit, seen);
  else for (const entry of Object.values(value)) eachTensor(entry, visit, seen);
}

function close(members: Members, parent: Members | undefined, result: unknown): void {
  const returned = new Set<Tensor>();
  eachTensor(result, (tensor) => returned.add(tensor));
  for (const tensor of members) {
    if (returned.has(tensor)) parent?.add(tensor);
    else tensor.dispose();
  }
}

/**
 * Runs `fn` and frees every tensor that was made inside and is not part of what it returns, also across `await`; two
 * scopes that overlap in time do not mix. When `fn` throws, all are freed.
 *
 * @param fn - A function, which may be async.
 * @returns What `fn` returns; its tensors belong to the scope around this one, if there is one.
 *
 * @example
 * ```ts
 * import { add, memory, mul, scope, tensor } from 'sparring';
 *
 * const x = tensor([1, 2, 3]);
 * const before = memory().tensors;
 * const y = scope(() => add(mul(x, x), mul(x, 2))); // the two products are freed
 * console.log(memory().tensors - before); // 1
 * console.log(y.toArray()); // [3, 8, 15]
 * ```
 */
export function scope<T>(fn: () => T): T {
  const parent = current.getStore();
  const members: Members = new Set();
  const end = (result: unknown): void => {
    close(members, parent, result);
  };
  let result: T;
  try {
    result = current.run(members, fn);
  } catch (error) {
    end(undefined);
    throw error;
  }
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => {
        end(value);
        return value;
      },
      (error: unknown) => {
        end(undefined);
        throw error;
      },
    ) as T;
  }
  end(result);
  return result;
}

/** Takes a tensor out of the scope it was made in: it then lives until it is disposed. For what a module keeps. */
export function keep<T extends Tensor>(tensor: T): T {
  current.getStore()?.delete(tensor);
  return tensor;
}

/** Native memory in use, in bytes, and how many tensors hold it. */
export interface Memory {
  /** Tensors that are alive in this thread. */
  tensors: number;
  /** Bytes in use by tensors, plans and their arenas. */
  bytes: number;
  /** The most bytes that were in use at once. */
  peakBytes: number;
  /** Freed bytes kept for the next allocation. */
  cachedBytes: number;
  /** How often the system has been asked for memory. */
  allocations: number;
}

/**
 * What the engine holds at the moment.
 *
 * @example
 * ```ts
 * import { memory, tensor } from 'sparring';
 *
 * const before = memory().tensors;
 * const x = tensor([1, 2, 3]);
 * console.log(memory().tensors - before); // 1
 * x.dispose();
 * console.log(memory().tensors - before); // 0
 * ```
 */
export function memory(): Memory {
  return native.memory();
}
