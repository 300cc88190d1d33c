/** What the experiments share: the images, networks that are trained once, and cells that are measured once. */
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { datasets, type TrainTest } from '../data/datasets.js';
import { SparringError } from '../errors.js';
import { writeFileAtomic } from '../io/atomic.js';
import type { Sequential } from '../nn/layers.js';
import { build, loadNetwork, saveNetwork, type Description } from '../training/network.js';
import { train } from '../training/train.js';
import { imagesOf, trainingSize, type DataName, type Images } from './images.js';
import { labelOf, type Profile, type Recipe } from './profiles.js';

/** A network of an experiment, and how long it was trained. */
export interface Trained {
  network: Sequential;
  seconds: number;
}

/** Told of work as it is done: `units` more of the command's total. */
export type Report = (what: string, units: number, detail: string) => void;

/** What is measured of a network after each epoch of its training. */
export interface Follower<T> {
  /** Everything that the values depend on, beside the network and the epoch. */
  settings: object;
  units: number;
  measure: (network: Sequential, images: Images) => Promise<T>;
}

/** Options of a {@link Laboratory}. */
export interface LaboratoryOptions {
  profile: Profile;
  /** The folder that trained networks and measured cells are kept in. */
  folder: string;
  /** Whether what is there already is taken instead of done again. */
  resume: boolean;
  signal: AbortSignal | undefined;
  report: Report;
}

/** Something measured, and how. */
export interface Cell<T> {
  /** Names the file; that of a network's cell begins with the network's name and a dot. */
  name: string;
  /** Everything that the value depends on, as JSON: a cell of other settings is measured anew. */
  settings: unknown;
  /** Units of work. */
  units: number;
  /** What progress reports say of it. */
  what: string;
  measure: (onProgress: (done: number, total: number, detail?: string) => void) => Promise<T>;
}

const cellFormat = 'sparring-cell';
const cellVersion = 1;

/** Units of work of a training: steps, weighted by what one takes. */
export const trainingUnits = ({ data, epochs, batchSize, cost }: Recipe): number =>
  epochs * Math.ceil(trainingSize(data) / batchSize) * cost;

/** The name of a network's file. */
export const networkName = (recipe: Recipe, seed: number): string =>
  `${recipe.data}-${recipe.model}-${labelOf(recipe)}-${seed}`;

/** Everything that a network comes of, for the record and to know it again. */
export function trainingOf(recipe: Recipe, seed: number): Description['training'] {
  const { data, method, epochs, batchSize, optimizer, training = {} } = recipe;
  return { data, seed, method: method.name, settings: method.settings, epochs, batchSize, optimizer, ...training };
}

/** What tells the networks of a recipe apart from others of the same name. */
const identity = (recipe: Recipe, seed: number): unknown => ({
  model: recipe.model,
  options: { ...recipe.options, seed },
  training: trainingOf(recipe, seed),
});

/** As it is read back from a file. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const missing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** How long a training took of which some epochs may have been an earlier run's, by those of this one. */
const wholeTime = (spent: readonly number[], epochs: number): number =>
  (spent.reduce((sum, seconds) => sum + seconds, 0) / Math.max(1, spent.length)) * epochs;

/** Trains what the experiments need, and measures it, each once. */
export class Laboratory {
  readonly #networks = new Map<string, Promise<Trained>>();
  /** Networks that are trained and in their files, in memory or not. */
  readonly #filed = new Set<string>();
  readonly #published = new Map<DataName, Promise<TrainTest>>();
  readonly #followers = new Map<string, Follower<unknown>>();
  /** What was measured in this run, or taken over: settings and value as JSON. */
  readonly #cells = new Map<string, { settings: unknown; value: unknown }>();

  constructor(readonly options: LaboratoryOptions) {}

  get profile(): Profile {
    return this.options.profile;
  }

  /** The signal as an option of whatever can be stopped. */
  get signal(): { signal: AbortSignal } | Record<string, never> {
    return this.options.signal === undefined ? {} : { signal: this.options.signal };
  }

  /** The images of a data set, split by a seed. The files are read once. */
  async images(data: DataName, seed: number): Promise<Images> {
    let published = this.#published.get(data);
    if (published === undefined) this.#published.set(data, (published = datasets[data]()));
    return imagesOf(data, await published, seed);
  }

