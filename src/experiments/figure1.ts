import * as attacks from '../adversary/index.js';
import { accuracyCurve } from '../evaluation/curve.js';
import { take, type Dataset } from '../data/dataset.js';
import { wilson } from '../report/intervals.js';
import type { Figure, ResultRow } from '../report/results.js';
import type { Sequential } from '../nn/layers.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import { unitsOf } from './cells.js';
import { overSeeds, seedsOf, countOf, type Experiment } from './experiment.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Profile, type Recipe } from './profiles.js';

/** About how long an image of the curves takes beside a clean one. */
const curveCost = 37.5;

/** Units of work of the distances. */
const distanceUnits = 8000;

const unitsOfNetwork = ({ figure1: { images } }: Profile): number =>
  unitsOf({ cost: curveCost, first: images }) + distanceUnits;

/** How often the network is linearised anew on the way to its boundary. */
const steps = 20;

interface Measured {
  points: { epsilon: number; accuracy: Record<string, Figure> }[];
  /** The minimal lengths of the images; -1 where no boundary was found, 0 where misclassified clean. */
  distances: number[];
}

/** How far each image is from the boundary, by Algorithm 1 iterated on the logits. */
async function distancesOf(
  network: Sequential,
  data: Dataset,
  options: { signal?: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<number[]> {
  const examples = new Examples(data);
  try {
    return await scope(async () => {
      const { x, y } = examples.batch(tensor(data.rows));
      const { success, norms } = await attacks.minimal(network, x, y, {
        linearize: 'logits',
        steps,
        rows: data.rows,
        ...options,
      });
      const found = success.data();
      return Array.from(norms.data(), (length, at) => (found[at] === 0 ? -1 : length));
    });
  } finally {
    examples.dispose();
  }
}

async function measuredOf(laboratory: Laboratory, recipe: Recipe, seed: number): Promise<ResultRow[]> {
  const { lengths, bins, images, distances: count } = laboratory.profile.figure1;
  const { points, distances } = await laboratory.ofNetwork<Measured>(recipe, seed, {
    name: 'figure1',
    settings: { lengths, images, distances: count, steps, norm: 'l2' },
    units: unitsOfNetwork(laboratory.profile),
    async measure(onProgress) {
      const { network } = await laboratory.network(recipe, seed);
      const { validation } = await laboratory.images(recipe.data, seed);
      const total = images + count;
      const points = await accuracyCurve(network, take(validation, images), {
        epsilons: lengths,
        ...laboratory.signal,
        onProgress: (done) => {
          onProgress(done, total);
        },
      });
      const distances = await distancesOf(network, take(validation, count), {
        ...laboratory.signal,
        onProgress: (done) => {
          onProgress(images + done, total);
        },
      });
      return { points, distances };
    },
  });
  const far = distances.map((length) => (length < 0 ? Infinity : length));
  const curve = new Map(points.map(({ epsilon, accuracy }) => [epsilon, accuracy]));
  return [...new Set([...lengths, ...bins])]
    .sort((a, b) => a - b)
    .map((epsilon) => ({
      model: recipe.model,
      method: labelOf(recipe),
      epsilon,
      accuracy: {
        ...curve.get(epsilon),
        minimal: wilson(far.filter((length) => length > epsilon).length, far.length),
      },
    }));
}

/**
 * Figure 1 of the paper: accuracy of LeNet against the length of the perturbation, and beside the paper's three the share
 * of images that no shorter perturbation was found for by Algorithm 1, iterated: the distribution of minimal lengths.
 */
export const figure1: Experiment = {
  recipes: ({ figure1: { recipes } }) => recipes,
  units: (profile, seeds) =>
    profile.figure1.recipes.reduce((sum, recipe) => sum + countOf(recipe, seeds) * unitsOfNetwork(profile), 0),
  settings: ({ figure1: { recipes, lengths, images, distances } }) => ({
    data: recipes[0]!.data,
    norm: 'l2',
    lengths,
    clip: false,
    images: `the first ${images.toLocaleString('en')} validation images`,
    minimal: {
      attack: 'minimal',
      linearize: 'logits',
      steps,
      overshoot: 0.02,
      images: `the first ${distances} of them`,
    },
  }),
  async measure(laboratory, seeds) {
    const rows: ResultRow[] = [];
    for (const recipe of laboratory.profile.figure1.recipes) {
      const each: ResultRow[][] = [];
      for (const seed of seedsOf(recipe, seeds)) each.push(await measuredOf(laboratory, recipe, seed));
      rows.push(...each[0]!.map((_, point) => overSeeds(each.map((run) => run[point]!))));
    }
    return { rows };
  },
};
