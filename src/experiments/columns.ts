/** The columns of the tables of accuracies: a name, and how the outcomes of a network's images are measured. */
import * as attacks from '../adversary/index.js';
import type { Attack, AttackOptions } from '../adversary/attack.js';
import { outcomes, type OutcomesOptions } from '../evaluation/outcomes.js';
import { labelOf, type Recipe, type TablePlan } from './profiles.js';
import type { Laboratory } from './laboratory.js';

/** A column of a table: to add one is to add it to the list. */
export interface Column {
  name: string;
  /** The images that are measured: `validation`, or the official `test` images. */
  images: 'validation' | 'test';
  /** The attack, by name, with its options beside the length; none for clean images. */
  attack?: { name: keyof typeof attacks; options?: Record<string, unknown> };
  /** Whether the images are attacked on the network of the same architecture that was trained normally. */
  transferred?: boolean;
  /** About how long it takes beside a clean pass over the images. */
  cost: number;
}

const single = (name: keyof typeof attacks, cost: number): Column => ({
  name,
  images: 'validation',
  attack: { name },
  cost,
});

/** The paper's columns, and the official test images. */
export const columns: readonly Column[] = [
  { name: 'validation', images: 'validation', cost: 1 },
  { name: 'test', images: 'test', cost: 1 },
  { name: 'fixed', images: 'validation', attack: { name: 'advLoss' }, transferred: true, cost: 4 },
  single('advLossSign', 4),
  single('advLoss', 4),
  single('advAlpha', 12),
];

/** Units of work of a clean pass over the images of a table, for each column's cost. */
const unitsOfPass = 400;

/** Units of work of measuring a network. */
export const unitsOfRow = columns.reduce((sum, { cost }) => sum + cost * unitsOfPass, 0);

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
  { name, images, attack, transferred, cost }: Column,
): Promise<Uint8Array | undefined> {
  const { epsilon } = table;
  const usual = transferred ? usualOf(table, recipe) : undefined;
  if (transferred && usual === undefined) return undefined;
  const kept = await laboratory.ofNetwork(recipe, seed, {
    name,
    settings: { images, ...(attack && { attack: attack.name, ...attack.options, norm: 'l2', epsilon }) },
    ...(usual && { also: { recipe: usual, seed } }),
    units: cost * unitsOfPass,
    measure: async (onProgress) => {
      const { network } = await laboratory.network(recipe, seed);
      const data = (await laboratory.images(recipe.data, seed))[images];
      const options: OutcomesOptions = { onProgress, ...laboratory.signal };
      if (attack !== undefined) {
        const run = attacks[attack.name] as Attack;
        const settings = { ...attack.options, norm: 'l2', epsilon } as AttackOptions;
        options.attack = (model, x, y, shared) => run(model, x, y, { ...settings, ...shared });
      }
      if (usual !== undefined) options.source = (await laboratory.network(usual, seed)).network;
      return { images: data.rows.length, bits: packed(await outcomes(network, data, options)) };
    },
  });
  return unpacked(kept);
}
