import * as attacks from '../adversary/index.js';
import type { AttackOptions, AttackResult, Labels, Target } from '../adversary/attack.js';
import { studentT } from '../report/intervals.js';
import type { Figure, ResultRow } from '../report/results.js';
import * as models from '../nn/models.js';
import { fromArrays, take, type Dataset } from '../data/dataset.js';
import { add, affine, argmax, cast, gather, sum, uniform } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import { train } from '../training/train.js';
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
  {
    name: 'advAlphaDense',
    run: (model, x, y, options) => attacks.advAlpha(model, x, y, { ...options, epsilon, bound: false }),
  },
  {
    name: 'advAlpha',
    run: (model, x, y, options) => attacks.advAlpha(model, x, y, { ...options, epsilon, bound: true }),
  },
];

/** Rows of gradients that are held at once: batches are smaller where there are more classes, for all rivals alike. */
const rowsAtOnce = 5000;

/** How many images are attacked: fewer where each takes more rows. */
const imagesFor = (classes: number, most: number): number => Math.min(most, Math.max(40, Math.floor(20000 / classes)));

const unitsOfRow = 0.25;

/** How briefly the network learns: enough to be as sure of its answers as trained ones are. */
const training = { steps: 200, batchSize: 64, rate: 0.05, noise: 0.3 };

/** Examples of as many classes as wanted: each class a point of noise, each example some more noise around it. */
function clusters(classes: number, count: number): Dataset {
  return scope(() => {
    const labels = Int32Array.from({ length: count }, (_, index) => index % classes);
    const centres = gather(uniform([classes, inputs], { seed: 0, stream: 1 }), tensor(labels));
    const { noise } = training;
    const values = add(affine(centres, 1 - noise), affine(uniform([count, inputs], { seed: 0, stream: 2 }), noise));
    return fromArrays({ name: 'clusters', inputs: values.data() as Float32Array, labels, shape: [inputs], classes });
  });
}

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
    settings: { hidden, images, repeats, batchSize, epsilon, training, rivals: rivals.map(({ name }) => name) },
    units: unitsOfRow * classes * images * repeats,
    measure: (onProgress) =>
      scope(async () => {
        const model = models.mlp({ inputs, hidden: [...hidden], classes, seed: 0 });
        const data = clusters(classes, Math.max(images, training.steps * training.batchSize));
        const examples = new Examples(data);
        try {
          const optimizer = { name: 'sgd', rate: training.rate, momentum: 0.9 } as const;
          const { batchSize: size, steps } = training;
          const learning = train(model, take(data, steps * size), { batchSize: size, optimizer, ...laboratory.signal });
          while (!(await learning.next()).done);
          const { x } = examples.batch(tensor(data.rows.slice(0, images)));
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
          examples.dispose();
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
    network: `${[inputs, ...cost.hidden, 'classes'].join('-')}, trained for ${training.steps} steps on clusters of noise`,
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
          method: 'normal',
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
