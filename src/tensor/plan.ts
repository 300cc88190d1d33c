/** Plans: a function of tensors, traced once for each combination of shapes and replayed natively. */
import { SparringError } from '../errors.js';
import { native, type NativeTensor } from '../native.js';
import { differentiation } from './differentiation.js';
import { slice } from './ops.js';
import { scope } from './scope.js';
import { Tensor, dtypeCode, idOf } from './tensor.js';

/** What a planned function gives: tensors in an array or under names. */
export type PlanOutputs = readonly Tensor[] | Readonly<Record<string, Tensor>>;

/** What an op of a plan took. */
export interface PlanStep {
  op: string;
  seconds: number;
  /** The shape of what it made. */
  shape: number[];
  /** Floating-point operations of its matrix products; 0 for other ops. */
  flops: number;
}

/** A function of tensors that runs as a plan. */
export interface Planned<A extends readonly Tensor[], R extends PlanOutputs> {
  /** Runs it off the main thread. */
  (...inputs: A): Promise<R>;
  /** Runs it on this thread, for small work where a round trip to another thread would dominate. */
  sync(...inputs: A): R;
  /** Its ops in order and the bytes of its buffers, for these inputs. */
  inspect(...inputs: A): { ops: string[]; arenaBytes: number };
  /** Runs it on this thread and tells of each op, in order, what it took. */
  profile(...inputs: A): PlanStep[];
  /** Frees its plans. */
  dispose(): void;
}

/** A traced function: its number, the names of its outputs if they have names, its last run, and how many wait for that. */
interface Plan {
  plan: number;
  names: string[] | undefined;
  last: Promise<unknown>;
  waiting: number;
}

/** Frees a plan once no run waits for its turn. */
function release(entry: Plan): void {
  if (entry.waiting === 0) {
    native.planRelease(entry.plan);
    return;
  }
  const again = (): void => release(entry);
  entry.last.then(again, again);
}

const plansKept = 8;

let tracing = false;

function trace(fn: (...inputs: Tensor[]) => PlanOutputs, inputs: readonly Tensor[]): Plan {
  tracing = true;
  let made: Plan | undefined;
  try {
    scope(() => {
      const stands = native
        .traceBegin(inputs.map((input) => [input.shape, dtypeCode(input.dtype)]))
        .map((entry) => new Tensor(entry));
      const outputs = fn(...stands);
      const given: unknown = outputs;
      if (typeof given !== 'object' || given === null || given instanceof Tensor || given instanceof Promise) {
        throw new SparringError(
          'INVALID_ARGUMENT',
          'planned: expected a function that returns an array or record of tensors',
        );
      }
      const plan = native.traceEnd(Object.values(outputs).map((output) => idOf(output, 'planned')));
      made = {
        plan,
        names: Array.isArray(outputs) ? undefined : Object.keys(outputs),
        last: Promise.resolve(),
        waiting: 0,
      };
    });
  } finally {
    if (made === undefined) native.traceEnd();
    tracing = false;
  }
  return made!;
}

/**
 * Repeats `body` for the rows that `find` gives, until it gives none: a loop whose length the numbers decide, which a plan
 * runs too. Work that only some examples need is done for those only.
 *
 * @param find - Gives tensors [R, ...] and, int32 [], how many of their rows are meant. It must come to give 0.
 * @param body - What is done with these tensors, cut to that many rows: row by row, each result with a row for each. What
 * is to outlast the repetition is written in place.
 */
export function whileRows<const R extends readonly Tensor[]>(
  find: () => { rows: R; count: Tensor },
  body: (...rows: R) => void,
): void {
  if (tracing) {
    native.loopBegin();
    const { rows, count } = find();
    native.loopLimit(
      rows.map((each) => each.id),
      count.id,
    );
    body(...rows);
    native.loopEnd();
    return;
  }
  const round = (): boolean =>
    scope(() => {
      const { rows, count } = find();
      const length = count.item();
      if (length > 0) body(...(rows.map((each) => slice(each, [0], [length])) as unknown as R));
      return length > 0;
    });
  while (round());
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
export function planned<A extends readonly Tensor[], R extends PlanOutputs>(fn: (...inputs: A) => R): Planned<A, R> {
  const plans = new Map<string, Plan>();
  const find = (inputs: readonly Tensor[]): Plan => {
    if (tracing)
      throw new SparringError('NOT_TRACEABLE', 'planned: a planned function cannot be called while another is traced');
    if (differentiation.depth > 0) {
      throw new SparringError(
        'NOT_TRACEABLE',
        'planned: a planned function has no derivative, and cannot be called inside a function that is being ' +
          'differentiated; call the function itself there, or differentiate inside the planned function',
      );
    }
    for (const input of inputs) idOf(input, 'planned');
    const key = inputs.map((input) => `${input.dtype}[${input.shape.join()}]`).join();
    const entry = plans.get(key) ?? trace(fn as unknown as (...inputs: Tensor[]) => PlanOutputs, inputs);
    // The least recently used goes first when there are too many.
    plans.delete(key);
    plans.set(key, entry);
    if (plans.size > plansKept) {
      const [oldest, left] = plans.entries().next().value!;
      plans.delete(oldest);
      release(left);
    }
    return entry;
  };
  const wrap = (made: NativeTensor[], { names }: Plan): R => {
    const tensors = made.map((entry) => new Tensor(entry));
    return (
      names === undefined ? tensors : Object.fromEntries(names.map((name, index) => [name, tensors[index]!]))
    ) as R;
  };
  const ids = (inputs: readonly Tensor[]): number[] => inputs.map((input) => input.id);
  const run = async (...inputs: A): Promise<R> => {
    const entry = find(inputs);
    // Handles of its own: the caller may dispose of the inputs while the run waits for its turn.
    const held = ids(inputs).map((id) => native.detach(id).id);
    const start = (): Promise<NativeTensor[]> => {
      entry.waiting--;
      try {
        return native.planRun(entry.plan, held);
      } finally {
        held.forEach((id) => native.release(id));
      }
    };
    // A plan has one set of buffers: its runs follow one another.
    entry.waiting++;
    const result = entry.last.then(start, start);
    entry.last = result;
    return wrap(await result, entry);
  };
  return Object.assign(run, {
    sync: (...inputs: A) => {
      const entry = find(inputs);
      return wrap(native.planRunSync(entry.plan, ids(inputs)), entry);
    },
    profile: (...inputs: A) => native.planProfile(find(inputs).plan, ids(inputs)),
    inspect: (...inputs: A) => native.planInfo(find(inputs).plan),
    dispose: () => {
      for (const entry of plans.values()) release(entry);
      plans.clear();
    },
  });
}
