/** Plans: a function of tensors, traced once for each combination of shapes and replayed natively. */
import { SparringError } from '../errors.js';
import { native, type NativeTensor } from '../native.js';
import { scope } from './scope.js';
import { Tensor, dtypeCode } from './tensor.js';

/** A function of tensors that runs as a plan. */
export interface Planned<A extends readonly Tensor[]> {
  /** Runs it off the main thread. */
  (...inputs: A): Promise<Tensor[]>;
  /** Runs it on this thread, for small work where a round trip to another thread would dominate. */
  sync(...inputs: A): Tensor[];
  /** Its ops in order and the bytes of its buffers, for these inputs. */
  inspect(...inputs: A): { ops: string[]; arenaBytes: number };
  /** Frees its plans. */
  dispose(): void;
}

const plansKept = 8;

let tracing = false;

function trace(fn: (...inputs: Tensor[]) => Tensor[], inputs: readonly Tensor[]): number {
  if (tracing) throw new SparringError('NOT_TRACEABLE', 'planned: a planned function cannot be called while another is traced');
  tracing = true;
  let plan: number | undefined;
  try {
    scope(() => {
      const stands = native.traceBegin(inputs.map((input) => [input.shape, dtypeCode(input.dtype)])).map((made) => new Tensor(made));
      const outputs = fn(...stands);
      plan = native.traceEnd(outputs.map((output) => output.id));
    });
  } finally {
    if (plan === undefined) native.traceEnd();
    tracing = false;
  }
  return plan!;
}

/**
 * Makes a function of tensors run as a plan: at the first call with given shapes it is traced, that is, its ops are
 * written down without being run, and buffers are assigned; each call then replays them natively, off the main thread,
 * bit for bit as the eager ops would. Tensors that the function uses without receiving them (weights, constants) are
 * captured: the plan sees their present numbers. What it does besides calling ops happens at the trace only, and it
 * cannot read a tensor's numbers.
 *
 * @example
 * ```ts
 * import { add, mul, planned, tensor } from 'sparring';
 *
 * const f = planned((x, y) => [add(mul(x, x), y)]);
 * const [z] = await f(tensor([1, 2, 3]), tensor([1, 1, 1]));
 * console.log(z.toArray()); // [2, 5, 10]
 * f.dispose();
 * ```
 */
export function planned<A extends readonly Tensor[]>(fn: (...inputs: A) => Tensor[]): Planned<A> {
  const plans = new Map<string, { plan: number; last: Promise<unknown> }>();
  const find = (inputs: readonly Tensor[]): { plan: number; last: Promise<unknown> } => {
    const key = inputs.map((input) => `${input.dtype}[${input.shape.join()}]`).join();
    let entry = plans.get(key);
    entry ??= { plan: trace(fn as unknown as (...inputs: Tensor[]) => Tensor[], inputs), last: Promise.resolve() };
    // The least recently used goes first when there are too many.
    plans.delete(key);
    plans.set(key, entry);
    if (plans.size > plansKept) {
      const [oldest, { plan }] = plans.entries().next().value!;
      plans.delete(oldest);
      native.planRelease(plan);
    }
    return entry;
  };
  const wrap = (made: NativeTensor[]): Tensor[] => made.map((entry) => new Tensor(entry));
  const ids = (inputs: readonly Tensor[]): number[] => inputs.map((input) => input.id);
  const run = (...inputs: A): Promise<Tensor[]> => {
    const entry = find(inputs);
    const given = ids(inputs);
    // A plan has one set of buffers: its runs follow one another.
    const result = entry.last.then(
      () => native.planRun(entry.plan, given),
      () => native.planRun(entry.plan, given),
    );
    entry.last = result;
    return result.then(wrap);
  };
  return Object.assign(run, {
    sync: (...inputs: A) => wrap(native.planRunSync(find(inputs).plan, ids(inputs))),
    inspect: (...inputs: A) => native.planInfo(find(inputs).plan),
    dispose: () => {
      for (const { plan } of plans.values()) native.planRelease(plan);
      plans.clear();
    },
  });
}
