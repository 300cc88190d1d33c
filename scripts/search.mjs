/**
 * How the lengths that LWA and PGD training learn with are chosen: candidates are trained on the training images of seed 0
 * and measured on its validation images, never on the test images. `node scripts/search.mjs --model mlp --epochs 12 1.5 1.7 2`
 * prints a line for each length; `--method pgd --steps 7 --average 0.999 --clip` looks at PGD training.
 */
import { parseArgs } from 'node:util';
import { datasets, evaluate, methods, models, split, train } from '../dist/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'mlp' },
    epochs: { type: 'string', default: '12' },
    dropout: { type: 'string', default: '0' },
    method: { type: 'string', default: 'lwa' },
    steps: { type: 'string', default: '1' },
    average: { type: 'string' },
    clip: { type: 'boolean' },
  },
});
const epochs = Number(values.epochs);
const { train: all } = await datasets.mnist();
const [examples, validation] = split(all, { sizes: [50000, 10000], seed: 0 });
const average = values.average === undefined ? {} : { averageWeights: Number(values.average) };
for (const epsilon of positionals.map(Number)) {
  const model = models[values.model]({ dropout: Number(values.dropout), seed: 0 });
  const method = methods[values.method]({ epsilon, steps: Number(values.steps), ...(values.clip && { clip: [0, 1] }) });
  const optimizer = { name: 'sgd', rate: 0.1, momentum: 0.9 };
  for await (const event of train(model, examples, { method, epochs, optimizer, seed: 0, ...average })) {
    if (event.type === 'epoch') console.error(`${epsilon}: epoch ${event.epoch}, loss ${event.loss.toFixed(3)}`);
  }
  const epsilons = [1.5];
  const steps = { attacks: ['advLossSign', 'advLoss', 'advAlpha'], epsilons };
  const iterated = { attacks: [['pgd', { steps: 40, stepSize: 0.1 }]], epsilons, clip: [0, 1] };
  const { clean, robust } = await evaluate(model, validation, steps);
  robust.push(...(await evaluate(model, validation, iterated)).robust);
  const figures = robust.map(({ attack, accuracy }) => `${attack} ${accuracy.mean}`).join(', ');
  console.log(`${JSON.stringify({ ...values })}, length ${epsilon}: validation ${clean.mean}, ${figures}`);
  model.dispose();
}
