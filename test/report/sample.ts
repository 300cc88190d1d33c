import { wilson } from '../../src/report/intervals.js';
import type { Specimen } from '../../src/report/images.js';
import { paperTable1 } from '../../src/report/paper.js';
import type { Figure, ResultFile, ResultRow } from '../../src/report/results.js';

/** The accuracy of so many per thousand. */
export const perMille = (value: number): Figure => wilson(value, 1000);

export const accuracies = (values: Record<string, number>): Record<string, Figure> =>
  Object.fromEntries(Object.entries(values).map(([column, value]) => [column, perMille(value)]));

/** A result file with one row, any member replaced. */
export const result = (members: Partial<ResultFile> = {}): ResultFile => ({
  format: 'sparring-results',
  version: 1,
  experiment: 'table1',
  profile: 'quick',
  seeds: [1, 2, 3],
  environment: { node: 'v20', blas: { name: 'OpenBLAS', threads: 1 } },
  settings: { epsilon: 1.5, norm: 'l2', optimizer: { name: 'sgd', learningRate: 0.1 } },
  rows: [row('normal', { validation: 980, advAlpha: 78 })],
  ...members,
});

export const row = (method: string, values: Record<string, number>, members: Partial<ResultRow> = {}): ResultRow => ({
  model: 'mlp',
  method,
  accuracy: accuracies(values),
  ...members,
});

export const table = (): ResultFile =>
  result({
    rows: [
      row('normal', { validation: 983, test: 981, fixed: 354, advLossSign: 281, advLoss: 195, advAlpha: 72 }),
      row('lwa', { validation: 990, test: 989, fixed: 974, advLossSign: 945, advLoss: 868, advAlpha: 863 }),
    ],
    paper: paperTable1,
  });

export const curve = (): ResultFile =>
  result({
    experiment: 'figure1',
    settings: { norm: 'l2' },
    rows: [0, 1, 2, 3, 4].map((epsilon) =>
      row('normal', { advLoss: 990 - 240 * epsilon, advAlpha: 990 - 245 * epsilon }, { model: 'lenet', epsilon }),
    ),
  });

export const learning = (): ResultFile =>
  result({
    experiment: 'figure2',
    rows: ['normal', 'lwa'].flatMap((method, k) =>
      [1, 2, 3].map((epoch) =>
        row(method, { validation: 970 + 5 * epoch, advAlpha: 100 * epoch + 300 * k }, { model: 'lenet', epoch }),
      ),
    ),
  });

export const cost = (): ResultFile =>
  result({
    experiment: 'cost',
    settings: {},
    rows: [
      row('advLoss', {}, { seconds: { mean: 0.004, low: 0.0039, high: 0.0041, n: 5 } }),
      row('advAlpha', {}, { seconds: { mean: 0.016, low: 0.015, high: 0.017, n: 5 } }),
    ],
  });

/** Two by three pixels, grey, one of them attacked beyond white. */
export const specimen = (members: Partial<Specimen> = {}): Specimen => ({
  clean: Float32Array.of(0, 0.5, 1, 0, 0, 1),
  adversarial: Float32Array.of(0.25, 0.5, 1.5, 0, -0.5, 1),
  shape: [1, 2, 3],
  label: '7',
  predictedClean: { label: '7', confidence: 0.9999 },
  predictedAdversarial: { label: '3', confidence: 0.871 },
  attack: 'advAlpha',
  model: 'normal',
  norm: 0.75,
  ...members,
});
