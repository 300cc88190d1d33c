/** `sparring train` */
import { rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import type { Sequential } from '../nn/layers.js';
import { accuracy as accuracyText, duration } from '../report/format.js';
import { wilson } from '../report/intervals.js';
import type { Figure } from '../report/results.js';
import { evaluate } from '../evaluation/evaluate.js';
import { accuracy } from '../training/accuracy.js';
import type { Best } from '../training/best.js';
import { train, type EpochEvent, type OptimizerChoice, type TrainOptions } from '../training/train.js';
import { defineCommand, type Values } from './command.js';
import { refusal } from './failure.js';
import { entries } from './grid.js';
import { dataNames, load, withValidation } from './images.js';
import { methodNames, methodOf, methodOptions } from './methods.js';
import { build, saveNetwork, type Description } from '../training/network.js';
import { checkLengths, checkWritable, dataDir, length, type NormName } from './options.js';
import type { Session } from './session.js';
import { choice, either, file, flag, list, option, real, whole } from './values.js';

const rates = { sgd: 0.05, adam: 0.001 };

const options = {
  model: option(choice(['mlp', 'lenet', 'cifarNet']), 'network: mlp (dense layers), lenet or cifarNet', {
    fallback: 'mlp',
  }),
  data: option(choice(dataNames), `data set: ${either(dataNames)}`, { fallback: 'mnist' }),
  dataDir,
  method: option(choice(methodNames), `how it learns: ${either(methodNames)}`, { required: true }),
  ...methodOptions,
  epochs: option(whole({ least: 1 }), 'passes over the training images', { fallback: 6 }),
  warmUp: option(whole({ least: 0 }), 'how many of the epochs, the first, learn from images as they are', {
    fallback: 0,
  }),
  batchSize: option(whole({ least: 1 }), 'images a step', { fallback: 128 }),
  optimizer: option(choice(['sgd', 'adam']), 'optimizer: sgd or adam', { fallback: 'sgd' }),
  rate: option(real({ least: 0 }), 'learning rate at the start; it falls to 0 along half a cosine', {
    fallbackText: Object.entries(rates)
      .map(([name, rate]) => `${rate} for ${name}`)
      .join(', '),
  }),
  momentum: option(real({ least: 0, below: 1 }), 'momentum', {
    fallback: 0.9,
    only: { option: 'optimizer', values: ['sgd'] },
  }),
  weightDecay: option(real({ least: 0 }), 'weight decay', { fallback: 0 }),
  clipGradients: option(real({ least: 0 }), 'most that an entry of the gradients may be, either way', {
    fallbackText: 'no bound',
  }),
  crop: option(whole({ least: 0 }), 'pixels that the images are moved by at most, at random, each time', {
    fallback: 0,
  }),
  mirror: flag('show every other image, at random, in a mirror'),
  seed: option(whole({ least: 0 }), 'seed of the split, the first weights, the order and all that is random', {
    fallback: 0,
  }),
  hidden: option(list(whole({ least: 1 })), 'widths of the hidden layers', {
    fallback: [1000, 1000],
    only: { option: 'model', values: ['mlp'] },
  }),
  channels: option(list(whole({ least: 1 })), 'channels of the two groups of convolutions', {
    fallback: [64, 128],
    only: { option: 'model', values: ['cifarNet'] },
  }),
  dense: option(list(whole({ least: 1 })), 'widths of the hidden dense layers', {
    fallback: [2048, 2048],
    only: { option: 'model', values: ['cifarNet'] },
  }),
  normalize: flag('have the network itself bring pixels of 0 to 1 to -1 to 1', {
    option: 'model',
    values: ['cifarNet'],
  }),
  activation: option(choice(['relu', 'tanh']), 'activation: relu or tanh', { fallback: 'relu' }),
  dropout: option(real({ least: 0, below: 1 }), 'fraction of the hidden units left out at each step', {
    fallbackText: '0, and 0.5 for cifarNet',
  }),
  keepBest: option(
    length,
    'end with the epoch that names most validation images rightly when Adv_Loss moves them by this l2 length; 0 for ' +
      'images as they are',
    { fallbackText: 'the last epoch' },
  ),
  averageWeights: option(
    real({ least: 0, below: 1 }),
    'end with a moving average of the weights: how much of it is kept at each step, for instance 0.999',
    { fallbackText: 'the last weights' },
  ),
  out: option(file, 'where the trained network goes, a safetensors file', { required: true }),
  checkpoint: option(
    file,
    'file that keeps the state after each epoch, so that a stopped training can go on; removed at the end',
    { fallbackText: 'none' },
  ),
};

type Options = Values<typeof options>;

function describeModel(
  { model, hidden, channels: filters, dense, normalize, activation, dropout, seed }: Options,
  { shape, classes }: Dataset,
): Pick<Description, 'model' | 'options'> {
  const [channels, height, width] = shape as [number, number, number];
  const own = {
    mlp: { inputs: channels * height * width, hidden },
    lenet: { channels, height, width },
    cifarNet: { shape, channels: filters, dense, ...(normalize && { normalize: { mean: [0.5], std: [0.5] } }) },
  }[model];
  return { model, options: { ...own, classes, activation, ...(dropout !== undefined && { dropout }), seed } };
}

function optimizerOf({ optimizer, rate = rates[optimizer], momentum, ...options }: Options): OptimizerChoice {
  const { weightDecay, clipGradients } = options;
  const shared = { rate, weightDecay, ...(clipGradients !== undefined && { clipGradients }) };
  return optimizer === 'sgd' ? { name: 'sgd', momentum, ...shared } : { name: 'adam', ...shared };
}

/** How the best epoch is found, where it is asked for. */
function keeping({ keepBest: epsilon }: Options, { signal }: Session): Pick<TrainOptions, 'keepBest'> {
  if (epsilon === undefined) return {};
  return {
    keepBest: async (model, validation) => {
      const { worst } = await evaluate(model, validation, { attacks: ['advLoss'], epsilons: [epsilon], signal });
      return worst[0]!.accuracy.mean;
    },
  };
}

type Epoch = Omit<EpochEvent, 'type' | 'epochs'>;

interface Learning extends Omit<TrainOptions, 'checkpoint'> {
  /** What it is called while it goes on. */
  what: string;
  epochs: number;
  checkpoint: string | undefined;
}

/** Trains, and tells the session of it; what each epoch gave. */
async function learn(
  session: Session,
  network: Sequential,
  images: Dataset,
  { what, checkpoint, ...training }: Learning,
): Promise<{ history: Epoch[]; best: Best | undefined }> {
  const { epochs } = training;
  const history: Epoch[] = [];
  let best: Best | undefined;
  let kept = 0;
  session.saved = () =>
    checkpoint === undefined || kept === 0
      ? undefined
      : `${checkpoint} keeps the state after epoch ${kept} of ${epochs}; the same command goes on from there`;
  session.unsaved =
    checkpoint === undefined
      ? 'nothing was saved; with --checkpoint <file> a stopped training can go on'
      : `nothing was saved yet: ${checkpoint} is written after each epoch`;
  const { signal } = session;
  for await (const event of train(network, images, {
    ...training,
    signal,
    ...(checkpoint !== undefined && { checkpoint }),
  })) {
    if (event.type === 'step') {
      const { step, steps, epoch, loss } = event;
      if (epoch - 1 > kept) session.note(`going on from ${checkpoint} with epoch ${epoch}`);
      kept = epoch - 1;
      session.progress({ what, done: step, total: steps, detail: `epoch ${epoch}/${epochs}, loss ${loss.toFixed(3)}` });
    } else if (event.type === 'epoch') {
      const { epoch, loss, validation, worth, seconds } = event;
      history.push({ epoch, loss, validation, ...(worth !== undefined && { worth }), seconds });
      kept = epoch;
      const percent = (part: number): string => `${(100 * part).toFixed(2)} %`;
      const attacked = worth === undefined ? '' : `  attacked ${percent(worth)}`;
      const figures = `loss ${loss.toFixed(4)}  validation ${percent(validation!)}${attacked}`;
      session.note(`epoch ${epoch}/${epochs}  ${figures}  ${duration(seconds)}`);
    } else {
      ({ best } = event);
      if (best !== undefined) session.note(`the weights of epoch ${best.epoch} are kept`);
    }
  }
  return { history, best };
}

/** Trains a network and keeps it in a file. */
export const trainCommand = defineCommand({
  name: 'train',
  summary: 'train a network, against an adversary or without one',
  description:
    'Trains a network and writes it to a file that attack and evaluate read. A sixth of the training images, chosen by ' +
    'the seed, is set aside for validation: 10,000 of the 60,000 of MNIST, as in the paper. The same command gives the ' +
    'same weights, bit for bit, on the same machine.',
  options,
  examples: [
    [
      'sparring train --method lwa --out lwa.safetensors',
      "the paper's network on MNIST, trained against perturbations of l2 length 1.5",
    ],
    [
      'sparring train --method normal --model lenet --epochs 2 --out lenet.safetensors',
      'LeNet, trained as usual, in two epochs',
    ],
    [
      'sparring train --method lwa --epochs 50 --checkpoint lwa.checkpoint --out lwa.safetensors',
      'may be stopped with Ctrl-C; the same command goes on',
    ],
  ],
  async run(session, options) {
    const { data, dataDir, epochs, warmUp, batchSize, seed, out, checkpoint } = options;
    if (warmUp >= epochs) throw refusal(`--warm-up: expected fewer than the ${epochs} epochs, received ${warmUp}`);
    if (checkpoint !== undefined && resolve(checkpoint) === resolve(out)) {
      throw refusal('--checkpoint: expected another file than --out');
    }
    const { train: images, validation, test } = withValidation(await load(data, { dir: dataDir }), seed);
    const method = methodOf(options.method, options);
    const { epsilon, norm } = method.settings;
    // Of lwaRep the length is not one of inputs.
    if (typeof epsilon === 'number' && options.method !== 'lwaRep')
      checkLengths('--epsilon', [epsilon], norm as NormName, images);
    await checkWritable(out);
    if (checkpoint !== undefined) await checkWritable(checkpoint);

    const optimizer = optimizerOf(options);
    const model = describeModel(options, images);
    const network = build(model);
    const { crop, mirror, averageWeights } = options;
    const augment = crop > 0 || mirror ? { augment: { crop, mirror } } : {};
    const settings = {
      method,
      epochs,
      ...(warmUp > 0 && { warmUp }),
      batchSize,
      optimizer,
      ...augment,
      ...(averageWeights !== undefined && { averageWeights }),
      seed,
    };
    const what = `${options.model} ${method.name}`;
    const learning = { ...settings, validation, what, checkpoint, ...keeping(options, session) };
    const { history, best } = await learn(session, network, images, learning);
    const training = {
      data,
      images: images.rows.length,
      ...settings,
      method: method.name,
      settings: method.settings,
      ...(best && { best: { ...best, epsilon: options.keepBest } }),
    };
    await saveNetwork(out, network, { ...model, input: { shape: [...images.shape], scale: images.scale }, training });
    session.saved = () => `${out} is saved`;
    if (checkpoint !== undefined) await rm(checkpoint, { force: true });

    const figure = async (set: Dataset): Promise<Figure> => {
      const { correct, total } = await accuracy(network, set, { signal: session.signal });
      return wilson(correct, total);
    };
    const figures = { validation: await figure(validation), test: await figure(test) };
    const seconds = history.reduce((sum, epoch) => sum + epoch.seconds, 0);
    const { size } = await stat(out);
    return {
      json: { file: out, ...model, training, history, accuracy: figures, seconds },
      text:
        `${out}: ${options.model} trained by ${method.name} on ${images.rows.length} images of ${data}, ${(size / 1e6).toFixed(1)} MB\n` +
        entries([
          ['validation accuracy', `${accuracyText(figures.validation, 2)} %`],
          ['test accuracy', `${accuracyText(figures.test, 2)} %`],
          ['trained for', duration(seconds)],
        ]),
    };
  },
});