  /** Has the network of a recipe and a seed measured after each epoch, when it is trained. */
  follow<T>(recipe: Recipe, seed: number, follower: Follower<T>): void {
    this.#followers.set(networkName(recipe, seed), follower);
  }

  /** What was measured after each epoch of a network that is followed. */
  async followed<T>(recipe: Recipe, seed: number): Promise<T[]> {
    const name = networkName(recipe, seed);
    const epochs = Array.from({ length: recipe.epochs }, (_, index) => index + 1);
    for (;;) {
      await this.network(recipe, seed);
      const cells = await Promise.all(
        epochs.map((epoch) => this.#keptCell(`${name}.epoch-${epoch}`, this.#epochSettings(recipe, seed, epoch))),
      );
      if (cells.every((cell) => cell !== undefined)) return cells.map(({ value }) => value as T);
      // Trained by a run that did not look, or one that was killed before it could: trained again, to the same weights.
      const { network } = await this.network(recipe, seed);
      network.dispose();
      this.#networks.delete(name);
      await this.#setAside(name);
      this.#networks.set(name, this.#trained(recipe, seed, name));
    }
  }

  #epochSettings(recipe: Recipe, seed: number, epoch: number): unknown {
    const { settings } = this.#followers.get(networkName(recipe, seed))!;
    return { ...settings, epoch, network: identity(recipe, seed) };
  }

  /** The network of a recipe and a seed, trained at the first call; it is the caller's until it is released. */
  network(recipe: Recipe, seed: number): Promise<Trained> {
    const name = networkName(recipe, seed);
    let network = this.#networks.get(name);
    if (network === undefined) {
      network = this.#filed.has(name) ? this.#read(name) : this.#kept(recipe, seed, name);
      this.#networks.set(name, network);
    }
    return network;
  }

  /** Frees the networks in memory: one that is asked for again is read back from its file. */
  async release(): Promise<void> {
    const networks = [...this.#networks.values()];
    this.#networks.clear();
    for (const trained of networks) {
      await trained.then(
        ({ network }) => network.dispose(),
        () => undefined,
      );
    }
  }

  #path(name: string): string {
    return join(this.options.folder, `${name}.safetensors`);
  }

  async #read(name: string): Promise<Trained> {
    const { network, training } = await loadNetwork(this.#path(name));
    return { network, seconds: Number(training.seconds) };
  }

  /** What is measured of the network of a recipe and a seed. */
  ofNetwork<T>(
    recipe: Recipe,
    seed: number,
    { name, settings, ...cell }: Omit<Cell<T>, 'what'> & { also?: { recipe: Recipe; seed: number } },
  ): Promise<T> {
    const { also, ...rest } = cell;
    return this.cell({
      ...rest,
      name: `${networkName(recipe, seed)}.${name}`,
      what: `${recipe.model} ${labelOf(recipe)}`,
      settings: {
        ...(settings as object),
        network: identity(recipe, seed),
        ...(also && { also: identity(also.recipe, also.seed) }),
      },
    });
  }

  /** A cell: as an earlier run measured it if this one goes on from it, else measured now and kept. */
  async cell<T>({ name, settings, units, what, measure }: Cell<T>): Promise<T> {
    const { report } = this.options;
    const detail = name.slice(name.indexOf('.') + 1);
    const kept = await this.#keptCell(name, settings);
    if (kept !== undefined) {
      report(what, units, `${detail}: measured before`);
      return kept.value as T;
    }
    let before = 0;
    const value = await measure((done, total, more = '') => {
      report(what, ((done - before) / total) * units, `${detail}${more && ` ${more}`}, ${done} of ${total}`);
      before = done;
    });
    if (before === 0) report(what, units, detail);
    this.#cells.set(name, { settings, value });
    const content = { format: cellFormat, version: cellVersion, settings, value };
    await writeFileAtomic(join(this.options.folder, `${name}.json`), `${JSON.stringify(content)}\n`);
    return value;
  }

