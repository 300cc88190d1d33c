import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { SparringError } from '../errors.js';
import { badFile } from './bytes.js';

/** What a compressed file may unfold to: five times the largest data set read here, and far from exhausting a machine. */
const mostInflated = 2 ** 30;

/** Node's own 16 KiB make an image set of thousands of pieces and take several times as long. */
const chunkSize = 2 ** 20;

/** The code of a file-system error, `EACCES` for one. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/**
 * Reads a whole file. A device is refused: some never end.
 *
 * @throws NOT_FOUND when there is none, BAD_FILE when it cannot be read.
 */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    if ((await stat(path)).isCharacterDevice()) throw badFile(path, 'expected a file, received a device');
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof SparringError) throw cause;
    if (errorCode(cause) === 'ENOENT') throw new SparringError('NOT_FOUND', `${path}: no such file`, { cause });
    throw badFile(path, `cannot be read (${errorCode(cause)})`, cause);
  }
}

/**
 * The bytes themselves, or what they unfold to if they are gzip. The contents decide, since a browser or a mirror may
 * unpack a file and keep its name.
 *
 * @throws BAD_FILE when the stream is damaged, cut short, or unfolds to more than `most` bytes, 1 GiB unless said.
 */
export async function inflated(bytes: Uint8Array, fileName: string, most = mostInflated): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: most, chunkSize });
  } catch (cause) {
    const tooLarge = errorCode(cause) === 'ERR_BUFFER_TOO_LARGE';
    const fault = tooLarge ? `expands to more than ${most} bytes` : (cause as Error).message;
    throw badFile(fileName, `expected a whole gzip stream, received ${bytes.length} bytes (${fault})`, cause);
  }
}
