import { accuracyTable } from './accuracyTable.js';
import { publishedCifar10 } from '../report/paper.js';

/** The experiment that the paper announces and never gives. */
export const cifar10 = accuracyTable(({ cifar10 }) => cifar10, {
  paper: publishedCifar10,
  remark: 'pixels run from 0 to 1; the published figures scale them to -1 to 1 and call this length 0.5',
});
