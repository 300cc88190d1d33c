import type { PaperResults } from './results.js';

const columns = ['validation', 'fixed', 'advLossSign', 'advLoss', 'advAlpha'] as const;

const source = (table: number) => `Huang, Xu, Schuurmans, Szepesvári: Learning with Adversary, Table ${table}`;

function rows(accuracies: Record<string, readonly number[]>): PaperResults['rows'] {
  return Object.entries(accuracies).map(([method, values]) => ({
    method,
    accuracy: Object.fromEntries(columns.map((column, i) => [column, values[i]!])),
  }));
}

/**
 * The paper's Table 1: MNIST validation accuracies of the 784-1000-1000-10 network under perturbations of L2 length 1.5.
 *
 * @example
 * ```ts
 * import { paperTable1 } from 'sparring';
 *
 * console.log(paperTable1.rows.find(({ method }) => method === 'lwa')?.accuracy.advAlpha); // 0.857
 * ```
 */
export const paperTable1: PaperResults = {
  source: source(1),
  rows: rows({
    normal: [0.98, 0.314, 0.193, 0.091, 0.078],
    dropout: [0.98, 0.314, 0.155, 0.135, 0.238],
    goodfellow: [0.987, 0.938, 0.923, 0.713, 0.701],
    lwa: [0.987, 0.962, 0.935, 0.86, 0.857],
    lwaRep: [0.986, 0.899, 0.9, 0.802, 0.767],
  }),
};

/**
 * The paper's Table 2: MNIST validation accuracies of LeNet under perturbations of L2 length 1.5.
 *
 * @example
 * ```ts
 * import { paperTable2 } from 'sparring';
 *
 * console.log(paperTable2.rows.map(({ method, accuracy }) => `${method} ${accuracy.advLoss}`).join(', ')); // normal 0.3998, lwa 0.9533
 * ```
 */
export const paperTable2: PaperResults = {
  source: source(2),
  rows: rows({
    normal: [0.9916, 0.6342, 0.694, 0.3998, 0.3792],
    lwa: [0.9932, 0.9817, 0.98, 0.9533, 0.9529],
  }),
};

/**
 * CIFAR-10 as the authors' notebooks of the longer version of the paper have it: single steps of L2 length 0.25 in pixels
 * of 0 to 1.
 */
export const publishedCifar10: PaperResults = {
  source: 'notebooks of Huang, Xu, Schuurmans, Szepesvári: Learning with a Strong Adversary',
  rows: rows({
    normal: [0.851, 0.747, 0.517, 0.429, 0.416],
    dropout: [0.877, 0.777, 0.593, 0.495, 0.479],
    goodfellow: [0.856, 0.818, 0.794, 0.745, 0.734],
    lwa: [0.864, 0.831, 0.803, 0.76, 0.75],
  }),
};
