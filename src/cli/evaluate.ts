/** `sparring evaluate` */
import { evaluate } from '../evaluation/evaluate.js';
import { accuracy as accuracyText } from '../report/format.js';
import { defineCommand } from './command.js';
import { grid } from './grid.js';
import { attackNames, epsilons, measuring } from './options.js';
import { readSubject } from './subject.js';
import { choice, either, file, list, option } from './values.js';

const options = {
  attacks: option(list(choice(attackNames)), `attacks: of ${either(attackNames)}`, {
    fallback: ['advLossSign', 'advLoss', 'advAlpha'],
  }),
  epsilons,
  ...measuring,
};

/** Measures what a network withstands. */
export const evaluateCommand = defineCommand({
  name: 'evaluate',
  summary: 'measure what a network withstands',
  description:
    'Measures a network that sparring train has saved: how many images it classifies rightly, clean, under each attack at ' +
    'each length, and under the worst of the attacks, image by image. Images that are misclassified clean count as wrong everywhere.',
  operand: { placeholder: 'network', description: 'file that sparring train has written', kind: file },
  options,
  examples: [
    ['sparring evaluate lwa.safetensors', "the paper's three attacks at four lengths, on the test images"],
    [
      'sparring evaluate lwa.safetensors --attacks advAlpha --epsilons 0.5,1.5 --split validation',
      "as in the paper's tables: on the validation images",
    ],
    [
      'sparring evaluate lwa.safetensors --norm linf --epsilons 0.1 --clip 0 1 --json',
      'fast gradient signs, for a program to read',
    ],
  ],
  async run(session, options, [path]) {
    const { norm, batchSize, attacks: chosen, epsilons: lengths } = options;
    const [attacks, epsilons] = [[...new Set(chosen)], [...new Set(lengths)]];
    const { network, images, clip, title } = await readSubject(path!, options, {
      flag: '--epsilons',
      values: epsilons,
    });
    const runs = attacks.length * epsilons.length;
    let finished = 0;
    const evaluation = await evaluate(network, images, {
      attacks,
      epsilons,
      norm,
      batchSize,
      signal: session.signal,
      ...(clip && { clip }),
      onProgress: (done, total, what) => {
        session.progress({
          what,
          done: finished * total + done,
          total: runs * total,
          detail: `${norm} length ${epsilons[Math.floor(finished / attacks.length)]}`,
        });
        if (done === total) finished++;
      },
    });
    const { clean, robust, worst } = evaluation;
    const together = attacks.length > 1;
    const rows = worst.map(({ epsilon, accuracy }) => [
      String(epsilon),
      ...robust.filter((figure) => figure.epsilon === epsilon).map((figure) => accuracyText(figure.accuracy, 2)),
      ...(together ? [accuracyText(accuracy, 2)] : []),
    ]);
    return {
      json: { network: path, data: images.name, split: options.split, clip: clip ?? null, ...evaluation },
      text:
        `${title}accuracy in %, ± 95 % interval; clean ${accuracyText(clean, 2)}\n\n` +
        grid([[`${norm} length`, ...attacks, ...(together ? ['the worst'] : [])], ...rows]),
    };
  },
});
