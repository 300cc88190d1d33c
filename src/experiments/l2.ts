import { take } from '../data/dataset.js';
import type { Sequential } from '../nn/layers.js';
import { studentT, wilson } from '../report/intervals.js';
import type { Figure, ResultRow } from '../report/results.js';
import { displayName } from '../report/names.js';
import { specimenSheet } from '../report/specimenSheet.js';
import { add } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { countCorrect } from '../training/accuracy.js';
import { Examples } from '../training/examples.js';
import { countOf, overSeeds, seedsOf, type Experiment } from './experiment.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Recipe } from './profiles.js';
import { budgeted, specimens, type Perturber } from './specimens.js';

const unitsOfThousand = 6000;

/** The side of the square of the artificial perturbation. */
const side = 3;

/** A square in the upper left corner, where no digit reaches, changed by as much as makes the length: a plain spot. */
const concentrated =
  (epsilon: number): Perturber =>
  (_network, x) => {
    const [, channels, height, width] = x.shape as [number, number, number, number];
    const spot = new Float32Array(channels * height * width);
    const change = epsilon / (side * Math.sqrt(channels));
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 2; row < 2 + side; row++) {
        for (let column = 2; column < 2 + side; column++) spot[(channel * height + row) * width + column] = change;
      }
    }
    return Promise.resolve(add(x, tensor(spot, { shape: [1, channels, height, width] })));
  };

const perturbers = (epsilon: number): Record<string, Perturber> => ({
  advLossSign: budgeted('advLossSign', epsilon),
  advLoss: budgeted('advLoss', epsilon),
  advAlpha: budgeted('advAlpha', epsilon),
  concentrated: concentrated(epsilon),
});

/** Of one perturbation: its largest change, and how its energy, the sum of the squares, is spread over the pixels. */
function concentration(r: Float32Array): { largestChange: number; topPercent: number; halfOfEnergy: number } {
  const energies = r
    .map((value) => value * value)
    .sort()
    .reverse();
  const total = energies.reduce((sum, energy) => sum + energy, 0);
  const top = energies.subarray(0, Math.round(r.length / 100)).reduce((sum, energy) => sum + energy, 0);
  let pixels = 0;
  for (let sum = 0; sum < total / 2; pixels++) sum += energies[pixels]!;
  return { largestChange: Math.sqrt(energies[0]!), topPercent: top / total, halfOfEnergy: pixels };
}

async function measuredOf(
  network: Sequential,
  x: Tensor,
  y: Tensor,
  perturb: Perturber,
): Promise<{ right: number; concentrations: ReturnType<typeof concentration>[] }> {
  return scope(async () => {
    const adversarial = await perturb(network, x, y);
    const [before, after] = [x.data(), adversarial.data()];
    const size = x.size / x.shape[0]!;
    const differences = Float32Array.from(after, (value, at) => value - before[at]!);
    const concentrations = Array.from({ length: x.shape[0]! }, (_, image) =>
      differences.subarray(image * size, (image + 1) * size),
    ).filter((r) => r.some((value) => value !== 0));
    return {
      right: countCorrect(network, adversarial, y).item(),
      // Images that are misclassified clean are not moved.
      concentrations: concentrations.map(concentration),
    };
  });
}

interface Measured {
  attack: string;
  right: number;
  images: number;
  measures: Record<string, number>;
}

function measured(laboratory: Laboratory, recipe: Recipe, seed: number): Promise<Measured[]> {
  const { l2, table2 } = laboratory.profile;
  const { epsilon } = table2;
  return laboratory.ofNetwork(recipe, seed, {
    name: 'l2',
    settings: { images: l2.images, epsilon, side, share: 0.01 },
    units: (l2.images / 1000) * unitsOfThousand,
    async measure(onProgress) {
      const { network } = await laboratory.network(recipe, seed);
      const { validation } = await laboratory.images(recipe.data, seed);
      const data = take(validation, l2.images);
      const examples = new Examples(data);
      const entries = Object.entries(perturbers(epsilon));
      const found: Measured[] = [];
      try {
        for (const [attack, perturb] of entries) {
          laboratory.options.signal?.throwIfAborted();
          const { right, concentrations } = await scope(async () => {
            const { x, y } = examples.batch(tensor(data.rows));
            return measuredOf(network, x, y, perturb);
          });
          const mean = (key: keyof (typeof concentrations)[number]): number =>
            concentrations.reduce((sum, one) => sum + one[key], 0) / Math.max(1, concentrations.length);
          const measures = {
            largestChange: mean('largestChange'),
            energyInOnePercentOfPixels: mean('topPercent'),
            pixelsWithHalfOfTheEnergy: mean('halfOfEnergy'),
          };
          found.push({ attack, right, images: data.rows.length, measures });
          onProgress(found.length, entries.length, attack);
        }
      } finally {
        examples.dispose();
      }
      return found;
    },
  });
}

/**
 * «Is it reasonable to use the L2 norm?» How concentrated the perturbations are, beside an artificial one of the same
 * length that is all in nine pixels, which the paper says it never observed.
 */
export const l2: Experiment = {
  recipes: ({ table2: { recipes } }) => recipes,
  units: ({ table2: { recipes }, l2: { images } }, seeds) =>
    recipes.reduce((sum, recipe) => sum + countOf(recipe, seeds) * (images / 1000) * unitsOfThousand, 0),
  settings: ({ table2: { recipes, epsilon }, l2: { images } }) => ({
    data: recipes[0]!.data,
    norm: 'l2',
    epsilon,
    clip: false,
    images: `the first ${images} validation images`,
    concentrated: `a square of ${side}x${side} pixels in the upper left corner, each changed alike`,
  }),
  async measure(laboratory, seeds) {
    const { recipes, epsilon } = laboratory.profile.table2;
    const rows: ResultRow[] = [];
    for (const recipe of recipes) {
      const each: ResultRow[][] = [];
      for (const seed of seedsOf(recipe, seeds)) {
        const found = await measured(laboratory, recipe, seed);
        each.push(
          found.map(({ attack, right, images, measures }) => ({
            model: recipe.model,
            method: labelOf(recipe),
            attack,
            accuracy: {},
            measures: {
              shareStillRight: wilson(right, images),
              ...Object.fromEntries(
                Object.entries(measures).map(([name, value]): [string, Figure] => [name, studentT([value])]),
              ),
            },
          })),
        );
      }
      rows.push(...each[0]!.map((_, attack) => overSeeds(each.map((run) => run[attack]!))));
    }
    const [recipe] = recipes;
    const { network } = await laboratory.network(recipe!, seeds[0]!);
    const { validation } = await laboratory.images(recipe!.data, seeds[0]!);
    const shown = [];
    const { advAlpha, concentrated } = perturbers(epsilon);
    for (const [attack, perturb] of Object.entries({ advAlpha: advAlpha!, concentrated: concentrated! })) {
      shown.push(
        ...(await specimens(
          [{ name: `${displayName(recipe!.model)}, ${displayName(labelOf(recipe!))}`, network }],
          validation,
          {
            attack,
            perturb,
            classes: 3,
          },
        )),
      );
    }
    const title = 'Perturbations of one length: by Adv_Alpha, and all in nine pixels';
    return { rows, pictures: [specimenSheet(shown, { name: 'l2-pictures', title })] };
  },
};
