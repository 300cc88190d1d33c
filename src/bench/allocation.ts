/** Whether steps that are all alike go on asking for memory. */
import * as models from '../nn/models.js';
import { native } from '../native.js';
import { add, mul, sum, uniform, zeros } from '../tensor/ops.js';
import { memory, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { normal } from '../training/normal.js';
import type { Study, StudyOptions } from './study.js';
import { updatePlan } from './update.js';

/** Runs small steps, planned and eager; what the engine and the process hold after the first tenth and after the last. */
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
  const state = (): Record<'tensors' | 'bytes' | 'allocations' | 'rss', number> => {
    const { tensors, bytes, allocations } = memory();
    return { tensors, bytes, allocations, rss: process.memoryUsage.rss() };
  };
  for (const [index, [way, step]] of Object.entries(ways).entries()) {
    onProgress?.(way, index, Object.keys(ways).length);
    native.trim();
    await step();
    const first = state();
    let settled = first;
    for (let at = 1; at < steps; at++) {
      if (at % 100 === 0) signal?.throwIfAborted();
      await step();
      if (at === Math.ceil(steps / 10)) settled = state();
    }
    const last = state();
    rows.push({
      step: way,
      steps,
      'tensors more': last.tensors - first.tensors,
      'bytes more': last.bytes - first.bytes,
      'asked the system': last.allocations - first.allocations,
      'process MB more': Number(((last.rss - settled.rss) / 1e6).toFixed(2)),
    });
    const flat = (['tensors', 'bytes', 'allocations'] as const).every((key) => last[key] === first[key]);
    findings.push(
      `${way}: after the first step the engine ${flat ? 'asks for nothing' : 'ASKS FOR MORE MEMORY'} in ${steps} steps`,
    );
  }
  for (const part of [plan, model, x, y]) part.dispose();
  return { title: 'allocation', rows, findings };
}
