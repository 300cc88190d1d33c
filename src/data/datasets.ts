import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { badFile } from '../io/bytes.js';
import { inflated, readBytes } from '../io/read.js';
import { parseOptions } from '../options.js';
import { cifarClassNames, decodeCifar, decodeCifarNames, type CifarFile } from './cifar.js';
import { fromArrays, type Dataset } from './dataset.js';
import { readIdx } from './idx.js';
import { fileSets, locate, type Located } from './locate.js';
import { untar } from './tar.js';

/** The two parts in which a data set is published. */
export interface TrainTest {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** How a data set is loaded. */
export interface DatasetOptions {
  /** Where its files are; looked for as `locate` says when not given. */
  readonly dir?: string;
  /** From stored bytes to values in [0, 1]. */
  readonly scale?: number;
}

const scaleOption = v.optional(
  v.pipe(
    v.number(),
    v.check(
      (value) => value > 0 && value * 255 <= 1,
      (issue) => `expected more than 0 and at most 1/255, received ${String(issue.input)}`,
    ),
  ),
);
const optionsSchema = v.strictObject({ dir: v.optional(v.string()), scale: scaleOption });
const sampleSchema = v.strictObject({ scale: scaleOption });

/** The paper divides by 256, not 255. */
const mnistScale = 1 / 256;

const digits: readonly string[] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

const clothes: readonly string[] = [
  'T-shirt/top',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle boot',
];

/**
 * SHA-256 of the published labels. MNIST and Fashion-MNIST call their files alike and have as many of them, so only the
 * contents tell a mix-up.
 */
const publishedLabels: ReadonlyMap<string, string> = new Map([
  ['1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13', 'mnist'],
  ['ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5', 'mnist'],
  ['657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7', 'fashion-mnist'],
  ['3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9', 'fashion-mnist'],
]);

interface IdxSet {
  readonly name: string;
  readonly classNames: readonly string[];
  readonly scale: number;
  /** The path of a file by its published name. */
  readonly path: (file: string) => string;
}

async function readPart({ name, classNames, scale, path }: IdxSet, part: 'train' | 't10k'): Promise<Dataset> {
  const [imagesPath, labelsPath] = [path(`${part}-images-idx3-ubyte`), path(`${part}-labels-idx1-ubyte`)];
  const { data: inputs, shape } = await readIdx(imagesPath, { rank: 3 });
  const { data: labels } = await readIdx(labelsPath, { rank: 1 });
  const [count, height, width] = shape;
  if (!(inputs instanceof Uint8Array) || count === 0 || height !== 28 || width !== 28) {
    throw badFile(
      imagesPath,
      `expected images of 28x28 bytes, received ${shape.join('x')} in a ${inputs.constructor.name}`,
    );
  }
  if (!(labels instanceof Uint8Array) || labels.length !== count) {
    throw badFile(
      labelsPath,
      `expected ${count} bytes, one for each image of ${basename(imagesPath)}, received ${labels.length} in a ${labels.constructor.name}`,
    );
  }
  const stray = labels.findIndex((label) => label >= classNames.length);
  if (stray >= 0) {
    throw badFile(
      labelsPath,
      `expected labels of 0 to ${classNames.length - 1}, received ${labels[stray]} at row ${stray}`,
    );
  }
  const owner = publishedLabels.get(createHash('sha256').update(labels).digest('hex'));
  if (owner !== undefined && owner !== name) {
    throw badFile(labelsPath, `expected the labels of ${name}, received those of ${owner}`);
  }
  return fromArrays({ name, inputs, labels, shape: [1, height, width], classes: classNames.length, classNames, scale });
}

async function readIdxSet(set: IdxSet): Promise<TrainTest> {
  return { train: await readPart(set, 'train'), test: await readPart(set, 't10k') };
}

async function locatedIdxSet(
  set: 'mnist' | 'fashionMnist',
  classNames: readonly string[],
  options: DatasetOptions | undefined,
): Promise<TrainTest> {
  const { scale = mnistScale, ...where } = parseOptions(optionsSchema, options, `datasets.${set}`);
  const { name, files } = await locate(set, where);
  return readIdxSet({ name, classNames, scale, path: (file) => files.get(file)! });
}

async function mnist(options?: DatasetOptions): Promise<TrainTest> {
  return locatedIdxSet('mnist', digits, options);
}

async function fashionMnist(options?: DatasetOptions): Promise<TrainTest> {
  return locatedIdxSet('fashionMnist', clothes, options);
}

async function sample(options?: Pick<DatasetOptions, 'scale'>): Promise<TrainTest> {
  const { scale = mnistScale } = parseOptions(sampleSchema, options, 'datasets.sample');
  const folder = fileURLToPath(new URL('../../data/sample/', import.meta.url));
  return readIdxSet({ name: 'sample', classNames: digits, scale, path: (file) => join(folder, `${file}.gz`) });
}

async function readUnpacked(path: string): Promise<Uint8Array> {
  return inflated(await readBytes(path), path);
}

/** The files of CIFAR-10 by their published names, from a folder or from the one archive. */
async function readCifarFiles({ files }: Located): Promise<Map<string, CifarFile>> {
  const found = new Map<string, CifarFile>();
  const archive = files.get(fileSets.cifar10.archive);
  if (archive === undefined) {
    for (const [name, path] of files) found.set(name, { path, bytes: await readUnpacked(path) });
    return found;
  }
  for (const [member, bytes] of untar(await readUnpacked(archive), archive)) {
    found.set(basename(member), { path: `${archive}: ${member}`, bytes });
  }
  const missing = fileSets.cifar10.files.filter((name) => !found.has(name));
  if (missing.length > 0) throw badFile(archive, `expected the batches of CIFAR-10 in it, but it lacks ${missing.join(', ')}`);
  return found;
}

async function cifar10(options?: DatasetOptions): Promise<TrainTest> {
  const { scale = 1 / 255, ...where } = parseOptions(optionsSchema, options, 'datasets.cifar10');
  const located = await locate('cifar10', where);
  const files = await readCifarFiles(located);
  const meta = files.get('batches.meta.txt');
  const classNames = meta === undefined ? cifarClassNames : decodeCifarNames(meta.bytes, meta.path);

  const part = (names: readonly string[]): Dataset => {
    return fromArrays({
      name: located.name,
      ...decodeCifar(names.map((name) => files.get(name)!)),
      shape: [3, 32, 32],
      classes: classNames.length,
      classNames,
      scale,
    });
  };
  const names = fileSets.cifar10.files;
  return { train: part(names.slice(0, -1)), test: part(names.slice(-1)) };
}

/**
 * The data sets, as they are published: images as bytes, [channels, height, width], with their labels. Nothing is
 * downloaded; `locate` says where they are looked for.
 *
 * `mnist` and `fashionMnist` are 60,000 and 10,000 images of [1, 28, 28], scaled by 1/256 as in the paper; `cifar10` is
 * 50,000 and 10,000 of [3, 32, 32], scaled by 1/255; `sample` is 500 and 200 images of MNIST, as many of each digit, that
 * come with the library, for examples and tests.
 *
 * @throws NOT_FOUND when the files are nowhere, with what would help; BAD_FILE naming the file that is damaged, that does
 * not match its companion, or that belongs to another set; INVALID_ARGUMENT for an option.
 *
 * @example
 * ```ts
 * import { datasets } from 'sparring';
 *
 * const { train, test } = await datasets.sample();
 * console.log(train.rows.length, test.rows.length, train.shape); // 500 200 [ 1, 28, 28 ]
 * ```
 */
export const datasets = { mnist, fashionMnist, cifar10, sample } as const;
