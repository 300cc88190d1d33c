/** The standard protocol of robustness on a network that withstands some of it, which is when it takes long. */
import * as attacks from '../adversary/index.js';
import { datasets } from '../data/datasets.js';
import * as models from '../nn/models.js';
import { constant } from '../nn/schedules.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import * as methods from '../training/methods.js';
import { train } from '../training/train.js';
import { numbered } from '../adversary/attack.js';
import type { Workload } from './harness.js';

const images = 1000;

/** A few hundred steps against PGD, after which most images withstand the length that is attacked with. */
const training = {
  steps: 300,
  method: methods.pgd({ epsilon: 1.8, steps: 5, clip: [0, 1] }),
  optimizer: { name: 'sgd', rate: 0.1, momentum: 0.9 },
} as const;

export const protocol: readonly Workload[] = [
  {
    name: 'lenet_autoattack_1k',
    items: images,
    isLong: true,
    async prepare() {
      const { train: data, test } = await datasets.mnist();
      const model = models.lenet({ seed: 1 });
      const { steps, ...how } = training;
      for await (const event of train(model, data, { ...how, batchSize: 128, schedule: constant() })) {
        if (event.type === 'step' && event.step === steps) break;
      }
      const examples = new Examples(test);
      const { x, y } = scope(() => examples.batch(tensor(numbered(images))));
      examples.dispose();
      return {
        run: () =>
          scope(async () => {
            await attacks.autoAttack(model, x, y, { epsilon: 1.5, clip: [0, 1] });
          }),
        dispose: () => {
          for (const part of [model, x, y]) part.dispose();
        },
      };
    },
  },
];
