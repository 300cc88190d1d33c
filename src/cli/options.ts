/** Options that several commands share, and the checks that need to know the data. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as attacks from '../adversary/index.js';
import { norms } from '../adversary/norms.js';
import type { Dataset } from '../data/dataset.js';
import { ensureWritable, writeFailure } from '../io/atomic.js';
import { refusal } from './failure.js';
import { dataNames } from './images.js';
import { choice, either, folder, list, option, range, real, whole } from './values.js';

/** A norm's name. */
export type NormName = keyof typeof norms;

const names = <T extends string>(record: Readonly<Record<T, unknown>>): T[] => Object.keys(record) as T[];
/** The names of the attacks. */
export const attackNames = names(attacks);
/** A length of perturbations. */
export const length = real({ least: 0 });
/** What lengths of perturbations are measured in. */
export const lengthUnits = 'in the norm, of inputs scaled to 0 to 1';

/** The length of perturbations. */
export const epsilon = option(length, `length of the perturbations, ${lengthUnits}`, { fallback: 1.5 });
/** Several of them. */
export const epsilons = option(list(length), `lengths of the perturbations, ${lengthUnits}`, {
  fallback: [0.5, 1, 1.5, 2],
});
/** The norm of perturbations. */
const norm = option(choice<NormName>(names(norms)), `norm of the perturbations: ${either(names(norms))}`, {
  fallback: 'l2',
});
/** Where the data set is. */
export const dataDir = option(folder, "folder of the data set's files", {
  fallbackText: 'looked for as data/README.md says',
});

/** What a saved network is measured on, and how. */
export const measuring = {
  data: option(choice(dataNames), `data set: ${either(dataNames)}`, {
    fallbackText: 'the one the network was trained on',
  }),
  dataDir,
  split: option(choice(['test', 'validation']), 'its published test images, or the validation images of the training', {
    fallback: 'test',
  }),
  limit: option(whole({ least: 1 }), 'images to take at most, the first ones', { fallbackText: 'all' }),
  norm,
  clip: option(range, 'range that attacked inputs stay inside', { fallbackText: 'none, as in the paper' }),
  batchSize: option(whole({ least: 1 }), 'images worked on at once; changes no result', { fallback: 500 }),
};

/** Refuses lengths that would reach from any input to any other. */
export function checkLengths(
  flag: string,
  lengths: readonly number[],
  norm: NormName,
  { shape, range: [low, high] }: Dataset,
): void {
  const size = shape.reduce((product, each) => product * each, 1);
  const diameter = (high - low) * { l1: size, l2: Math.sqrt(size), linf: 1 }[norm];
  const beyond = lengths.find((each) => each > diameter);
  if (beyond === undefined) return;
  throw refusal(
    `${flag}: expected at most ${diameter}, the ${norm} diameter of inputs of ${shape.join('x')} in ${low} to ${high}, received ${beyond}`,
  );
}

/** Refuses a range that leaves valid inputs out. */
export function checkClip(
  clip: readonly number[] | undefined,
  { range: [low, high] }: Dataset,
): [number, number] | undefined {
  if (clip === undefined) return undefined;
  const [least, most] = clip as [number, number];
  if (least <= low && most >= high) return [least, most];
  throw refusal(`--clip: expected a range around that of the inputs, ${low} to ${high}, received ${least} to ${most}`);
}

/** Refuses, before the work, a file that could not be written after it. */
export async function checkWritable(path: string): Promise<void> {
  await ensureWritable(dirname(path));
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder) throw writeFailure(path, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
}
