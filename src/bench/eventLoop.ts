/** Whether Node goes on serving while a network trains or is attacked, and what that costs beside a run that blocks. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as attacks from '../adversary/index.js';
import { alphaDirection } from '../adversary/perturbations.js';
import { norms } from '../adversary/norms.js';
import { fromArrays } from '../data/dataset.js';
import * as models from '../nn/models.js';
import { cast, floor, uniform } from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { normal } from '../training/normal.js';
import { train } from '../training/train.js';
import { median } from './harness.js';
import type { Study, StudyOptions } from './study.js';
import { updatePlan } from './update.js';

/** Inputs and labels without a pattern: only their number matters here. */
function noise(count: number): [Tensor, Tensor] {
  return scope(() => [
    uniform([count, 1, 28, 28], { seed: 1 }),
    cast(floor(uniform([count], { seed: 2, high: 10 })), 'int32'),
  ]);
}

/** The delay of timers while some work is done, in ms: the median, the 99th percentile and the worst. */
async function delays(work: () => Promise<void>): Promise<Record<'p50' | 'p99' | 'max', number>> {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  monitor.enable();
  await work();
  monitor.disable();
  // The monitor's own interval is part of what it records.
  const milliseconds = (nanoseconds: number): number => Number(Math.max(0, nanoseconds / 1e6 - 1).toFixed(2));
  return {
    p50: milliseconds(monitor.percentile(50)),
    p99: milliseconds(monitor.percentile(99)),
    max: milliseconds(monitor.max),
  };
}

/** How long a plan takes off the main thread and on it, in turn, in seconds. */
async function bothWays(
  plan: { (x: Tensor, y: Tensor): Promise<unknown>; sync(x: Tensor, y: Tensor): unknown },
  [x, y]: [Tensor, Tensor],
  seconds: number,
): Promise<{ free: number; blocking: number }> {
  const taken = { free: [] as number[], blocking: [] as number[] };
  const ways = {
    free: () =>
      scope(async () => {
        await plan(x, y);
      }),
    blocking: () => scope(() => void plan.sync(x, y)),
  };
  for (const way of [ways.free, ways.blocking]) await way();
  const started = performance.now();
  do {
    for (const way of ['free', 'blocking'] as const) {
      const before = performance.now();
      await ways[way]();
      taken[way].push((performance.now() - before) / 1000);
    }
  } while (performance.now() - started < 1000 * seconds);
  return { free: median(taken.free), blocking: median(taken.blocking) };
}

/** What the delay's 99th percentile and the loss of throughput should stay below. */
const targets = { p99: 20, loss: 0.05 };

/** Measures delays and throughput; `images` is how many are attacked. */
export async function eventLoop(
  { seconds, signal, onProgress }: StudyOptions,
  { images = 10_000 }: { images?: number } = {},
): Promise<Study> {
  const rows: Study['rows'] = [];
  const findings: string[] = [];
  const nets = { mlp: () => models.mlp({ seed: 1 }), lenet: () => models.lenet({ seed: 1 }) };
  const total = 2 * Object.keys(nets).length;
  for (const [index, [net, make]] of Object.entries(nets).entries()) {
    signal?.throwIfAborted();
    onProgress?.(`training ${net}`, 2 * index, total);
    const model = make();
    const batch = noise(128);
    const data = fromArrays({
      inputs: Float32Array.from(batch[0].data() as Float32Array),
      labels: Uint8Array.from(batch[1].data() as Int32Array),
      shape: [1, 28, 28],
      classes: 10,
    });
    const training = await delays(async () => {
      const started = performance.now();
      for await (const event of train(model, data, { epochs: 1e6 })) {
        if (event.type === 'step' && performance.now() - started > 1000 * seconds) break;
      }
    });
    const update = updatePlan(model, normal());
    const step = await bothWays(update, batch, seconds);
    update.dispose();
    onProgress?.(`attacking ${images} images on ${net}`, 2 * index + 1, total);
    model.eval();
    const [x, y] = noise(images);
    const attacking = await delays(() =>
      scope(async () => {
        await attacks.advAlpha(model, x, y, { epsilon: 1.5 });
      }),
    );
    const direction = planned((inputs: Tensor, labels: Tensor) => [
      alphaDirection(model, inputs, labels, norms.l2).direction,
    ]);
    const part = noise(Math.min(500, images));
    const perturbation = await bothWays(direction, part, seconds);
    for (const [what, delay, { free, blocking }] of [
      [`training ${net}`, training, step],
      [`attacking ${images} images on ${net}`, attacking, perturbation],
    ] as const) {
      const loss = free / blocking - 1;
      rows.push({
        what,
        'delay p50 ms': delay.p50,
        'p99 ms': delay.p99,
        'worst ms': delay.max,
        'step ms': Number((1000 * free).toPrecision(4)),
        'blocking ms': Number((1000 * blocking).toPrecision(4)),
        'slower by %': Number((100 * loss).toFixed(1)),
      });
      findings.push(
        `${what}: delay ${delay.p99 < targets.p99 ? 'below' : 'NOT BELOW'} ${targets.p99} ms at the 99th percentile, ` +
          `throughput ${loss < targets.loss ? 'within' : 'NOT WITHIN'} ${100 * targets.loss} % of a run that blocks`,
      );
    }
    for (const each of [direction, model, x, y, ...batch, ...part]) each.dispose();
  }
  return { title: 'event loop', rows, findings };
}
