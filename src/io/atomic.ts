import { randomUUID } from 'node:crypto';
import { mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SparringError } from '../errors.js';
import { errorCode } from './read.js';

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied; choose a folder that you may write to',
  EPERM: 'permission is denied; choose a folder that you may write to',
  EROFS: 'the file system is read-only; choose another folder',
  ENOSPC: 'no space is left on the device; free some or choose another folder',
  EDQUOT: 'the disk quota is used up; free some space or choose another folder',
  EFBIG: 'the file is larger than the file system or a limit allows; choose another folder or raise the limit',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  EBUSY: 'the place is in use; close what uses it or choose another path',
  ELOOP: 'links lead round in a circle; choose another path',
  EMFILE: 'too many files are open; close some or raise the limit',
  ENFILE: 'too many files are open; close some or raise the limit',
  EIO: 'the device reports an error; check it or choose another folder',
  ENOENT: 'the folder does not exist; create it first',
  ENOTDIR: 'a file stands where a folder is needed; choose another path',
  EEXIST: 'a file stands where a folder is needed; choose another path',
  EISDIR: 'a folder of that name is already there; choose another path',
};

/** The error for a path that could not be written: which, why, and what to do about it. */
export function writeFailure(path: string, cause: unknown): SparringError {
  const code = errorCode(cause);
  const reason = remedies[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new SparringError('WRITE_FAILED', `${path}: cannot be written: ${reason} (${code})`, { cause });
}

const temporaryIn = (folder: string): string => join(folder, `.sparring-${randomUUID()}.tmp`);

async function writeDurably(path: string, data: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Some systems cannot open a folder, and some file systems cannot sync one; there a rename is as durable as it gets. */
const noFolderSync = new Set(['EACCES', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM']);

async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!noFolderSync.has(errorCode(error))) throw error;
  }
}

/**
 * Writes a file whole or not at all: beside its place under a temporary name, flushed to the disk, then renamed over
 * whatever was there. A reader sees the old contents or the new, and a crash leaves the old. A link stays a link, and
 * the file that it points to is replaced.
 *
 * @throws WRITE_FAILED naming the path and what to do; the temporary file is gone and the old contents are as they were.
 *
 * @example
 * ```ts
 * import { mkdtemp, readFile } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { writeFileAtomic } from 'sparring';
 *
 * const path = join(await mkdtemp(join(tmpdir(), 'example-')), 'result.json');
 * await writeFileAtomic(path, '{"accuracy":0.98}');
 * console.log(await readFile(path, 'utf8')); // {"accuracy":0.98}
 * ```
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => resolve(path));
  const temporary = temporaryIn(dirname(target));
  try {
    await writeDurably(temporary, data);
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeFailure(path, cause);
  }
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false;

/**
 * Makes a folder and those above it that are missing. Node's own recursion calls a folder on a read-only file system
 * missing, which hides the cause, and never returns from one such as /proc, which says the same of what is in it.
 */
async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    if (await isFolder(dir)) return;
    const above = dirname(dir);
    if (above === dir || (await isFolder(above))) throw error;
    await makeFolder(above);
    await makeFolder(dir);
  }
}

/**
 * Makes a folder, with those above it, and writes and removes a small file in it: an early check, before hours of work
 * whose result could not be kept.
 *
 * @throws WRITE_FAILED naming the folder and what to do.
 *
 * @example
 * ```ts
 * import { mkdtemp, readdir } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { ensureWritable } from 'sparring';
 *
 * const folder = join(await mkdtemp(join(tmpdir(), 'example-')), 'results', 'table1');
 * await ensureWritable(folder);
 * console.log(await readdir(folder)); // []
 * ```
 */
export async function ensureWritable(dir: string): Promise<void> {
  const temporary = temporaryIn(resolve(dir));
  try {
    await makeFolder(resolve(dir));
    await writeDurably(temporary, 'sparring');
    await rm(temporary);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeFailure(dir, cause);
  }
}
