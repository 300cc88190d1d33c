/** What the tables of accuracies share: networks by recipe, columns by attack. */
import { studentT, wilson } from '../report/intervals.js';
import type { Figure, PaperResults, ResultRow } from '../report/results.js';
import { columns, measured, unitsOfRow } from './columns.js';
import { countOf, overSeeds, seedsOf, type Experiment } from './experiment.js';
import { imageCount } from './images.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Profile, type Recipe, type TablePlan } from './profiles.js';

/** How many images stand. */
export const count = (standing: Uint8Array): number => standing.reduce((sum, one) => sum + one, 0);

/** The row of a network of one seed. */
async function rowOf(laboratory: Laboratory, table: TablePlan, recipe: Recipe, seed: number): Promise<ResultRow> {
  const { seconds } = await laboratory.network(recipe, seed);
  const accuracy: Record<string, Figure> = {};
  for (const column of columns) {
    const standing = await measured(laboratory, table, recipe, seed, column);
    if (standing !== undefined) accuracy[column.name] = wilson(count(standing), standing.length);
  }
  return { model: recipe.model, method: labelOf(recipe), accuracy, seconds: studentT([seconds]) };
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
 * and on the Fixed set, which Adv_Loss made on the network of the same architecture that was trained normally.
 */
export function accuracyTable(
  planOf: (profile: Profile) => TablePlan,
  { paper, remark }: { paper?: PaperResults; remark?: string } = {},
): Experiment {
  return {
    recipes: (profile) => planOf(profile).recipes,
    units: (profile, seeds) =>
      planOf(profile).recipes.reduce((sum, recipe) => sum + countOf(recipe, seeds) * unitsOfRow, 0),
    ...(paper && { paper }),
    settings(profile) {
      const { recipes, epsilon } = planOf(profile);
      const { data } = recipes[0]!;
      return {
        data,
        norm: 'l2',
        epsilon,
        clip: false,
        images: `${imageCount(data)} validation images`,
        fixed: 'advLoss on the normal network of the same architecture',
        ...(remark !== undefined && { remark }),
        choices: choicesOf(recipes),
      };
    },
    async measure(laboratory, seeds) {
      const table = planOf(laboratory.profile);
      const rows: ResultRow[] = [];
      for (const recipe of table.recipes) {
        const each: ResultRow[] = [];
        for (const seed of seedsOf(recipe, seeds)) each.push(await rowOf(laboratory, table, recipe, seed));
        rows.push(overSeeds(each));
      }
      return { rows };
    },
  };
}
