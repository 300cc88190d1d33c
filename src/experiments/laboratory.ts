/** What the experiments share: the images, and networks that are trained once and kept. */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { split } from '../data/dataset.js';
import { datasets } from '../data/datasets.js';
import type { Sequential } from '../nn/layers.js';
import { build, loadNetwork, saveNetwork, type Description } from '../training/network.js';
import { train } from '../training/train.js';
import type { Images, Profile, Recipe } from './profiles.js';

/** A network of an experiment, and how long it was trained. */
export interface Trained {
  recipe: Recipe;
  network: Sequential;
  seconds: number;
}

/** Told of work as it is done: `units` more of the command's total. */
export type Report = (what: string, units: number, detail: string) => void;

/** Options of a {@link Laboratory}. */
export interface LaboratoryOptions {
  profile: Profile;
  /** The folder that trained networks are kept in. */
  folder: string;
  /** Whether networks that are there already are taken instead of trained. */
  resume: boolean;
  signal: AbortSignal | undefined;
  report: Report;
}

const imagesFor = async (seed: number): Promise<Images> => {
  const { train: all, test } = await datasets.mnist();
  const [first, validation] = split(all, { sizes: [50000, 10000], seed });
  return { train: first!, validation: validation!, test };
};

/** Units of work of a training: steps, weighted by what one takes. */
export function trainingUnits({ epochs, batchSize, cost }: Recipe): number {
  return epochs * Math.ceil(50000 / batchSize) * cost;
}

/** Trains what the experiments need, each network once. */
export class Laboratory {
  readonly #networks = new Map<string, Promise<Trained>>();
  readonly #images = new Map<number, Promise<Images>>();

  constructor(readonly options: LaboratoryOptions) {}

  get signal(): { signal: AbortSignal } | Record<string, never> {
    return this.options.signal === undefined ? {} : { signal: this.options.signal };
  }

  /** The paper's split of MNIST for a seed. */
  images(seed: number): Promise<Images> {
    let images = this.#images.get(seed);
    if (images === undefined) this.#images.set(seed, (images = imagesFor(seed)));
    return images;
  }

  /** The network of a recipe and a seed, trained at the first call. */
  network(recipe: Recipe, seed: number): Promise<Trained> {
    const name = `${recipe.model}-${recipe.method.name}-${seed}`;
    let network = this.#networks.get(name);
    if (network === undefined)
      this.#networks.set(
        name,
        (network = this.#trained(recipe, seed, join(this.options.folder, `${name}.safetensors`))),
      );
    return network;
  }

  /** The network of a finished earlier run, if this run goes on from it and it was trained alike. */
  async #kept(
    path: string,
    training: Description['training'],
  ): Promise<{ network: Sequential; seconds: number } | undefined> {
    if (
      !this.options.resume ||
      !(await access(path).then(
        () => true,
        () => false,
      ))
    )
      return undefined;
    const { network, training: earlier } = await loadNetwork(path);
    const { seconds, ...settings } = earlier;
    if (JSON.stringify(settings) === JSON.stringify(training)) return { network, seconds: Number(seconds) };
    network.dispose();
    return undefined;
  }

  async #trained(recipe: Recipe, seed: number, path: string): Promise<Trained> {
    const { model, method, epochs, batchSize, optimizer, cost } = recipe;
    const what = `${model} ${method.name}`;
    const training = {
      data: 'mnist',
      seed,
      method: method.name,
      settings: method.settings,
      epochs,
      batchSize,
      optimizer,
    };
    const kept = await this.#kept(path, training);
    if (kept !== undefined) {
      this.options.report(what, trainingUnits(recipe), 'trained before');
      return { recipe, ...kept };
    }
    const checkpoint = `${path}.checkpoint`;
    if (!this.options.resume) await rm(checkpoint, { force: true });
    const { train: examples } = await this.images(seed);
    const options = { seed };
    const network = build({ model, options });
    let seconds = 0;
    for await (const event of train(network, examples, {
      method,
      epochs,
      batchSize,
      optimizer,
      seed,
      checkpoint,
      ...this.signal,
    })) {
      if (event.type === 'step')
        this.options.report(what, cost, `epoch ${event.epoch}/${epochs}, loss ${event.loss.toFixed(3)}`);
      if (event.type === 'epoch') seconds += event.seconds;
    }
    const input = { shape: [...examples.shape], scale: examples.scale };
    await saveNetwork(path, network, { model, options, input, training: { ...training, seconds } });
    await rm(checkpoint, { force: true });
    return { recipe, network, seconds };
  }

  /** Frees the networks. */
  async dispose(): Promise<void> {
    for (const trained of this.#networks.values()) {
      await trained.then(
        ({ network }) => network.dispose(),
        () => undefined,
      );
    }
  }
}
