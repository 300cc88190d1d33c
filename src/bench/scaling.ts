/** How time and memory grow with the batch, the width, the classes and the threads, beside how the arithmetic grows. */
import { lossDirection, alphaDirection } from '../adversary/perturbations.js';
import { norms } from '../adversary/norms.js';
import { native } from '../native.js';
import type { Module } from '../nn/module.js';
import * as models from '../nn/models.js';
import { cast, floor, uniform } from '../tensor/ops.js';
import { planned, type PlanOutputs, type Planned } from '../tensor/plan.js';
import { memory, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { normal } from '../training/normal.js';
import { time } from './harness.js';
import type { Study, StudyOptions } from './study.js';
import { updatePlan } from './update.js';

/** A program at one size. */
interface Setting {
  model: () => Module;
  batch: number;
  classes: number;
  program: keyof typeof programs;
  threads?: number;
}

/** One program at growing sizes. */
interface Series {
  name: string;
  of: 'batch' | 'width' | 'classes' | 'threads';
  sizes: readonly number[];
  at: (size: number) => Setting;
}

type Program = Planned<[Tensor, Tensor], PlanOutputs>;

const programs = {
  inference: (model: Module): Program => planned((x: Tensor) => [model.forward(x)]),
  training: (model: Module): Program => updatePlan(model, normal()),
  advLoss: (model: Module): Program =>
    planned((x: Tensor, y: Tensor) => [lossDirection(model, x, y, norms.l2).direction]),
  advAlpha: (model: Module): Program =>
    planned((x: Tensor, y: Tensor) => [alphaDirection(model, x, y, norms.l2).direction]),
};

const names = Object.keys(programs) as (keyof typeof programs)[];

const over = (
  of: Series['of'],
  sizes: readonly number[],
  wanted: readonly (keyof typeof programs)[],
  at: (size: number) => Omit<Setting, 'program'>,
  title: string,
): Series[] =>
  wanted.map((program) => ({ name: `${title} ${program}`, of, sizes, at: (size) => ({ ...at(size), program }) }));

/** Programs at growing sizes. */
export const allSeries: readonly Series[] = [
  ...over(
    'batch',
    [1, 4, 16, 64, 256, 1024, 4096],
    names,
    (batch) => ({ model: () => models.mlp({ hidden: [200], seed: 1 }), batch, classes: 10 }),
    'mlp',
  ),
  ...over(
    'batch',
    [1, 4, 16, 64, 256, 1024],
    ['inference', 'training', 'advAlpha'],
    (batch) => ({ model: () => models.lenet({ seed: 1 }), batch, classes: 10 }),
    'lenet',
  ),
  ...over(
    'width',
    [100, 250, 500, 1000, 2000, 4000],
    ['inference', 'training', 'advLoss'],
    (width) => ({ model: () => models.mlp({ hidden: [width, width], seed: 1 }), batch: 128, classes: 10 }),
    'mlp',
  ),
  ...over(
    'classes',
    [10, 30, 100, 300, 1000],
    names,
    (classes) => ({ model: () => models.mlp({ hidden: [200], classes, seed: 1 }), batch: 16, classes }),
    'mlp',
  ),
  ...over(
    'threads',
    [1, 2],
    ['training', 'advAlpha'],
    (threads) => ({ model: () => models.mlp({ seed: 1 }), batch: 128, classes: 10, threads }),
    'mlp',
  ),
];

/** The slope of the straight line through the logarithms of some points: the exponent of a power. */
export function exponent(points: readonly (readonly [x: number, y: number])[]): number {
  const logarithms = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (values: number[]): number => values.reduce((total, value) => total + value, 0) / values.length;
  const [middleX, middleY] = [mean(logarithms.map(([x]) => x)), mean(logarithms.map(([, y]) => y))];
  const covariance = mean(logarithms.map(([x, y]) => (x - middleX) * (y - middleY)));
  return covariance / mean(logarithms.map(([x]) => (x - middleX) ** 2));
}

/** What one program at one size takes. */
interface Point {
  seconds: number;
  flops: number;
  arenaBytes: number;
  peakBytes: number;
}

async function measured({ model: make, batch, classes, program, threads }: Setting, seconds: number): Promise<Point> {
  const before = native.threads();
  if (threads !== undefined) native.threads(threads);
  const model = make().eval();
  const [x, y] = scope((): [Tensor, Tensor] => [
    uniform([batch, 1, 28, 28], { seed: 1 }),
    cast(floor(uniform([batch], { seed: 2, high: classes })), 'int32'),
  ]);
  const plan = programs[program](model);
  try {
    const { arenaBytes } = plan.inspect(x, y);
    const flops = plan.profile(x, y).reduce((total, step) => total + step.flops, 0);
    const run = (): Promise<void> =>
      scope(async () => {
        await plan(x, y);
      });
    const { median_s } = await time({ name: program, prepare: () => ({ run }) }, { seconds });
    return { seconds: median_s, flops, arenaBytes, peakBytes: memory().bytes };
  } finally {
    for (const part of [plan, model, x, y]) part.dispose();
    native.trim();
    native.threads(before);
  }
}

/** By how much an exponent may lie above that of the arithmetic and still be called as fast: the noise of small times. */
const allowance = 0.1;

/** Measures series of sizes. */
export async function scaling(
  { seconds, signal, onProgress }: StudyOptions,
  series: readonly Series[] = allSeries,
): Promise<Study> {
  const total = series.reduce((count, { sizes }) => count + sizes.length, 0);
  const rows: Study['rows'] = [];
  const findings: string[] = [];
  let done = 0;
  for (const { name, of, sizes, at } of series) {
    const points: (Point & { size: number })[] = [];
    for (const size of sizes) {
      signal?.throwIfAborted();
      onProgress?.(`${name}, ${of} ${size}`, done++, total);
      points.push({ size, ...(await measured(at(size), seconds)) });
    }
    const powerOf = (value: (point: Point) => number): number =>
      exponent(points.map((point) => [point.size, value(point)]));
    const [time, arithmetic, arena] = [
      powerOf((point) => point.seconds),
      powerOf(({ flops }) => flops),
      powerOf(({ arenaBytes }) => arenaBytes),
    ];
    rows.push(
      ...points.map(({ size, seconds: taken, flops, arenaBytes, peakBytes }) => ({
        program: name,
        of,
        size,
        ms: Number((1000 * taken).toPrecision(4)),
        'GFLOP/s': Number((flops / taken / 1e9).toPrecision(3)),
        'arena MB': Number((arenaBytes / 1e6).toPrecision(3)),
        'in use MB': Number((peakBytes / 1e6).toPrecision(3)),
      })),
    );
    if (of === 'threads') {
      findings.push(
        `${name}: ${(points[0]!.seconds / points.at(-1)!.seconds).toFixed(2)} times as fast with ${sizes.at(-1)} threads`,
      );
      continue;
    }
    const verdict = time <= arithmetic + allowance ? 'no faster than' : 'FASTER THAN';
    findings.push(
      `${name}: time grows as ${of}^${time.toFixed(2)}, ${verdict} its arithmetic, ^${arithmetic.toFixed(2)}; the arena as ^${arena.toFixed(2)}`,
    );
  }
  return { title: 'scaling', rows, findings };
}
