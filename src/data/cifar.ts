import { badFile, lengthFault } from '../io/bytes.js';

/**
 * The binary version of CIFAR-10: each image is one label byte, then 1,024 red, 1,024 green and 1,024 blue bytes, row by
 * row. The format does not say how many images a file holds, so the caller does.
 */

const pixels = 3 * 32 * 32;
const record = 1 + pixels;

/** The classes by label, as the official `batches.meta.txt` names them. */
export const cifarClassNames: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];

/** One batch file that is not compressed: what errors call it, and its bytes. */
export interface CifarFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Images [images, 3, 32, 32] and their labels. */
export interface CifarImages {
  readonly inputs: Uint8Array;
  readonly labels: Uint8Array;
}

/**
 * Reads batch files, one after the other.
 *
 * @param files - the files in their order
 * @param options - `images`, how many there must be in each, 10,000 unless said
 * @throws BAD_FILE naming the file that has more or fewer bytes, or a label that is not 0 to 9.
 *
 * @example
 * ```ts
 * import { decodeCifar } from 'sparring';
 *
 * const bytes = new Uint8Array(2 * 3073).fill(9);
 * const { inputs, labels } = decodeCifar([{ path: 'data_batch_1.bin', bytes }], { images: 2 });
 * console.log(inputs.length, labels); // 6144 Uint8Array(2) [ 9, 9 ]
 * ```
 */
export function decodeCifar(files: readonly CifarFile[], { images = 10_000 } = {}): CifarImages {
  for (const { path, bytes } of files) {
    const fault = lengthFault(images * record, bytes.length, `${images} images of ${record}`);
    if (fault !== undefined) throw badFile(path, fault);
  }
  const inputs = new Uint8Array(files.length * images * pixels);
  const labels = new Uint8Array(files.length * images);
  let row = 0;
  for (const { path, bytes } of files) {
    for (let begin = 0; begin < bytes.length; begin += record, row++) {
      const label = bytes[begin]!;
      if (label >= cifarClassNames.length) {
        throw badFile(path, `expected labels of 0 to 9, received ${label} at row ${begin / record}`);
      }
      labels[row] = label;
      inputs.set(bytes.subarray(begin + 1, begin + record), row * pixels);
    }
  }
  return { inputs, labels };
}

/**
 * Reads `batches.meta.txt`: the name of each class, a line each.
 *
 * @throws BAD_FILE unless there are ten.
 */
export function decodeCifarNames(bytes: Uint8Array, fileName: string): string[] {
  const names = Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (names.length !== cifarClassNames.length) {
    throw badFile(fileName, `expected ${cifarClassNames.length} class names, received ${names.length}`);
  }
  return names;
}
