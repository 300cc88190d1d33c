/** The images of the experiments: which are learned from, which settings are chosen on, which are only measured. */
import { split, type Dataset } from '../data/dataset.js';
import type { datasets, TrainTest } from '../data/datasets.js';

/** Images to learn from and to validate on, drawn by the seed from the published training images, and the test images. */
export interface Images {
  train: Dataset;
  validation: Dataset;
  test: Dataset;
}

/** How many images are learned from and validated on; MNIST's are the paper's. */
const sizes = {
  mnist: [50000, 10000],
  fashionMnist: [50000, 10000],
  cifar10: [45000, 5000],
  sample: [400, 100],
} as const satisfies Record<keyof typeof datasets, readonly [number, number]>;

/** The data sets by name. */
export type DataName = keyof typeof sizes;

/** How many images of a data set are learned from. */
export const trainingSize = (data: DataName): number => sizes[data][0];

/** How many images of a data set are validated on, as people write it. */
export const imageCount = (data: DataName): string => sizes[data][1].toLocaleString('en');

/** The images of a data set, as it is published, split by a seed: views of the same arrays. */
export function imagesOf(data: DataName, { train: all, test }: TrainTest, seed: number): Images {
  const [train, validation] = split(all, { sizes: [...sizes[data]], seed });
  return { train: train!, validation: validation!, test };
}
