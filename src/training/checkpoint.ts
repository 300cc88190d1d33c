/** A training's state in one file: weights, the optimizer's state, and how far it got. */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import * as v from 'valibot';
import type { Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { readSafetensors, saveSafetensors } from '../io/weights.js';
import type { Module } from '../nn/module.js';
import type { Optimizer } from '../nn/optimizers.js';
import type { Schedule } from '../nn/schedules.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AverageWeights } from './average.js';
import type { BestWeights } from './best.js';
import type { CarriedPerturbations } from './carried.js';

const progressSchema = v.strictObject({
  /** The settings of the training by name, as text: another training's checkpoint is refused. */
  settings: v.record(v.string(), v.string()),
  epoch: v.number(),
  steps: v.number(),
  /** The last epoch's. */
  loss: v.number(),
  validation: v.optional(v.number(), undefined),
  best: v.optional(v.strictObject({ epoch: v.number(), worth: v.number() })),
});

/** What a checkpoint knows besides tensors. */
export type Progress = v.InferOutput<typeof progressSchema>;

/** What goes on. */
interface State {
  model: Module;
  optimizer: Optimizer;
  best: BestWeights;
  average?: AverageWeights;
  carried?: CarriedPerturbations;
}

/** A hash of the examples of a data set. */
export function contentsOf(data: Dataset): string {
  const examples = createHash('sha256');
  for (const part of [data.rows, data.labels, data.inputs])
    examples.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return examples.digest('hex').slice(0, 16);
}

/** The settings that tell one training from another, by name. */
export function identityOf(
  model: Module,
  data: Dataset,
  settings: Readonly<Record<string, unknown>>,
): Progress['settings'] {
  const { name, scale, shape, rows } = data;
  const parameters = model.namedParameters().map(([key, value]) => [`parameter ${key}`, value.shape] as const);
  const all: Record<string, unknown> = {
    data: name,
    scale,
    shape,
    examples: rows.length,
    ...settings,
    ...Object.fromEntries(parameters),
  };
  return {
    ...Object.fromEntries(Object.entries(all).map(([key, value]) => [key, JSON.stringify(value ?? null)])),
    'contents of the examples': contentsOf(data),
  };
}

/** A schedule by what it does: the factors of the quarters of the training, and a hash of those of all steps. */
export function describeSchedule(schedule: Schedule, steps: number): string {
  const factor = (step: number): string => schedule(step, steps).toPrecision(6);
  const every = createHash('sha256');
  for (let step = 0; step < steps; step++) every.update(`${factor(step)} `);
  const quarters = [0, 1, 2, 3].map((quarter) => Number(factor(Math.floor((quarter * steps) / 4))));
  return `${quarters.join(', ')}, ... (${every.digest('hex').slice(0, 8)})`;
}

const prefixed = (prefix: string, tensors: Record<string, Tensor>): [string, Tensor][] =>
  Object.entries(tensors).map(([name, value]) => [`${prefix}.${name}`, value]);

const under = (prefix: string, tensors: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(`${prefix}.`))
      .map(([name, value]) => [name.slice(prefix.length + 1), value]),
  );

/** Writes the state after an epoch, atomically. */
export async function writeCheckpoint(
  path: string,
  state: State,
  told: Omit<Progress, 'steps' | 'best'>,
): Promise<void> {
  const { optimizer, best } = state;
  const parts = Object.entries<Pick<State['best'], 'stateDict'>>({ ...state });
  const tensors = parts.flatMap(([name, part]) => prefixed(name, part.stateDict()));
  const progress: Progress = { ...told, steps: optimizer.steps, ...(best.chosen && { best: best.chosen }) };
  await saveSafetensors(path, Object.fromEntries(tensors), { metadata: { sparring: JSON.stringify(progress) } });
}

/**
 * Takes the state back, if the file exists.
 *
 * @returns How far the training got; nothing where there is no file.
 * @throws SparringError `BAD_FILE` for a file that is no checkpoint, `INVALID_ARGUMENT` for one of another training.
 */
export async function readCheckpoint(
  path: string,
  { model, optimizer, best, average, carried }: State,
  settings: Progress['settings'],
): Promise<Progress | undefined> {
  if (
    await access(path).then(
      () => false,
      () => true,
    )
  )
    return undefined;
  return scope(async () => {
    const { tensors, metadata } = await readSafetensors(path);
    let progress: Progress;
    try {
      progress = v.parse(progressSchema, JSON.parse(metadata.sparring ?? ''));
    } catch (cause) {
      throw new SparringError('BAD_FILE', `${path}: expected a checkpoint of a training, received a file without one`, {
        cause,
      });
    }
    const names = new Set([...Object.keys(settings), ...Object.keys(progress.settings)]);
    for (const name of names) {
      const [expected = 'none', received = 'none'] = [settings[name], progress.settings[name]];
      if (expected === received) continue;
      throw new SparringError(
        'INVALID_ARGUMENT',
        `train: checkpoint: expected one of this training, received ${path} of another: ${name}: expected ${expected}, received ${received}`,
      );
    }
    model.loadStateDict(under('model', tensors));
    optimizer.loadStateDict(under('optimizer', tensors));
    optimizer.steps = progress.steps;
    average?.loadStateDict(under('average', tensors));
    carried?.loadStateDict(under('carried', tensors));
    if (progress.best !== undefined) best.take(progress.best, under('best', tensors));
    return progress;
  });
}
