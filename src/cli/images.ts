/** Data sets by the names they have on the command line, and what of them a command works on. */
import { split, take, type Dataset } from '../data/dataset.js';
import { datasets, type TrainTest } from '../data/datasets.js';
import { locate, type Located } from '../data/locate.js';
import { refusal } from './failure.js';

interface Source {
  load(options: { dir?: string; scale?: number }): Promise<TrainTest>;
  /** Under which name it is looked for; none for what comes with the library. */
  located?: Parameters<typeof locate>[0];
}

const sources: Record<'mnist' | 'fashion-mnist' | 'cifar-10' | 'sample', Source> = {
  mnist: { load: datasets.mnist, located: 'mnist' },
  'fashion-mnist': { load: datasets.fashionMnist, located: 'fashionMnist' },
  'cifar-10': { load: datasets.cifar10, located: 'cifar10' },
  sample: { load: datasets.sample },
};

/** A data set's name. */
export type DataName = keyof typeof sources;

/** The names of all data sets. */
export const dataNames = Object.keys(sources) as DataName[];

/** Where a data set's files are; undefined for the one that comes with the library. */
export async function find(name: DataName, dir?: string): Promise<Located | undefined> {
  const { located } = sources[name];
  if (located !== undefined) return locate(located, { dir });
  if (dir === undefined) return undefined;
  throw refusal(`--data-dir: expected with another data set, received with ${name}, which comes with the library`);
}

/** A data set as it is published. */
export async function load(
  name: DataName,
  { dir, scale }: { dir?: string | undefined; scale?: number } = {},
): Promise<TrainTest> {
  await find(name, dir);
  return sources[name].load({ ...(dir !== undefined && { dir }), ...(scale !== undefined && { scale }) });
}

/** The parts that networks are trained, chosen and measured on. */
export interface Parts extends TrainTest {
  readonly validation: Dataset;
}

/** Sets a sixth of the training examples aside for validation, by seed: of MNIST 10,000 of 60,000, as the paper does. */
export function withValidation({ train: all, test }: TrainTest, seed: number): Parts {
  const total = all.rows.length;
  const validation = Math.floor(total / 6);
  const [train, held] = split(all, { sizes: [total - validation, validation], seed });
  return { train: train!, validation: held!, test };
}

/** The first examples, at most so many. */
export const atMost = (data: Dataset, limit: number | undefined): Dataset =>
  take(data, Math.min(limit ?? Infinity, data.rows.length));
