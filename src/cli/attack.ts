/** `sparring attack` */
import type { Attack, AttackOptions, AttackResult } from '../adversary/attack.js';
import * as attacks from '../adversary/index.js';
import type { NumberArray } from '../native.js';
import { saveSafetensors } from '../io/weights.js';
import { accuracy as accuracyText, duration, significant } from '../report/format.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import { accuracy } from '../training/accuracy.js';
import { Examples } from '../training/examples.js';
import { attackOptions, attackSettings } from './attacks.js';
import { defineCommand, type Values } from './command.js';
import { refusal } from './failure.js';
import { entries } from './grid.js';
import { attackNames, checkWritable, epsilon as usual, length, measuring } from './options.js';
import { readSubject } from './subject.js';
import { choice, either, file, option } from './values.js';

const options = {
  attack: option(choice(attackNames), `attack: ${either(attackNames)}`, { required: true }),
  epsilon: option(length, usual.description, {
    fallbackText: `${usual.fallback}; of attacks that look for the shortest perturbation: no limit`,
  }),
  ...attackOptions,
  ...measuring,
  out: option(file, 'where the adversarial images go, a safetensors file', { fallbackText: 'nowhere' }),
};

/** What is asked of the attack itself. */
function settingsOf({ attack, epsilon, norm, ...own }: Values<typeof options>): Record<string, unknown> {
  const { needsEpsilon, norms } = attacks[attack];
  if (!norms.includes(norm))
    throw refusal(`--norm: expected ${either(norms)} with --attack ${attack}, received '${norm}'`);
  const most = epsilon ?? (needsEpsilon ? usual.fallback : undefined);
  return { norm, ...attackSettings(attack, own), ...(most !== undefined && { epsilon: most }) };
}

const sum = (numbers: NumberArray): number => Array.from(numbers).reduce((total, each) => total + each, 0);

/** The middle one of some numbers, or the mean of the two middle ones. */
function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined ? null : (low + high!) / 2;
}

/** What became of the images: those turned were classified rightly, and no longer are. */
function summary({ success, norms, queries }: AttackResult): {
  after: Figure;
  turned: number;
  medianLength: number | null;
  queries: number;
} {
  const broken = success.data();
  const lengths = Array.from(norms.data()).filter((moved, i) => broken[i] === 1 && moved > 0);
  return {
    after: wilson(broken.length - sum(broken), broken.length),
    turned: lengths.length,
    medianLength: median(lengths),
    queries: sum(queries.data()) / broken.length,
  };
}

/** Attacks a network and keeps what it gave. */
export const attackCommand = defineCommand({
  name: 'attack',
  summary: 'attack a network and keep the adversarial images',
  description:
    'Attacks a network that sparring train has saved. The file of adversarial images holds the tensors inputs, adversarial, ' +
    'labels, success (1 where the attacked image is misclassified) and norms (how far each image was moved).',
  operand: { placeholder: 'network', description: 'file that sparring train has written', kind: file },
  options,
  examples: [
    [
      'sparring attack lwa.safetensors --attack advLoss --epsilon 1.5',
      'moves each test image by l2 length 1.5 along the loss gradient',
    ],
    [
      'sparring attack lwa.safetensors --attack minimal --limit 1000 --out adversarial.safetensors',
      'finds for each of 1000 images how little changes its class',
    ],
    [
      'sparring attack lwa.safetensors --attack fmn --norm linf --clip 0 1',
      'the shortest perturbations that a stronger search finds',
    ],
    [
      'sparring attack lwa.safetensors --attack pgd --steps 40 --restarts 2 --step-size .1',
      'forty steps of length .1, from two random places; each attack has options of its own',
    ],
    [
      'sparring attack lwa.safetensors --attack autoAttack --norm linf --epsilon 0.1 --clip 0 1',
      'the standard protocol',
    ],
    [
      'sparring attack lwa.safetensors --attack advLoss --norm linf --epsilon 0.1 --clip 0 1',
      'the fast gradient sign, kept inside the range of pixels',
    ],
  ],
  async run(session, options, [path]) {
    const settings = settingsOf(options);
    const lengths = settings.epsilon === undefined ? [] : [settings.epsilon as number];
    const { network, images, clip, title } = await readSubject(path!, options, { flag: '--epsilon', values: lengths });
    if (options.out !== undefined) await checkWritable(options.out);
    const { attack: name, norm, batchSize, out, split } = options;
    const { signal } = session;

    const { correct, total } = await accuracy(network, images, { batchSize, signal });
    const before = wilson(correct, total);
    const examples = new Examples(images);
    return scope(async () => {
      const { x, y } = examples.batch(tensor(images.rows));
      examples.dispose();
      const started = performance.now();
      const attack = attacks[name] as Attack<AttackOptions & Record<string, unknown>>;
      const result = await attack(network, x, y, {
        ...settings,
        batchSize,
        signal,
        ...(clip && { clip }),
        onProgress: (done) => {
          session.progress({ what: name, done, total, detail: `${done} of ${total} images` });
        },
      });
      const seconds = (performance.now() - started) / 1000;
      const { after, turned, medianLength, queries } = summary(result);
      const record = {
        network: path,
        attack: name,
        settings: { ...settings, clip: clip ?? null },
        data: images.name,
        split,
      };
      if (out !== undefined) {
        const { adversarial, success, norms } = result;
        const metadata = { attack: JSON.stringify(record) };
        await saveSafetensors(out, { inputs: x, adversarial, labels: y, success, norms }, { metadata });
      }
      const settingsText = Object.entries(settings)
        .map((entry) => entry.join(' '))
        .join(', ');
      const lengthText = medianLength === null ? '' : `, median ${norm} length ${significant(medianLength)}`;
      const lines: [string, string][] = [
        ['attack', `${name}, ${settingsText}`],
        ['accuracy before', `${accuracyText(before, 2)} %`],
        ['accuracy after', `${accuracyText(after, 2)} %`],
        ['images turned', `${turned}${lengthText}`],
        ['evaluations', `${significant(queries)} for each image, ${duration(seconds)} in all`],
      ];
      if (out !== undefined) lines.push(['saved to', out]);
      return {
        json: {
          ...record,
          images: total,
          accuracy: { before, after },
          turned,
          medianLength,
          queries,
          seconds,
          file: out ?? null,
        },
        text: title + entries(lines),
      };
    });
  },
});
