import { paperTable1, paperTable2 } from '../report/paper.js';
import { accuracyTable } from './accuracyTable.js';

/** The published tables as one: rows of the dense network and of LeNet. */
export const published = {
  source: 'Huang, Xu, Schuurmans, Szepesvári: Learning with Adversary, Tables 1 and 2',
  rows: [
    ...paperTable1.rows.map((row) => ({ ...row, model: 'mlp' })),
    ...paperTable2.rows.map((row) => ({ ...row, model: 'lenet' })),
  ],
};

/** Table 1 of the paper: the dense network, by training method; further rows are what the profile adds. */
export const table1 = accuracyTable(({ table1 }) => table1, {
  paper: published,
  remark: 'epochs: about as much time for every method that looks for perturbations; rates were not searched',
});
