import { badFile } from '../io/bytes.js';

/** Reads tar archives in the ustar format, enough for a data set's: regular files with names of up to 255 bytes. */

const block = 512;

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

function octal(bytes: Uint8Array): number {
  const digits = text(bytes).trim();
  return /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : NaN;
}

/** The sum over the header with its own checksum field (148 to 155) read as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0);
}

/**
 * The regular files of an archive by name, as views of its bytes. Folders, links and extended headers are passed over.
 *
 * @throws BAD_FILE when a header is damaged or a file is cut short.
 */
export function untar(bytes: Uint8Array, fileName: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let at = 0;
  while (at < bytes.length) {
    const header = bytes.subarray(at, at + block);
    // A block of zeros ends an archive.
    if (header.every((byte) => byte === 0)) break;
    const size = octal(header.subarray(124, 136));
    if (header.length < block || octal(header.subarray(148, 156)) !== checksum(header) || Number.isNaN(size)) {
      throw badFile(fileName, `expected a tar header at byte ${at}, received something else (damaged or truncated)`);
    }
    // GNU's own magic is 'ustar ' with a space, and its headers keep times where ustar has the prefix.
    const prefix = text(header.subarray(257, 263)) === 'ustar' ? text(header.subarray(345, 500)) : '';
    const name = text(header.subarray(0, 100));
    const start = at + block;
    if (start + size > bytes.length) {
      throw badFile(fileName, `'${name}': expected ${size} bytes, received ${bytes.length - start} (truncated)`);
    }
    const type = header[156];
    if (type === 0 || type === 0x30) {
      files.set(prefix === '' ? name : `${prefix}/${name}`, bytes.subarray(start, start + size));
    }
    at = start + Math.ceil(size / block) * block;
  }
  return files;
}
