import { evaluate, transferred } from '../evaluation/evaluate.js';
import { studentT, wilson } from '../report/intervals.js';
import { paperTable1, paperTable2 } from '../report/paper.js';
import type { ResultRow } from '../report/results.js';
import { accuracy } from '../training/accuracy.js';
import type { Experiment } from './experiment.js';

const attacks = ['advLossSign', 'advLoss', 'advAlpha'] as const;

/** About how long it takes to measure a row, in the unit of the recipes' costs. */
const unitsOfRow = 8000;

/**
 * Table 1 of the paper, and of its Table 2 the rows whose networks the profile trains: accuracy on the validation
 * images, clean, under perturbations of the given length, and on the Fixed set, which Adv_Loss made on the network of
 * the same architecture that was trained normally.
 */
export const table1: Experiment = {
  recipes: ({ recipes }) => recipes,
  units: ({ recipes }) => recipes.length * unitsOfRow,
  paper: {
    source: 'Huang, Xu, Schuurmans, Szepesvári: Learning with Adversary, Tables 1 and 2',
    rows: [
      ...paperTable1.rows.map((row) => ({ ...row, model: 'mlp' })),
      ...paperTable2.rows.map((row) => ({ ...row, model: 'lenet' })),
    ],
  },
  settings: ({ epsilon }) => ({
    data: 'mnist',
    norm: 'l2',
    epsilon,
    clip: false,
    images: '10,000 validation images',
    fixed: 'advLoss on the normal network of the same architecture',
  }),
  async measure(laboratory, seed) {
    const { profile, report } = laboratory.options;
    const { epsilon } = profile;
    const { validation, test } = await laboratory.images(seed);
    const rows: ResultRow[] = [];
    for (const recipe of profile.recipes) {
      const what = `table1 ${recipe.model} ${recipe.method.name}`;
      const share = unitsOfRow / (attacks.length + 2);
      const { network, seconds } = await laboratory.network(recipe, seed);
      report(what, share, 'test images');
      const onTest = await accuracy(network, test, laboratory.signal);
      const usual = profile.recipes.find(({ model, method }) => model === recipe.model && method.name === 'normal');
      report(what, share, 'fixed set');
      const fixed =
        usual &&
        (await transferred((await laboratory.network(usual, seed)).network, network, validation, {
          attack: 'advLoss',
          epsilon,
          ...laboratory.signal,
        }));
      const { clean, robust } = await evaluate(network, validation, {
        attacks: [...attacks],
        epsilons: [epsilon],
        ...laboratory.signal,
        onProgress: (done, total, attack) => {
          if (done === total) report(what, share, attack);
        },
      });
      const attacked = Object.fromEntries(robust.map(({ attack, accuracy: figure }) => [attack, figure]));
      rows.push({
        model: recipe.model,
        method: recipe.method.name,
        accuracy: {
          validation: clean,
          test: wilson(onTest.correct, onTest.total),
          ...(fixed && { fixed }),
          ...attacked,
        },
        seconds: studentT([seconds]),
      });
    }
    return rows;
  },
};
