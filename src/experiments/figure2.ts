import { accuracyCurve } from '../evaluation/curve.js';
import { take } from '../data/dataset.js';
import type { Figure, ResultRow } from '../report/results.js';
import { countOf, overSeeds, seedsOf, type Experiment } from './experiment.js';
import { labelOf, type Profile } from './profiles.js';

/** Units of work of one epoch's attacks on a thousand images. */
const unitsOfThousand = 1500;

const unitsOfEpoch = ({ figure2: { images } }: Profile): number => (images / 1000) * unitsOfThousand;

/** Figure 2 of the paper: learning curves of Table 2's networks, clean and under its three perturbations. */
export const figure2: Experiment = {
  recipes: ({ table2: { recipes } }) => recipes,
  units: (profile, seeds) =>
    profile.table2.recipes.reduce(
      (sum, recipe) => sum + countOf(recipe, seeds) * recipe.epochs * unitsOfEpoch(profile),
      0,
    ),
  settings: ({ table2: { recipes, epsilon }, figure2: { images } }) => ({
    data: recipes[0]!.data,
    norm: 'l2',
    epsilon,
    clip: false,
    images: `the first ${images} validation images, after each epoch`,
  }),
  prepare(laboratory, seeds) {
    const { table2, figure2 } = laboratory.profile;
    const { epsilon } = table2;
    for (const recipe of table2.recipes) {
      for (const seed of seedsOf(recipe, seeds)) {
        laboratory.follow<Record<string, Figure>>(recipe, seed, {
          settings: { epsilon, images: figure2.images, norm: 'l2' },
          units: unitsOfEpoch(laboratory.profile),
          async measure(network, { validation }) {
            const [clean, attacked] = await accuracyCurve(network, take(validation, figure2.images), {
              epsilons: [0, epsilon],
            });
            return { validation: clean!.accuracy.advLoss, ...attacked!.accuracy };
          },
        });
      }
    }
  },
  async measure(laboratory, seeds) {
    const rows: ResultRow[] = [];
    for (const recipe of laboratory.profile.table2.recipes) {
      const each: ResultRow[][] = [];
      for (const seed of seedsOf(recipe, seeds)) {
        const epochs = await laboratory.followed<Record<string, Figure>>(recipe, seed);
        await laboratory.release();
        each.push(
          epochs.map((accuracy, index) => ({
            model: recipe.model,
            method: labelOf(recipe),
            epoch: index + 1,
            accuracy,
          })),
        );
      }
      rows.push(...each[0]!.map((_, epoch) => overSeeds(each.map((run) => run[epoch]!))));
    }
    return { rows };
  },
};
