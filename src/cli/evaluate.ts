/** `sparring evaluate` */
import { writeAdversarialSet } from '../evaluation/adversarialSet.js';
import type { AttackChoice, AttackName } from '../evaluation/choices.js';
import { evaluate, type Evaluation } from '../evaluation/evaluate.js';
import { ensureWritable, writeFileAtomic } from '../io/atomic.js';
import { accuracy as accuracyText, duration, significant } from '../report/format.js';
import { renderRobustness } from '../report/robustness.js';
import { loadNetwork } from '../training/network.js';
import { attackSettings } from './attacks.js';
import { defineCommand } from './command.js';
import { grid } from './grid.js';
import { attackNames, checkWritable, epsilons, measuring } from './options.js';
import { readSubject } from './subject.js';
import { choice, either, file, flag, folder, list, option } from './values.js';

const options = {
  attacks: option(list(choice(attackNames)), `attacks: of ${either(attackNames)}`, {
    fallback: ['advLossSign', 'advLoss', 'advAlpha'],
  }),
  epsilons,
  ...measuring,
  survivors: flag('give each attack only the images that withstood the ones before'),
  source: option(file, 'another network, on which each attack makes its images as well (transfer)', {
    fallbackText: 'none',
  }),
  checkpoint: option(file, 'file that an interrupted evaluation is taken up from', { fallbackText: 'none' }),
  report: option(file, 'where a page with curves, tables and warnings goes (HTML)', { fallbackText: 'nowhere' }),
  out: option(folder, 'where the worst adversarial images go, with a manifest that sparring verify checks', {
    fallbackText: 'nowhere',
  }),
};

/** The attacks as `sparring attack` runs them. */
const chosen = (name: AttackName): AttackChoice => [name, attackSettings(name, {})];

/** What the attacks left, one line a length. */
function accuracies({ norm, robust, worst }: Evaluation): string {
  const labels = [...new Set(robust.map(({ attack }) => attack))];
  const together = labels.length > 1;
  return grid([
    [`${norm} length`, ...labels, ...(together ? ['the worst'] : [])],
    ...worst.map(({ epsilon, accuracy }) => [
      String(epsilon),
      ...robust.filter((figure) => figure.epsilon === epsilon).map((figure) => accuracyText(figure.accuracy, 2)),
      ...(together ? [accuracyText(accuracy, 2)] : []),
    ]),
  ]);
}

/** What the attacks took, one line each; a distance attack ran once for all lengths. */
function costs({ robust }: Evaluation): string {
  const labels = [...new Set(robust.map(({ attack }) => attack))];
  const row = (label: string): string[] => {
    const all = robust.filter(({ attack }) => attack === label);
    const runs = all[0]!.distance ? all.slice(0, 1) : all;
    const sum = (key: 'attacked' | 'queries' | 'backwards' | 'seconds'): number =>
      runs.reduce((total, run) => total + run[key], 0);
    const attacked = Math.max(1, sum('attacked'));
    return [
      label,
      String(sum('attacked')),
      significant(sum('queries') / attacked),
      significant(sum('backwards') / attacked),
      duration(sum('seconds')),
    ];
  };
  return grid([['attack', 'images', 'forwards each', 'backwards each', 'time'], ...labels.map(row)]);
}

const distances = ({ distances: all, norm }: Evaluation): string =>
  all
    .map(({ attack, examples, found, median, quantiles }) => {
      const [low, high] = [quantiles[1]!.distance, quantiles[3]!.distance];
      const text = (distance: number | null): string => (distance === null ? 'beyond' : significant(distance));
      return `${attack}: ${norm} distance ${text(median)} in the median, ${text(low)} to ${text(high)} for the middle half; found for ${found} of ${examples}\n`;
    })
    .join('');

/** Measures what a network withstands. */
export const evaluateCommand = defineCommand({
  name: 'evaluate',
  summary: 'measure what a network withstands',
  description:
    'Measures a network that sparring train has saved: how many images it classifies rightly, clean, under each attack at ' +
    'each length, and under the worst of the attacks, image by image. Images that are misclassified clean count as wrong ' +
    'everywhere. Signs that the network hides its gradients are told as warnings.',
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
    [
      'sparring evaluate lwa.safetensors --survivors --clip 0 1 --out adversarial',
      'each attack on what is left, and the worst images kept for sparring verify',
    ],
  ],
  async run(session, options, [path]) {
    const { norm, batchSize, survivors, out, report, checkpoint, split, limit } = options;
    const [names, epsilons] = [[...new Set(options.attacks)], [...new Set(options.epsilons)]];
    const { network, model, training, images, clip, title } = await readSubject(path!, options, {
      flag: '--epsilons',
      values: epsilons,
    });
    const source = options.source === undefined ? undefined : (await loadNetwork(options.source)).network;
    if (out !== undefined) await ensureWritable(out);
    if (report !== undefined) await checkWritable(report);
    if (checkpoint !== undefined) {
      await checkWritable(checkpoint);
      session.saved = () => `what is done is in ${checkpoint}; the same command goes on from it`;
    }
    const transfers = source && names.map((name) => ({ name, label: `${name} transferred`, source }));
    const attacks = [...names.map(chosen), ...(transfers ?? [])];
    const seen: string[] = [];
    const evaluation = await evaluate(network, images, {
      attacks,
      epsilons,
      norm,
      batchSize,
      survivorsOnly: survivors,
      keepInputs: out !== undefined,
      signal: session.signal,
      ...(clip && { clip }),
      ...(checkpoint !== undefined && { checkpoint }),
      onProgress: (done, total, what, epsilon) => {
        const run = `${what} ${epsilon ?? ''}`;
        if (seen.at(-1) !== run) seen.push(run);
        const detail = epsilon === undefined ? `${norm} distances` : `${norm} length ${epsilon}`;
        session.progress({
          what,
          done: (seen.length - 1) * total + done,
          total: Math.max(seen.length, attacks.length * epsilons.length) * total,
          detail,
        });
      },
    });
    const manifest =
      out === undefined
        ? undefined
        : await writeAdversarialSet(out, evaluation, {
            network: path!,
            data: images,
            split,
            limit,
            attacks: [...new Set(evaluation.robust.map(({ attack }) => attack))],
          });
    if (report !== undefined)
      await writeFileAtomic(report, await renderRobustness([{ model, method: training.method, ...evaluation }]));
    // What became of each image goes to the files.
    const figures = { ...evaluation, outcomes: undefined, worstInputs: undefined };
    const warnings = evaluation.flags.map(({ message }) => `warning: ${message}\n`).join('');
    return {
      json: {
        network: path,
        data: images.name,
        split,
        ...figures,
        report: report ?? null,
        ...(manifest && { out, sets: manifest.sets }),
      },
      text:
        `${title}accuracy in %, ± 95 % interval; clean ${accuracyText(evaluation.clean, 2)}` +
        `${survivors ? '; each attack on what withstood those before it' : ''}\n\n` +
        `${accuracies(evaluation)}\n${costs(evaluation)}` +
        [distances(evaluation), warnings].map((part) => (part === '' ? '' : `\n${part}`)).join('') +
        (report === undefined ? '' : `\nthe report is ${report}\n`) +
        (out === undefined ? '' : `\nthe worst images are in ${out}; sparring verify ${out} scores them again\n`),
    };
  },
});
