/** Whether steps that are all alike go on asking for memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as models from '../nn/models.js';
import { native } from '../native.js';
import { add, mul, sum, uniform, zeros } from '../tensor/ops.js';
import { memory, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { normal } from '../training/normal.js';
import type { Study, StudyOptions } from './study.js';
import { updatePlan } from './update.js';

/** Collects garbage: until then the heap holds what is long forgotten, and grows as it pleases. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

const megabytes = (bytes: number): number => Number((bytes / 1e6).toFixed(2));

/**
 * By how many bytes the process may differ in the end and still be called as large: code is compiled, and pages are given and
 * taken, whatever the steps do. A kilobyte a step would be more.
 */
const allowances = { objects: 5e5, outside: 4e6 };

/**
 * Runs small steps, planned and eager; what the engine holds after the first and after the last, and what the process does
 * in the middle and at the end: JavaScript's objects once garbage is collected, and memory outside its heap.
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
  const collect = collector();
  const engine = (): Record<'tensors' | 'bytes' | 'allocations', number> => {
    const { tensors, bytes, allocations } = memory();
    return { tensors, bytes, allocations };
  };
  const resident = (): Record<'objects' | 'outside', number> => {
    collect();
    const { rss, heapTotal, heapUsed } = process.memoryUsage();
    return { objects: heapUsed, outside: rss - heapTotal };
  };
  for (const [index, [way, step]] of Object.entries(ways).entries()) {
    onProgress?.(way, index, Object.keys(ways).length);
    native.trim();
    await step();
    const first = engine();
    let settled = resident();
    for (let at = 1; at < steps; at++) {
      if (at % 100 === 0) signal?.throwIfAborted();
      await step();
      if (at === Math.ceil(steps / 2)) settled = resident();
    }
    const [last, end] = [engine(), resident()];
    rows.push({
      step: way,
      steps,
      'tensors more': last.tensors - first.tensors,
      'bytes more': last.bytes - first.bytes,
      'asked the system': last.allocations - first.allocations,
      'objects MB more': megabytes(end.objects - settled.objects),
      'outside MB more': megabytes(end.outside - settled.outside),
    });
    const same = (['tensors', 'bytes', 'allocations'] as const).every((key) => last[key] === first[key]);
    const flat = (['objects', 'outside'] as const).every((key) => end[key] - settled[key] < allowances[key]);
    findings.push(
      `${way}: after the first step the engine ${same ? 'asks for nothing' : 'ASKS FOR MORE MEMORY'} in ${steps} steps; ` +
        `the process ${flat ? 'stays as large' : 'GROWS'}`,
    );
  }
  for (const part of [plan, model, x, y]) part.dispose();
  return { title: 'allocation', rows, findings };
}
