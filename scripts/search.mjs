/**
 * How the lengths that LWA learns with were chosen: candidates are trained on the training images of seed 0 and measured on
 * its validation images, never on the test images. `node scripts/search.mjs mlp 12 1.5 1.7 2` prints a line for each length.
 */
import { datasets, evaluate, methods, models, split, train } from '../dist/index.js';

const [kind, epochs, ...lengths] = process.argv.slice(2);
const { train: all } = await datasets.mnist();
const [examples, validation] = split(all, { sizes: [50000, 10000], seed: 0 });
for (const length of lengths.map(Number)) {
  const model = models[kind]({ seed: 0 });
  const method = methods.lwa({ epsilon: length });
  const optimizer = { name: 'sgd', rate: 0.1, momentum: 0.9 };
  for await (const event of train(model, examples, { method, epochs: Number(epochs), optimizer, seed: 0 })) {
    if (event.type === 'epoch') console.error(`${kind} ${length}: epoch ${event.epoch}, loss ${event.loss.toFixed(3)}`);
  }
  const { clean, robust } = await evaluate(model, validation, { epsilons: [1.5] });
  const figures = robust.map(({ attack, accuracy }) => `${attack} ${accuracy.mean}`).join(', ');
  console.log(`${kind}, length ${length}, ${epochs} epochs: validation ${clean.mean}, ${figures}`);
  model.dispose();
}
