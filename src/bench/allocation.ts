/** Whether steps that are all alike go on asking for memory. */
import * as models from '../nn/models.js';
import { collectGarbage, median } from './harness.js';
import { native } from '../native.js';
import { add, mul, sum, uniform, zeros } from '../tensor/ops.js';
import { memory, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { normal } from '../training/normal.js';
import type { Study, StudyOptions } from './study.js';
import { updatePlan } from './update.js';

/**
 * By how many bytes a step the process may grow and still be called as large. Code is compiled, and pages are given and taken,
 * whatever the steps do: that comes and goes, so the growth of a step is the median over stretches of the run.
 */
const allowances = { objects: 200, outside: 1000 };

/** How many stretches are compared; what comes before them is warming up, as long as one of them. */
const stretches = 4;

/**
 * Runs small steps, planned and eager; what the engine holds after the first and after the last, and by how much the
 * process grows meanwhile: JavaScript's objects once garbage is collected, and memory outside its heap.
 */
export async function allocation(
  { signal, onProgress }: StudyOptions,
  { steps = 10_000 }: { steps?: number } = {},
): Promise<Study> {
  const model = models.mlp({ inputs: 16, hidden: [32], classes: 4, seed: 1 });
  const [x, y] = scope((): [Tensor, Tensor] => [uniform([8, 16], { seed: 1 }), zeros([8], { dtype: 'int32' })]);
  const plan = updatePlan(model, normal());
  const ways = {
    'planned, off the main thread': () =>
      scope(async () => {
        await plan(x, y);
      }),
    'planned, blocking': () => scope(() => void plan.sync(x, y)),
    'eager, in a scope': () => scope(() => void sum(add(mul(x, x), x))),
  };
  const rows: Study['rows'] = [];
  const findings: string[] = [];
  const engine = (): Record<'tensors' | 'bytes' | 'allocations', number> => {
    const { tensors, bytes, allocations } = memory();
    return { tensors, bytes, allocations };
  };
  const resident = (): Record<keyof typeof allowances, number> => {
    collectGarbage();
    const { rss, heapTotal, heapUsed } = process.memoryUsage();
    return { objects: heapUsed, outside: rss - heapTotal };
  };
  for (const [index, [way, step]] of Object.entries(ways).entries()) {
    onProgress?.(way, index, Object.keys(ways).length);
    native.trim();
    await step();
    const first = engine();
    const sizes: ReturnType<typeof resident>[] = [];
    const stretch = Math.ceil(steps / (stretches + 1));
    for (let at = 1; at < steps; at++) {
      if (at % 100 === 0) signal?.throwIfAborted();
      await step();
      if (at % stretch === 0) sizes.push(resident());
    }
    const last = engine();
    sizes.push(resident());
    const growth = (of: keyof typeof allowances): number =>
      median(sizes.slice(1).map((size, index) => (size[of] - sizes[index]![of]) / stretch));
    const grown = { objects: growth('objects'), outside: growth('outside') };
    rows.push({
      step: way,
      steps,
      'tensors more': last.tensors - first.tensors,
      'bytes more': last.bytes - first.bytes,
      'asked the system': last.allocations - first.allocations,
      'objects, bytes a step': Math.round(grown.objects),
      'outside, bytes a step': Math.round(grown.outside),
    });
    const same = (['tensors', 'bytes', 'allocations'] as const).every((key) => last[key] === first[key]);
    const flat = (['objects', 'outside'] as const).every((key) => grown[key] < allowances[key]);
    findings.push(
      `${way}: after the first step the engine ${same ? 'asks for nothing' : 'ASKS FOR MORE MEMORY'} in ${steps} steps; ` +
        `the process ${flat ? 'stays as large' : 'GROWS'}`,
    );
  }
  for (const part of [plan, model, x, y]) part.dispose();
  return { title: 'allocation', rows, findings };
}
