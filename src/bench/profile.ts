/** Where the time of a planned workload goes, op by op. */
import { native } from '../native.js';
import type { PlanStep } from '../tensor/plan.js';
import { median, type Given, type Workload } from './harness.js';

/** What the calls of an op on one shape took together. */
export interface OpCost {
  op: string;
  /** The shape of what it makes. */
  shape: number[];
  calls: number;
  seconds: number;
  /** Of the whole, between 0 and 1. */
  share: number;
  /** 10^9 floating-point operations a second, for what is made of products. */
  gflops?: number;
}

/** What a workload's plan took. */
export interface Profile {
  name: string;
  threads: number;
  runs: number;
  seconds: number;
  gflops: number;
  ops: OpCost[];
}

/** Runs of a plan as one: each op's median. */
function typical(runs: readonly (readonly PlanStep[])[]): PlanStep[] {
  return runs[0]!.map((step, at) => ({ ...step, seconds: median(runs.map((run) => run[at]!.seconds)) }));
}

/** Calls of the same op that make the same shape as one, the dearest first. */
export function costs(steps: readonly PlanStep[]): OpCost[] {
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const groups = new Map<string, PlanStep[]>();
  for (const step of steps) {
    const key = `${step.op} ${step.shape.join()}`;
    groups.set(key, [...(groups.get(key) ?? []), step]);
  }
  return [...groups.values()]
    .map((group): OpCost => {
      const seconds = group.reduce((sum, step) => sum + step.seconds, 0);
      const flops = group.reduce((sum, step) => sum + step.flops, 0);
      const { op, shape } = group[0]!;
      return {
        op,
        shape,
        calls: group.length,
        seconds,
        share: seconds / total,
        ...(flops > 0 && { gflops: flops / seconds / 1e9 }),
      };
    })
    .sort((a, b) => b.seconds - a.seconds);
}

/** Runs a workload's plan for about so many seconds and tells of its ops; undefined for a workload that is not one plan. */
export async function profile(
  { name, prepare }: Workload,
  { seconds, ...given }: Given & { seconds: number },
): Promise<Profile | undefined> {
  const { profile: once, dispose } = await prepare(given);
  try {
    if (once === undefined) return undefined;
    once();
    const runs: PlanStep[][] = [];
    const started = performance.now();
    do runs.push(once());
    while (performance.now() - started < 1000 * seconds);
    const steps = typical(runs);
    const total = steps.reduce((sum, step) => sum + step.seconds, 0);
    const flops = steps.reduce((sum, step) => sum + step.flops, 0);
    return {
      name,
      threads: native.threads(),
      runs: runs.length,
      seconds: total,
      gflops: flops / total / 1e9,
      ops: costs(steps),
    };
  } finally {
    dispose?.();
  }
}
