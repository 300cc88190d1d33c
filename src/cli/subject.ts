/** What `attack` and `evaluate` work on: a network from a file, and images that it takes. */
import type { Dataset } from '../data/dataset.js';
import { oneOf } from '../options.js';
import type { Values } from './command.js';
import { refusal } from './failure.js';
import { atMost, dataNames, load, withValidation, type DataName } from './images.js';
import { loadNetwork, type SavedNetwork } from '../training/network.js';
import { checkClip, checkLengths, type measuring } from './options.js';

/** A network and images for it. */
export interface Subject extends SavedNetwork {
  images: Dataset;
  clip: [number, number] | undefined;
  /** Both in a line: for people. */
  title: string;
}

/** Reads the network and the images, and refuses options that do not suit them. */
export async function readSubject(
  path: string,
  options: Values<typeof measuring>,
  lengths: { flag: string; values: readonly number[] },
): Promise<Subject> {
  const saved = await loadNetwork(path);
  const { input, training } = saved;
  const name = options.data ?? training.data;
  if (!dataNames.includes(name as DataName)) {
    throw refusal(`--data: ${oneOf(name, dataNames)}, which ${path} was trained on`);
  }
  const published = await load(name as DataName, { dir: options.dataDir, scale: input.scale });
  const images = atMost(withValidation(published, training.seed)[options.split], options.limit);
  if (images.shape.join() !== input.shape.join()) {
    throw refusal(
      `--data: expected images of ${input.shape.join('x')}, as ${path} takes, received ${name} of ${images.shape.join('x')}`,
    );
  }
  checkLengths(lengths.flag, lengths.values, options.norm, images);
  const clip = checkClip(options.clip, images);
  const clipping = clip === undefined ? 'not clipped' : `clipped to ${clip.join(' to ')}`;
  const title = `${path}: ${saved.model} trained by ${training.method} on ${training.data}\n${images.rows.length} ${options.split} images of ${name}, ${clipping}\n`;
  return { ...saved, images, clip, title };
}
