/** `sparring data` */
import { describe } from '../data/dataset.js';
import { significant } from '../report/format.js';
import { defineCommand } from './command.js';
import { grid } from './grid.js';
import { dataNames, find, load } from './images.js';
import { dataDir } from './options.js';
import { choice, either } from './values.js';

/** Describes a data set. */
export const dataCommand = defineCommand({
  name: 'data',
  summary: 'describe a data set and say where its files are',
  description: 'Reads a data set, which checks its files, and counts the images of each class.',
  operand: { placeholder: 'name', description: `data set: ${either(dataNames)}`, kind: choice(dataNames) },
  options: { dataDir },
  examples: [
    ['sparring data mnist', 'where MNIST was found, and what is in it'],
    ['sparring data cifar-10 --data-dir ~/datasets', 'CIFAR-10 from a folder of your own'],
  ],
  async run(_, { dataDir: dir }, [operand]) {
    const name = operand as (typeof dataNames)[number];
    const found = await find(name, dir);
    const published = await load(name, { dir });
    const [train, test] = [describe(published.train), describe(published.test)];
    const { shape, classes, classNames = [] } = train;
    const row = (label: string, form: (part: typeof train) => string): string[] => [label, form(train), form(test)];
    return {
      json: { name, dir: found?.dir ?? null, train, test },
      text:
        `${name}: images of ${shape.join('x')} in ${classes} classes, ${found === undefined ? 'which come with the library' : found.dir}\n` +
        grid([
          ['', 'training', 'test'],
          row('images', ({ examples }) => String(examples)),
          ...train.counts.map((_, label) =>
            row(classNames[label] ?? String(label), ({ counts }) => String(counts[label])),
          ),
          row('mean', ({ mean }) => significant(mean)),
          row('standard deviation', ({ std }) => significant(std)),
        ]),
    };
  },
});
