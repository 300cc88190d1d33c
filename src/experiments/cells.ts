/** What becomes of a network's images in a column of a table: measured once, and kept. */
import * as attacks from '../adversary/index.js';
import type { Attack, AttackOptions } from '../adversary/attack.js';
import { take } from '../data/dataset.js';
import { evaluate } from '../evaluation/evaluate.js';
import { outcomes, type OutcomesOptions } from '../evaluation/outcomes.js';
import { paperColumns, type Column, type Distance } from './columns.js';
import { countOf } from './experiment.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Recipe, type TablePlan } from './profiles.js';

/** How many images most columns measure. */
const usualImages = 10000;

/** Units of work of a clean pass over the images of a table, for each column's cost. */
const unitsOfPass = 400;

/** Units of work of measuring images: the first so many, or about as many as most columns have. */
export const unitsOf = ({ cost, first = usualImages }: { cost: number; first?: number }): number =>
  (cost * unitsOfPass * first) / usualImages;

/** All columns of accuracies of a table. */
export const columnsOf = ({ columns = [] }: TablePlan): readonly Column[] => [...paperColumns, ...columns];

/** Units of work of measuring the networks of a row of a table, one a seed. */
export const unitsOfRow = (table: TablePlan, networks: number): number =>
  [...columnsOf(table), ...(table.distance ? [table.distance] : [])].reduce(
    (sum, each) => sum + countOf(each, networks) * unitsOf(each),
    0,
  );

/** Outcomes as text for a file: the bits, eight a byte. */
function packed(standing: Uint8Array): string {
  const bytes = new Uint8Array(Math.ceil(standing.length / 8));
  standing.forEach((bit, at) => (bytes[at >> 3]! |= bit << (at & 7)));
  return Buffer.from(bytes).toString('base64');
}

const unpacked = ({ images, bits }: { images: number; bits: string }): Uint8Array => {
  const bytes = Buffer.from(bits, 'base64');
  return Uint8Array.from({ length: images }, (_, at) => (bytes[at >> 3]! >> (at & 7)) & 1);
};

/** The recipe that a row's Fixed set is made on: the same data and architecture, trained normally. */
export const usualOf = ({ recipes }: TablePlan, { data, model }: Recipe): Recipe | undefined =>
  recipes.find((other) => other.data === data && other.model === model && labelOf(other) === 'normal');

/** The outcomes of a network's images in a column of a table; undefined where there is nothing to transfer from. */
export async function measured(
  laboratory: Laboratory,
  table: TablePlan,
  recipe: Recipe,
  seed: number,
  column: Column,
): Promise<Uint8Array | undefined> {
  const { name, images, first, attack, clip = false, transferred } = column;
  const { epsilon } = table;
  const usual = transferred ? usualOf(table, recipe) : undefined;
  if (transferred && usual === undefined) return undefined;
  const kept = await laboratory.ofNetwork(recipe, seed, {
    name,
    settings: {
      images,
      ...(first !== undefined && { first }),
      ...(attack && { attack: attack.name, ...attack.options, norm: 'l2', epsilon }),
      ...(clip && { clip }),
    },
    ...(usual && { also: { recipe: usual, seed } }),
    units: unitsOf(column),
    measure: async (onProgress) => {
      const { network } = await laboratory.network(recipe, seed);
      const all = (await laboratory.images(recipe.data, seed))[images];
      const data = first === undefined ? all : take(all, Math.min(first, all.rows.length));
      const options: OutcomesOptions = { onProgress, ...laboratory.signal };
      if (attack !== undefined) {
        const run = attacks[attack.name] as Attack;
        const settings: AttackOptions & { epsilon: number } = {
          ...attack.options,
          norm: 'l2',
          epsilon,
          ...(clip && { clip: [data.range[0], data.range[1]] }),
        };
        options.attack = (model, x, y, shared) => run(model, x, y, { ...settings, ...shared });
      }
      if (usual !== undefined) options.source = (await laboratory.network(usual, seed)).network;
      return { images: data.rows.length, bits: packed(await outcomes(network, data, options)) };
    },
  });
  return unpacked(kept);
}

/**
 * The length of the shortest perturbation that any of the attacks finds for each image, inside the range of the data: 0
 * where the image is misclassified clean. Where none is found it is that which no two images are farther apart than.
 */
export function shortest(
  laboratory: Laboratory,
  { epsilon }: TablePlan,
  recipe: Recipe,
  seed: number,
  distance: Distance,
): Promise<number[]> {
  const { name, first, attacks: asked } = distance;
  return laboratory.ofNetwork(recipe, seed, {
    name,
    settings: { images: 'validation', first, attacks: asked, norm: 'l2', clip: true },
    units: unitsOf(distance),
    measure: async (onProgress) => {
      const { network } = await laboratory.network(recipe, seed);
      const { validation } = await laboratory.images(recipe.data, seed);
      const data = take(validation, Math.min(first, validation.rows.length));
      const [low, high] = data.range;
      const diameter = (high - low) * Math.sqrt(data.shape.reduce((product, length) => product * length, 1));
      const places = asked.map((attack): string => attack.name);
      const { outcomes } = await evaluate(network, data, {
        attacks: asked,
        // The attacks look for the shortest whatever the length asked of.
        epsilons: [epsilon],
        clip: [low, high],
        diagnose: false,
        ...laboratory.signal,
        onProgress: (done, total, what) => {
          onProgress(places.indexOf(what) * total + done, places.length * total, what);
        },
      });
      return Array.from(data.rows, (_, at) =>
        Math.min(diameter, ...outcomes.distances.map(({ distances }) => distances[at]!)),
      );
    },
  });
}
