/**
 * How the settings of training methods are chosen: candidates are trained on the training images of seed 0 and measured on
 * its validation images, never on the test images. It prints a line for each length:
 *
 *     node scripts/search.mjs --epochs 12 1.5 1.6 1.7 2
 *     node scripts/search.mjs --model lenet --network '{"activation":"tanh"}' --epochs 15 1.5 1.6
 *     node scripts/search.mjs --method lwaRep --settings '{"layer":"1"}' --epochs 4 1.5 3
 *     node scripts/search.mjs --model lenet --method pgd --settings '{"steps":7,"clip":[0,1]}' --training '{"averageWeights":0.999}' 1.8 2
 *     node scripts/search.mjs --optimizer '{"weightDecay":0.0005}' 1.5
 *     node scripts/search.mjs --data cifar10 --model cifarNet --at 0.25 --training '{"augment":{"crop":4,"mirror":true}}' 0.15 0.25
 *
 * The lengths are those of the training; what is withstood is measured at --at.
 */
import { parseArgs } from 'node:util';
import { imagesOf } from '../dist/experiments/images.js';
import { datasets, evaluate, methods, models, train } from '../dist/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string', default: 'mnist' },
    at: { type: 'string', default: '1.5' },
    model: { type: 'string', default: 'mlp' },
    network: { type: 'string', default: '{}' },
    method: { type: 'string', default: 'lwa' },
    settings: { type: 'string', default: '{}' },
    epochs: { type: 'string', default: '12' },
    optimizer: { type: 'string', default: '{}' },
    training: { type: 'string', default: '{}' },
  },
});
const epochs = Number(values.epochs);
const epsilons = [Number(values.at)];
const { train: examples, validation } = imagesOf(values.data, await datasets[values.data](), 0);
const training = JSON.parse(values.training);
for (const epsilon of positionals.map(Number)) {
  const model = models[values.model]({ ...JSON.parse(values.network), seed: 0 });
  const method = methods[values.method]({ epsilon, ...JSON.parse(values.settings) });
  const optimizer = { name: 'sgd', rate: 0.1, momentum: 0.9, ...JSON.parse(values.optimizer) };
  for await (const event of train(model, examples, { method, epochs, optimizer, seed: 0, ...training })) {
    if (event.type === 'epoch') console.error(`${epsilon}: epoch ${event.epoch}, loss ${event.loss.toFixed(3)}`);
  }
  const steps = { attacks: ['advLossSign', 'advLoss', 'advAlpha'], epsilons };
  const iterated = { attacks: [['pgd', { steps: 40, stepSize: epsilons[0] / 15 }]], epsilons, clip: [0, 1] };
  const { clean, robust } = await evaluate(model, validation, steps);
  robust.push(...(await evaluate(model, validation, iterated)).robust);
  const figures = robust.map(({ attack, accuracy }) => `${attack} ${accuracy.mean}`).join(', ');
  console.log(`${JSON.stringify({ ...values })}, length ${epsilon}: validation ${clean.mean}, ${figures}`);
  model.dispose();
}