  /** A cell that is measured already, of the same settings. */
  async #keptCell(name: string, settings: unknown): Promise<{ value: unknown } | undefined> {
    const ours = this.#cells.get(name);
    if (ours !== undefined && same(ours.settings, settings)) return ours;
    if (!this.options.resume) return undefined;
    const path = join(this.options.folder, `${name}.json`);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (missing(error)) return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    let found: { format?: unknown; version?: unknown; settings?: unknown; value: unknown };
    try {
      found = JSON.parse(text) as typeof found;
    } catch (cause) {
      throw new SparringError(
        'BAD_FILE',
        `${path}: expected a measured cell, received a damaged file; remove it to have it measured anew`,
        { cause },
      );
    }
    if (found.format !== cellFormat || found.version !== cellVersion) {
      throw new SparringError(
        'BAD_FILE',
        `${path}: expected a measured cell of version ${cellVersion}, received version ${String(found.version)}; ` +
          'it is left as it is: go on with the version of sparring that wrote it, or choose another folder',
      );
    }
    if (!same(found.settings, plain(settings))) return undefined;
    this.#cells.set(name, { settings, value: found.value });
    return { value: found.value };
  }

  async #kept(recipe: Recipe, seed: number, name: string): Promise<Trained> {
    if (this.options.resume) {
      const earlier = await loadNetwork(this.#path(name)).catch((error: unknown) => {
        if (error instanceof SparringError && error.code === 'NOT_FOUND') return undefined;
        throw error;
      });
      if (earlier !== undefined) {
        const { seconds, ...training } = earlier.training;
        if (same({ model: earlier.model, options: earlier.options, training }, plain(identity(recipe, seed)))) {
          this.options.report(`${recipe.model} ${labelOf(recipe)}`, trainingUnits(recipe), 'trained before');
          this.#filed.add(name);
          return { network: earlier.network, seconds: Number(seconds) };
        }
        earlier.network.dispose();
      }
    }
    return this.#trained(recipe, seed, name);
  }

  /** Moves what there is of a network to the folder `earlier`, which keeps one generation. */
  async #setAside(name: string): Promise<void> {
    const { folder } = this.options;
    const files = (await readdir(folder)).filter((file) => file.startsWith(`${name}.`));
    if (files.length > 0) await mkdir(join(folder, 'earlier'), { recursive: true });
    for (const file of files) await rename(join(folder, file), join(folder, 'earlier', file));
    for (const cell of [...this.#cells.keys()]) if (cell.startsWith(`${name}.`)) this.#cells.delete(cell);
  }

  async #trained(recipe: Recipe, seed: number, name: string): Promise<Trained> {
    const { report, resume } = this.options;
    const { model, method, epochs, batchSize, optimizer, cost, training: more = {} } = recipe;
    const path = this.#path(name);
    const what = `${model} ${labelOf(recipe)}`;
    const checkpoint = `${path}.checkpoint`;
    if (!resume) await this.#setAside(name);
    const images = await this.images(recipe.data, seed);
    const follower = this.#followers.get(name);
    const options = { ...recipe.options, seed };
    const network = build({ model, options });
    const spent: number[] = [];
    try {
      for await (const event of train(network, images.train, {
        ...more,
        method,
        epochs,
        batchSize,
        optimizer,
        seed,
        checkpoint,
        ...this.signal,
      })) {
        if (event.type === 'step') report(what, cost, `epoch ${event.epoch}/${epochs}, loss ${event.loss.toFixed(3)}`);
        if (event.type === 'epoch') {
          spent.push(event.seconds);
          if (follower !== undefined) {
            const { units, measure } = follower;
            const settings = this.#epochSettings(recipe, seed, event.epoch);
            await this.cell({
              name: `${name}.epoch-${event.epoch}`,
              what,
              units,
              settings,
              measure: () => measure(network, images),
            });
          }
        }
      }
      const input = { shape: [...images.train.shape], scale: images.train.scale };
      const training = { ...trainingOf(recipe, seed), seconds: wholeTime(spent, epochs) };
      await saveNetwork(path, network, { model, options, input, training });
    } catch (error) {
      network.dispose();
      throw error;
    }
    this.#filed.add(name);
    await rm(checkpoint, { force: true });
    return { network, seconds: wholeTime(spent, epochs) };
  }
}
