/** What the tables of accuracies share: networks by recipe, columns by attack. */
import { median, studentT, wilson } from '../report/intervals.js';
import type { Figure, PaperResults, ResultRow } from '../report/results.js';
import { columnsOf, measured, shortest, unitsOfRow } from './cells.js';
import { countOf, overSeeds, seedsOf, type Experiment } from './experiment.js';
import { imageCount } from './images.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Profile, type Recipe, type TablePlan } from './profiles.js';

/** How many images stand. */
export const count = (standing: Uint8Array): number => standing.reduce((sum, one) => sum + one, 0);

/** The row of a network of one of the seeds. */
async function rowOf(
  laboratory: Laboratory,
  table: TablePlan,
  recipe: Recipe,
  seed: number,
  seeds: readonly number[],
): Promise<ResultRow> {
  const { seconds } = await laboratory.network(recipe, seed);
  const accuracy: Record<string, Figure> = {};
  for (const column of columnsOf(table)) {
    if (!seedsOf(column, seeds).includes(seed)) continue;
    const standing = await measured(laboratory, table, recipe, seed, column);
    if (standing !== undefined) accuracy[column.name] = wilson(count(standing), standing.length);
  }
  const { distance } = table;
  const measures = distance &&
    seedsOf(distance, seeds).includes(seed) && {
      [distance.name]: median(await shortest(laboratory, table, recipe, seed, distance)),
    };
  return {
    model: recipe.model,
    method: labelOf(recipe),
    accuracy,
    seconds: studentT([seconds]),
    ...(measures && { measures }),
  };
}

/** The columns beyond the paper's as settings of a table, by name. */
export function furtherOf({ columns = [], distance }: TablePlan): Record<string, unknown> {
  const accuracies = columns.map(({ name, attack, clip = false, images, first, seeds }): [string, unknown] => [
    name,
    {
      ...(seeds !== undefined && { seeds: `the first ${seeds}` }),
      ...(attack && { attack: attack.name, ...attack.options }),
      clip: clip && 'to the range of the data',
      images: first === undefined ? `all ${images} images` : `the first ${first} ${images} images`,
    },
  ]);
  if (distance === undefined) return Object.fromEntries(accuracies);
  const { name, attacks, first, seeds } = distance;
  const settings = {
    ...(seeds !== undefined && { seeds: `the first ${seeds}` }),
    attacks,
    clip: 'to the range of the data',
    images: `the first ${first} validation images; 0 where misclassified clean`,
    interval: 'by order statistics with one seed',
  };
  return Object.fromEntries([...accuracies, [name, settings]]);
}

/** Why the settings of the networks are what they are. */
export const choicesOf = (recipes: readonly Recipe[]): Record<string, string> =>
  Object.fromEntries(
    recipes.flatMap(({ model, choice, ...recipe }) =>
      choice === undefined ? [] : [[`${model} ${labelOf({ model, ...recipe })}`, choice]],
    ),
  );

/**
 * An experiment that is a table of accuracies: on the validation images, clean, under perturbations of the table's length,
 * and on the Fixed set, which Adv_Loss made on the network of the same architecture that was trained normally; then what
 * the profile adds: stronger attacks, and how far the nearest mistake is.
 */
export function accuracyTable(
  planOf: (profile: Profile) => TablePlan,
  { paper, remark }: { paper?: PaperResults; remark?: string } = {},
): Experiment {
  return {
    recipes: (profile) => planOf(profile).recipes,
    units: (profile, seeds) =>
      planOf(profile).recipes.reduce((sum, recipe) => sum + unitsOfRow(planOf(profile), countOf(recipe, seeds)), 0),
    ...(paper && { paper }),
    settings(profile) {
      const plan = planOf(profile);
      const { recipes, epsilon } = plan;
      const { data } = recipes[0]!;
      return {
        data,
        norm: 'l2',
        epsilon,
        clip: false,
        images: `${imageCount(data)} validation images`,
        fixed: 'advLoss on the normal network of the same architecture',
        ...furtherOf(plan),
        ...(remark !== undefined && { remark }),
        choices: choicesOf(recipes),
      };
    },
    async measure(laboratory, seeds) {
      const table = planOf(laboratory.profile);
      const rows: ResultRow[] = [];
      for (const recipe of table.recipes) {
        const each: ResultRow[] = [];
        for (const seed of seedsOf(recipe, seeds)) {
          each.push(await rowOf(laboratory, table, recipe, seed, seeds));
          await laboratory.release();
        }
        rows.push(overSeeds(each));
      }
      return { rows };
    },
  };
}
