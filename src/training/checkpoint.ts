/** A training's state in one file: weights, the optimizer's state, and how far it got. */
import { access } from 'node:fs/promises';
import { SparringError } from '../errors.js';
import { readSafetensors, saveSafetensors } from '../io/weights.js';
import type { Module } from '../nn/module.js';
import type { Optimizer } from '../nn/optimizers.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** What a checkpoint knows besides tensors. */
interface Progress {
  /** The settings of the training: another training's checkpoint is refused. */
  settings: string;
  epoch: number;
  steps: number;
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
  model: Module,
  optimizer: Optimizer,
  progress: Progress,
): Promise<void> {
  const tensors = [...prefixed('model', model.stateDict()), ...prefixed('optimizer', optimizer.stateDict())];
  await saveSafetensors(path, Object.fromEntries(tensors), { metadata: { sparring: JSON.stringify(progress) } });
}

/**
 * Takes the state back, if the file exists.
 *
 * @returns The epoch to go on with.
 * @throws SparringError `BAD_FILE` for a file that is no checkpoint, `INVALID_ARGUMENT` for one of another training.
 */
export async function readCheckpoint(
  path: string,
  model: Module,
  optimizer: Optimizer,
  settings: string,
): Promise<number> {
  if (
    await access(path).then(
      () => false,
      () => true,
    )
  )
    return 0;
  return scope(async () => {
    const { tensors, metadata } = await readSafetensors(path);
    let progress: Progress;
    try {
      progress = JSON.parse(metadata.sparring ?? '') as Progress;
    } catch (cause) {
      throw new SparringError('BAD_FILE', `${path}: expected a checkpoint of a training, received a file without one`, {
        cause,
      });
    }
    if (progress.settings !== settings) {
      throw new SparringError(
        'INVALID_ARGUMENT',
        `train: checkpoint: expected one of this training (${settings}), received ${path} of another (${progress.settings})`,
      );
    }
    model.loadStateDict(under('model', tensors));
    optimizer.loadStateDict(under('optimizer', tensors));
    optimizer.steps = progress.steps;
    return progress.epoch;
  });
}
