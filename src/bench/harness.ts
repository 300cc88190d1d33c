/** Times workloads with the `benchmark` library and gives medians, in the form that the peers' programs print. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import Benchmark from 'benchmark';
import type { PlanStep } from '../tensor/plan.js';

/** Something to time. */
export interface Workload {
  /** The same name as in other systems' programs for this work, so that figures stand side by side. */
  name: string;
  /** Examples, where it makes sense to divide by them. */
  items?: number;
  /** Floating-point operations of the matrix products and convolutions that the work needs. */
  flops?: number;
  /** Whether a repetition takes minutes: then it is timed only when asked for. */
  isLong?: boolean;
  /** Makes what is needed; gives one repetition, which may be asynchronous, and what to free afterwards. */
  prepare: (given: Given) => Promise<Prepared> | Prepared;
}

/** What a workload need not make itself. */
export interface Given {
  /** A folder with trained networks, `mlp.safetensors` and `lenet.safetensors`. */
  networks?: string | undefined;
}

/** A workload that is ready to run. */
export interface Prepared {
  run: () => unknown;
  /** Runs the plan that the repetitions are made of, and tells of its ops; none where they are more than one plan. */
  profile?: () => PlanStep[];
  dispose?: () => void;
}

/** What a workload took. */
export interface Timing {
  median_s: number;
  min_s: number;
  reps: number;
  items?: number;
  per_item?: number;
  gflops?: number;
}

/** The middle one of some numbers, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function measure(name: string, run: () => unknown, seconds: number, minSamples: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark(name, {
      defer: true,
      maxTime: seconds,
      minSamples,
      fn: (deferred: { resolve(): void }) => {
        Promise.resolve(run()).then(() => deferred.resolve(), reject);
      },
    });
    benchmark.on('complete', () => {
      resolve([...(benchmark.stats.sample as number[])].sort((a, b) => a - b));
    });
    benchmark.on('error', () => reject(benchmark.error));
    benchmark.run({ async: true });
  });
}

let collect: (() => void) | undefined;

/** Collects JavaScript's garbage: until then the heap holds what is long forgotten, and grows as it pleases. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  collect ??= runInNewContext('gc') as () => void;
  collect();
}

/** Milliseconds that a workload runs before it is timed. */
const warmUp = 500;

/** Warms a workload up and times it for about `seconds`. */
export async function time(
  { name, items, flops, prepare }: Workload,
  { seconds, ...given }: Given & { seconds: number },
): Promise<Timing> {
  const { run, dispose } = await prepare(given);
  try {
    // Or V8 would clear up after what was prepared, on threads of its own, while the repetitions are timed.
    collectGarbage();
    const started = performance.now();
    const passed = (): number => performance.now() - started;
    await run();
    const first = passed();
    for (let warm = 1; (warm < 3 && passed() < 1000) || passed() < warmUp; warm++) await run();
    // What takes long is not disturbed by what is short, and rounds repeat it anyway.
    const samples = await measure(name, run, seconds, first > 10_000 * seconds ? 1 : 3);
    const typical = median(samples);
    return {
      median_s: typical,
      min_s: samples[0]!,
      reps: samples.length,
      ...(items && { items, per_item: typical / items }),
      ...(flops && { gflops: flops / typical / 1e9 }),
    };
  } finally {
    dispose?.();
  }
}
