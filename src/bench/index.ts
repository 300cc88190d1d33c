/** The benchmark suites, by subject. */
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import { convolutions } from './convolutions.js';
import { time, type Timing, type Workload } from './harness.js';
import { networks } from './networks.js';
import { products } from './products.js';

/** The suites by subject. */
export const suites: Readonly<Record<string, readonly Workload[]>> = { products, convolutions, networks };

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
  signal?: AbortSignal;
  onResult?: (name: string, timing: Timing) => void;
}

/** Times workloads one after the other. */
export async function bench({ only = [], seconds = 1, signal, onResult }: BenchOptions = {}): Promise<BenchResult> {
  const all = Object.entries(suites).flatMap(([suite, workloads]) =>
    workloads.map((workload) => ({ suite, workload })),
  );
  const wanted = (wish: string) =>
    all.filter(({ suite, workload }) => suite === wish || workload.name.startsWith(wish));
  for (const wish of only) {
    if (wanted(wish).length === 0) {
      throw new SparringError(
        'INVALID_ARGUMENT',
        `bench: ${oneOf(wish, [...Object.keys(suites), ...all.map(({ workload }) => workload.name)])}`,
      );
    }
  }
  const chosen = only.length === 0 ? all : all.filter((entry) => only.some((wish) => wanted(wish).includes(entry)));
  const workloads: Record<string, Timing> = {};
  for (const { workload } of chosen) {
    signal?.throwIfAborted();
    workloads[workload.name] = await time(workload, { seconds });
    onResult?.(workload.name, workloads[workload.name]!);
  }
  return { meta: environment(), workloads };
}
