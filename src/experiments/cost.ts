import * as attacks from '../adversary/index.js';
import type { AttackOptions, AttackResult, Labels, Target } from '../adversary/attack.js';
import { studentT } from '../report/intervals.js';
import type { Figure, ResultRow } from '../report/results.js';
import * as models from '../nn/models.js';
import { argmax, cast, sum, uniform } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Experiment } from './experiment.js';
import type { Laboratory } from './laboratory.js';

/** Far shorter than the way to any boundary: what is timed is finding the perturbation. */
const epsilon = 0.01;

const inputs = 784;

/** The rivals, the one to be compared with first: to add one is to add it here. */
const rivals: readonly {
  name: string;
  run: (model: Target, x: Tensor, y: Labels, options: AttackOptions) => Promise<AttackResult>;
}[] = [
  { name: 'advLoss', run: (model, x, y, options) => attacks.advLoss(model, x, y, { ...options, epsilon }) },
  { name: 'advAlpha', run: (model, x, y, options) => attacks.advAlpha(model, x, y, { ...options, epsilon }) },
];

/** Rows of gradients that are held at once: batches are smaller where there are more classes, for all rivals alike. */
const rowsAtOnce = 5000;

/** How many images are attacked: fewer where each takes more rows. */
const imagesFor = (classes: number, most: number): number => Math.min(most, Math.max(40, Math.floor(20000 / classes)));

const unitsOfRow = 0.25;

interface Timing {
  name: string;
  /** Of each repeat. */
  seconds: number[];
  backwardRows: number;
}

function timings(laboratory: Laboratory, classes: number): Promise<Timing[]> {
  const { hidden, images: most, repeats } = laboratory.profile.cost;
  const images = imagesFor(classes, most);
  const batchSize = Math.max(1, Math.min(images, Math.floor(rowsAtOnce / classes)));
  return laboratory.cell({
    name: `cost-${classes}`,
    what: `${classes} classes`,
    settings: { hidden, images, repeats, batchSize, epsilon, rivals: rivals.map(({ name }) => name) },
    units: unitsOfRow * classes * images * repeats,
    measure: (onProgress) =>
      scope(async () => {
        const model = models.mlp({ inputs, hidden: [...hidden], classes, seed: 0 }).eval();
        try {
          const x = uniform([images, inputs], { seed: 0 });
          const y = argmax(model.forward(x));
          const found: Timing[] = rivals.map(({ name }) => ({ name, seconds: [], backwardRows: 0 }));
          // One after the other in each repeat, so that whatever else the machine does meets all of them.
          // The first time does not count: pages are touched, and code is compiled.
          for (let repeat = -1; repeat < repeats; repeat++) {
            for (const [index, { run }] of rivals.entries()) {
              laboratory.options.signal?.throwIfAborted();
              await scope(async () => {
                const started = performance.now();
                const { backwards } = await run(model, x, y, { batchSize, ...laboratory.signal });
                if (repeat < 0) return;
                found[index]!.seconds.push((performance.now() - started) / 1000);
                found[index]!.backwardRows = sum(cast(backwards, 'float64')).item() / images;
              });
            }
            onProgress(repeat + 1, repeats);
          }
          return found;
        } finally {
          model.dispose();
        }
      }),
  });
}

const over = (values: readonly number[]): Figure => ({
  ...studentT(values),
  ...(values.length > 1 && { values: [...values] }),
});

/**
 * What Adv_Alpha costs beside Adv_Loss, in time and in rows pulled back through the network, against the number of
 * classes. The paper says as many times as there are classes.
 */
export const cost: Experiment = {
  recipes: () => [],
  units: ({ cost: { classes, images, repeats } }) =>
    classes.reduce((sum, count) => sum + unitsOfRow * count * imagesFor(count, images) * repeats, 0),
  settings: ({ cost }) => ({
    ...cost,
    network: `${[inputs, ...cost.hidden, 'classes'].join('-')}, untrained`,
    interval: 'over repeats',
  }),
  async measure(laboratory) {
    const rows: ResultRow[] = [];
    for (const classes of laboratory.profile.cost.classes) {
      const found = await timings(laboratory, classes);
      const usual = found[0]!.seconds;
      for (const { name, seconds, backwardRows } of found) {
        rows.push({
          model: 'mlp',
          method: 'untrained',
          attack: name,
          classes,
          accuracy: {},
          seconds: over(seconds),
          measures: {
            timesAdvLoss: over(seconds.map((value, repeat) => value / usual[repeat]!)),
            backwardRows: studentT([backwardRows]),
          },
        });
      }
    }
    return { rows };
  },
};
