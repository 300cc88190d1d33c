import { crc32, inflateRawSync } from 'node:zlib';
import { badFile, lengthFault } from './bytes.js';

/**
 * Reads the members of a ZIP archive as numpy writes them, stored or deflated. fflate, which writes ours, checks neither
 * checksums nor lengths when it reads, and a flipped bit in a weight would pass unseen.
 */

const endSignature = 0x06054b50;
const directorySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endLength = 22;
const directoryLength = 46;
const localLength = 30;
const longestComment = 0xffff;

/** Deflate cannot do better than 258 bytes in 2 bits; a header that claims more is a trap for the allocator. */
const bestRatio = 1032;

function findEnd(view: DataView): number {
  const last = view.byteLength - endLength;
  for (let at = last; at >= Math.max(0, last - longestComment); at--) {
    if (view.getUint32(at, true) === endSignature && view.getUint16(at + 20, true) === last - at) return at;
  }
  return -1;
}

/**
 * The members of an archive by name.
 *
 * @throws BAD_FILE when it is cut short, damaged, encrypted, split, needs 64-bit lengths, or uses another compression.
 */
export function unzip(bytes: Uint8Array, fileName: string): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end < 0)
    throw badFile(
      fileName,
      `expected a ZIP archive, received ${bytes.length} bytes without its directory (truncated?)`,
    );
  const count = view.getUint16(end + 10, true);
  const directory = view.getUint32(end + 16, true);
  if (count === 0xffff || directory === 0xffffffff)
    throw badFile(fileName, 'expected a ZIP archive below 4 GiB (no ZIP64)');
  if (directory + view.getUint32(end + 12, true) !== end || view.getUint16(end + 4, true) !== 0) {
    throw badFile(fileName, 'expected one whole ZIP archive (its directory is not where its end says)');
  }

  const members = new Map<string, Uint8Array>();
  let at = directory;
  let unread = directory;
  for (let i = 0; i < count; i++) {
    if (at + directoryLength > end || view.getUint32(at, true) !== directorySignature) {
      throw badFile(fileName, `expected ${count} entries in the ZIP directory, received ${i}`);
    }
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const checksum = view.getUint32(at + 16, true);
    const packed = view.getUint32(at + 20, true);
    const size = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    const name = Buffer.from(bytes.subarray(at + directoryLength, at + directoryLength + nameLength)).toString('utf8');
    at += directoryLength + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);

    const where = `member '${name}'`;
    if (members.has(name)) throw badFile(fileName, `${where} is there twice`);
    if ((flags & 1) !== 0) throw badFile(fileName, `${where} is encrypted`);
    if (method !== 0 && method !== 8)
      throw badFile(fileName, `${where}: expected it stored or deflated, received method ${method}`);
    if (local + localLength > directory || view.getUint32(local, true) !== localSignature) {
      throw badFile(fileName, `${where} is not where the ZIP directory says`);
    }
    const start = local + localLength + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    // Members that share their bytes could add up to far more than the file.
    unread -= packed;
    if (start + packed > directory || unread < 0)
      throw badFile(fileName, `${where} reaches beyond the archive (truncated?)`);
    if (size > packed * (method === 0 ? 1 : bestRatio)) {
      throw badFile(fileName, `${where}: ${packed} bytes cannot expand to the ${size} that it claims`);
    }

    let data = bytes.subarray(start, start + packed);
    if (method === 8) {
      try {
        data = inflateRawSync(data, { maxOutputLength: Math.max(1, size) });
      } catch (cause) {
        throw badFile(fileName, `${where}: damaged (${(cause as Error).message})`, cause);
      }
    }
    const fault = lengthFault(size, data.length, where);
    if (fault !== undefined) throw badFile(fileName, fault);
    if (crc32(data) !== checksum) throw badFile(fileName, `${where}: damaged (its checksum does not match)`);
    members.set(name, data);
  }
  if (at !== end) throw badFile(fileName, 'expected nothing after the last entry of the ZIP directory');
  return members;
}
