import { paperTable2 } from '../report/paper.js';
import { accuracyTable } from './accuracyTable.js';

/** Table 2 of the paper: LeNet, by training method. */
export const table2 = accuracyTable(({ table2 }) => table2, { paper: paperTable2 });
