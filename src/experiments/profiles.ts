/** What the experiments train and how long for: one profile for a first look, others for the record. */
import type { Dataset } from '../data/dataset.js';
import type * as models from '../nn/models.js';
import type { Method } from '../training/method.js';
import * as methods from '../training/methods.js';
import type { OptimizerChoice } from '../training/train.js';

/** How a network of an experiment comes about. */
export interface Recipe {
  model: keyof typeof models;
  method: Method;
  epochs: number;
  batchSize: number;
  optimizer: OptimizerChoice;
  /** About how long a step takes beside the others', to tell the time left. */
  cost: number;
}

/** A set of settings for all experiments. */
export interface Profile {
  /** How many seeds each network is trained with when nothing else is asked for. */
  seeds: number;
  recipes: readonly Recipe[];
  /** L2 length of the perturbations in the tables. */
  epsilon: number;
  /** L2 lengths of Figure 1. */
  lengths: readonly number[];
}

/** The rate falls to 0 along half a cosine. */
const sgd: OptimizerChoice = { name: 'sgd', rate: 0.1, momentum: 0.9 };

/** The profiles by name. */
export const profiles = {
  /**
   * Minutes: fewer epochs than the networks could use. LeNet's rate is the better of .05 and .1 on the validation images
   * of seed 0; the dense network's settings were not searched.
   */
  quick: {
    seeds: 1,
    recipes: [
      { model: 'mlp', method: methods.normal(), epochs: 5, batchSize: 128, optimizer: sgd, cost: 10 },
      { model: 'mlp', method: methods.lwa({ epsilon: 1.5 }), epochs: 5, batchSize: 128, optimizer: sgd, cost: 14 },
      { model: 'lenet', method: methods.normal(), epochs: 3, batchSize: 128, optimizer: sgd, cost: 17 },
    ],
    epsilon: 1.5,
    lengths: [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4],
  },
} satisfies Record<string, Profile>;

/** The paper's split: 50,000 images to learn from and 10,000 to validate on, by seed, and the official test images. */
export interface Images {
  train: Dataset;
  validation: Dataset;
  test: Dataset;
}
