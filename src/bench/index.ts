/** The benchmark suites, by subject. */
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import { allocation } from './allocation.js';
import { convolutions } from './convolutions.js';
import { median, time, type Timing, type Workload } from './harness.js';
import { eventLoop } from './eventLoop.js';
import { networks } from './networks.js';
import { protocol } from './protocol.js';
import { products } from './products.js';
import { scaling } from './scaling.js';
import type { Investigate } from './study.js';

/** The suites by subject. */
export const suites: Readonly<Record<string, readonly Workload[]>> = {
  products,
  convolutions,
  networks,
  protocol,
};

/** The studies by name: what takes more than timing one workload after the other. */
export const studies: Readonly<Record<string, Investigate>> = { scaling, eventLoop, allocation };

/** What a benchmark run gives: timings by workload, and where they were taken. */
export interface BenchResult {
  meta: Record<string, string | number>;
  workloads: Record<string, Timing>;
}

/** Options of {@link bench}. */
export interface BenchOptions {
  /** Suites by name, or workloads by the beginning of their names; all by default. */
  only?: readonly string[];
  /** About how long each workload is timed, 1 by default. */
  seconds?: number;
  /** How often all of them are timed in turn, 1 by default; the figures are medians over the rounds. */
  rounds?: number;
  /** A folder with trained `mlp.safetensors` and `lenet.safetensors`; by default those that need them train them first. */
  networks?: string | undefined;
  signal?: AbortSignal;
  onResult?: (name: string, timing: Timing) => void;
}

/**
 * The workloads of some suites, of some names, or whose names begin so; without a wish all that do not take minutes.
 *
 * @throws SparringError `INVALID_ARGUMENT` for a wish that fits none.
 */
export function chosen(only: readonly string[] = []): Workload[] {
  const all = Object.entries(suites).flatMap(([suite, workloads]) =>
    workloads.map((workload) => ({ suite, workload })),
  );
  if (only.length === 0) return all.map(({ workload }) => workload).filter(({ isLong = false }) => !isLong);
  const whole = new Set(all.map(({ workload }) => workload.name));
  const fits = (wish: string) => (entry: (typeof all)[number]) =>
    entry.suite === wish || (whole.has(wish) ? entry.workload.name === wish : entry.workload.name.startsWith(wish));
  const stray = only.find((wish) => !all.some(fits(wish)));
  if (stray !== undefined) {
    const names = [...Object.keys(suites), ...all.map(({ workload }) => workload.name)];
    throw new SparringError('INVALID_ARGUMENT', `bench: ${oneOf(stray, names)}`);
  }
  return all.filter((entry) => only.some((wish) => fits(wish)(entry))).map(({ workload }) => workload);
}

/** One timing of several: the median of the medians, the least of all. */
function overRounds(timings: readonly Timing[]): Timing {
  const typical = median(timings.map(({ median_s }) => median_s));
  const { items, gflops, median_s } = timings[0]!;
  return {
    median_s: typical,
    min_s: Math.min(...timings.map(({ min_s }) => min_s)),
    reps: timings.reduce((total, { reps }) => total + reps, 0),
    ...(items !== undefined && { items, per_item: typical / items }),
    ...(gflops !== undefined && { gflops: (gflops * median_s) / typical }),
  };
}

/** Times workloads one after the other. */
export async function bench({
  only,
  seconds = 1,
  rounds = 1,
  networks,
  signal,
  onResult,
}: BenchOptions = {}): Promise<BenchResult> {
  const timings = new Map<string, Timing[]>();
  for (let round = 0; round < rounds; round++) {
    for (const workload of chosen(only)) {
      signal?.throwIfAborted();
      const timing = await time(workload, { seconds, networks });
      timings.set(workload.name, [...(timings.get(workload.name) ?? []), timing]);
      onResult?.(workload.name, timing);
    }
  }
  const workloads = Object.fromEntries([...timings].map(([name, each]) => [name, overRounds(each)]));
  return { meta: environment(), workloads };
}
