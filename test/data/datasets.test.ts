import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'tape';
import { describe, type Dataset } from '../../src/data/dataset.js';
import { datasets } from '../../src/data/datasets.js';
import { locate } from '../../src/data/locate.js';
import { SparringError } from '../../src/errors.js';
import { refused } from '../io/refused.js';
import { idx, tarMember } from './files.js';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'sparring-datasets-'));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('mnist: all of it, from the package', async (t) => {
  const { train, test: held } = await datasets.mnist();
  t.deepEqual([train.rows.length, held.rows.length], [60_000, 10_000]);
  t.deepEqual([train.name, train.shape, train.classes, train.scale, train.range], ['mnist', [1, 28, 28], 10, 1 / 256, [0, 1]]);
  t.deepEqual([...train.labels.slice(0, 10)], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], 'the first digits of MNIST');
  const { counts, mean, std } = describe(train);
  t.deepEqual(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  // The mean and deviation that the field normalises MNIST by, for pixels divided by 255.
  t.equal(((mean * 256) / 255).toFixed(4), '0.1307');
  t.equal(((std * 256) / 255).toFixed(4), '0.3081');
});

test('sample: balanced, small, and taken from MNIST', async (t) => {
  const { train, test: held } = await datasets.sample();
  t.deepEqual(describe(train).counts, new Array(10).fill(50));
  t.deepEqual(describe(held).counts, new Array(10).fill(20));
  t.deepEqual([train.shape, train.scale, train.name], [[1, 28, 28], 1 / 256, 'sample']);

  const mnist = await datasets.mnist();
  const image = ({ inputs }: Dataset, row: number) => Buffer.from(inputs.subarray(784 * row, 784 * (row + 1)) as Uint8Array).toString('latin1');
  for (const [part, whole] of [[train, mnist.train], [held, mnist.test]] as const) {
    const labels = new Map([...whole.rows].map((row) => [image(whole, row), whole.labels[row]]));
    const rows = [...part.rows];
    t.ok(rows.every((row) => labels.get(image(part, row)) === part.labels[row]), 'the same images under the same labels');
    t.equal(new Set(rows.map((row) => image(part, row))).size, rows.length, 'none twice');
  }
  t.equal((await datasets.sample({ scale: 1 / 255 })).train.scale, 1 / 255);
});

test('fashionMnist: all of it where it is installed, and else what to install', async (t) => {
  try {
    const { train, test: held } = await datasets.fashionMnist();
    t.deepEqual([train.rows.length, held.rows.length], [60_000, 10_000]);
    t.deepEqual(describe(train).counts, new Array(10).fill(6000));
    t.equal(((describe(train).mean * 256) / 255).toFixed(4), '0.2860', 'the mean that the field normalises it by');
    t.equal(train.classNames?.[held.labels[0]!], 'ankle boot');
  } catch (error) {
    if (!(error instanceof SparringError)) throw error;
    t.equal(error.code, 'NOT_FOUND');
    t.match(error.message, /apt-get install dataset-fashion-mnist/);
  }
});

/** A folder of MNIST's four files: so many images of each part, with labels in turn. */
async function writeIdxSet(dir: string, change: Record<string, Uint8Array> = {}): Promise<void> {
  await mkdir(dir, { recursive: true });
  const files = {
    'train-images-idx3-ubyte': idx([20, 28, 28], new Uint8Array(20 * 784).fill(1)),
    'train-labels-idx1-ubyte': idx([20], Uint8Array.from({ length: 20 }, (_, i) => i % 10)),
    't10k-images-idx3-ubyte': idx([10, 28, 28], new Uint8Array(10 * 784).fill(2)),
    't10k-labels-idx1-ubyte': idx([10], Uint8Array.from({ length: 10 }, (_, i) => i)),
    ...change,
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(dir, name), bytes);
}

test('mnist and fashionMnist: from a folder, with a scale', async (t) => {
  const dir = await folder();
  await writeIdxSet(dir);
  const { train, test: held } = await datasets.mnist({ dir, scale: 1 / 300 });
  t.deepEqual([train.rows.length, held.rows.length, train.scale], [20, 10, 1 / 300]);
  t.deepEqual([train.inputs[0], held.inputs[0]], [1, 2]);
  await writeIdxSet(join(dir, 'fashion-mnist'), { 't10k-labels-idx1-ubyte': gzipSync(idx([10], new Uint8Array(10).fill(9))) });
  const fashion = await datasets.fashionMnist({ dir });
  t.deepEqual([fashion.test.labels[0], fashion.test.name, fashion.test.scale], [9, 'fashion-mnist', 1 / 256]);

  const before = process.env['SPARRING_DATA'];
  process.env['SPARRING_DATA'] = dir;
  t.equal((await locate('fashionMnist')).dir, join(dir, 'fashion-mnist'));
  t.equal((await datasets.mnist()).train.rows.length, 20, 'the environment comes before the package');
  process.env['SPARRING_DATA'] = join(dir, 'none');
  await refused(t, () => datasets.mnist(), 'NOT_FOUND', /SPARRING_DATA: there is no folder/);
  if (before === undefined) delete process.env['SPARRING_DATA'];
  else process.env['SPARRING_DATA'] = before;
  await rm(dir, { recursive: true });
});

test('mnist and fashionMnist: bad files are refused by name', async (t) => {
  const dir = await folder();
  const bad = async (change: Record<string, Uint8Array>, says: RegExp) => {
    await writeIdxSet(dir, change);
    await refused(t, () => datasets.mnist({ dir }), 'BAD_FILE', says);
  };
  const images = (count: number, side: number, type = 8) => idx([count, side, side], new Uint8Array(count * side * side), type);
  await bad({ 'train-labels-idx1-ubyte': idx([19], new Uint8Array(19)) }, /train-labels-idx1-ubyte: expected 20 bytes, one for each image of train-images-idx3-ubyte, received 19/);
  await bad({ 'train-labels-idx1-ubyte': idx([21], new Uint8Array(21)) }, /expected 20 bytes, one for each image.*received 21/);
  await bad({ 't10k-images-idx3-ubyte': images(11, 28) }, /t10k-labels-idx1-ubyte: expected 11 bytes/);
  await bad({ 'train-labels-idx1-ubyte': idx([20], new Uint8Array(20).fill(10, 7)) }, /train-labels.*: expected labels of 0 to 9, received 10 at row 7/);
  await bad({ 'train-images-idx3-ubyte': images(20, 32) }, /train-images.*: expected images of 28x28 bytes, received 20x32x32 in a Uint8Array/);
  await bad({ 'train-images-idx3-ubyte': images(20, 28, 9) }, /received 20x28x28 in a Int8Array/);
  await bad({ 'train-images-idx3-ubyte': images(0, 28) }, /received 0x28x28/);
  await bad({ 'train-labels-idx1-ubyte': idx([20], new Uint8Array(20), 9) }, /received 20 in a Int8Array/);
  await bad({ 'train-labels-idx1-ubyte': images(20, 28) }, /train-labels-idx1-ubyte: expected 1 dimensions, received 3/);
  await bad({ 'train-images-idx3-ubyte': images(20, 28).subarray(0, 1234) }, /expected 15696 bytes for 20x28x28, received 1234 \(truncated\)/);
  await bad({ 'train-images-idx3-ubyte': gzipSync(images(20, 28)).subarray(0, 40) }, /train-images.*: expected a whole gzip stream/);

  const { files } = await locate('mnist');
  for (const [name, path] of files) await copyFile(path, join(dir, name));
  await refused(t, () => datasets.fashionMnist({ dir }), 'BAD_FILE', /train-labels.*: expected the labels of fashion-mnist, received those of mnist/);
  await rm(dir, { recursive: true });

  await refused(t, () => datasets.mnist({ dir }), 'NOT_FOUND', /^mnist: the dir option: there is no folder/);
  await refused(t, () => datasets.mnist({ dri: dir } as object), 'INVALID_ARGUMENT', /^datasets\.mnist: .*did you mean 'dir'/);
  await refused(t, () => datasets.mnist({ scale: 1 }), 'INVALID_ARGUMENT', /scale: expected more than 0 and at most 1\/255, received 1/);
  await refused(t, () => datasets.sample({ dir: '.' } as object), 'INVALID_ARGUMENT', /^datasets\.sample: unknown option/);
});

const cifarBatches = [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`);
const cifarLength = 10_000 * 3073;

/** The start of a batch: one image with this label and every channel its own value; all after it is zero. */
function firstImage(label: number): Uint8Array {
  const bytes = new Uint8Array(3073).fill(10 * label + 1, 1, 1025).fill(10 * label + 2, 1025, 2049).fill(10 * label + 3, 2049);
  bytes[0] = label;
  return bytes;
}

/** A folder of the six files, each 30 MB on paper and 4 KB on the disk. */
async function writeCifar(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const [label, name] of ['test_batch.bin', ...cifarBatches].entries()) {
    await writeFile(join(dir, name), firstImage(label));
    await truncate(join(dir, name), cifarLength);
  }
}

function checkCifar(t: test.Test, { train, test: held }: { train: Dataset; test: Dataset }, source: string): void {
  t.deepEqual([train.rows.length, held.rows.length, train.shape, train.scale], [50_000, 10_000, [3, 32, 32], 1 / 255], source);
  t.deepEqual([0, 1, 2, 3, 4].map((batch) => train.labels[10_000 * batch]), [1, 2, 3, 4, 5], `${source}: the batches in order`);
  t.deepEqual([0, 1024, 2048].map((i) => train.inputs[20_000 * 3072 + i]), [31, 32, 33], `${source}: channel by channel`);
  t.deepEqual([held.labels[0], held.inputs[0]], [0, 1], source);
}

test('cifar10: plain, gzipped, in an archive', async (t) => {
  const dir = await folder();
  const own = join(dir, 'cifar-10-batches-bin');
  await writeCifar(own);
  const plain = await datasets.cifar10({ dir });
  checkCifar(t, plain, 'plain');
  t.equal(plain.train.classNames?.[9], 'truck');

  await writeFile(join(own, 'batches.meta.txt'), 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n');
  await writeFile(join(own, 'data_batch_3.bin.gz'), gzipSync(await readFile(join(own, 'data_batch_3.bin')), { level: 1 }));
  await rm(join(own, 'data_batch_3.bin'));
  const mixed = await datasets.cifar10({ dir: own });
  checkCifar(t, mixed, 'one gzipped');
  t.deepEqual(mixed.train.classNames?.slice(0, 2), ['a', 'b'], 'the names of batches.meta.txt');

  const members = [tarMember('cifar-10-batches-bin/', new Uint8Array(0), { type: '5' })];
  for (const [label, name] of ['test_batch.bin', ...cifarBatches].entries()) {
    const bytes = new Uint8Array(cifarLength);
    bytes.set(firstImage(label));
    members.push(tarMember(`cifar-10-batches-bin/${name}`, bytes));
  }
  const archived = join(dir, 'archived');
  await mkdir(archived);
  const archive = join(archived, 'cifar-10-binary.tar.gz');
  await writeFile(archive, gzipSync(Buffer.concat(members), { level: 1 }));
  checkCifar(t, await datasets.cifar10({ dir: archived }), 'archive');

  await writeFile(archive, gzipSync(members[0]!));
  await refused(t, () => datasets.cifar10({ dir: archived }), 'BAD_FILE', /cifar-10-binary\.tar\.gz: expected .* but it lacks data_batch_1\.bin, .*, test_batch\.bin/);
  await rm(dir, { recursive: true });
});

test('cifar10: bad files are refused by name', async (t) => {
  const dir = await folder();
  await writeCifar(dir);
  await truncate(join(dir, 'data_batch_2.bin'), cifarLength / 2);
  await refused(t, () => datasets.cifar10({ dir }), 'BAD_FILE', /data_batch_2\.bin: expected 30730000 bytes .* received 15365000 \(truncated\)/, 'cut between two images');
  await rm(join(dir, 'data_batch_4.bin'));
  await refused(t, () => datasets.cifar10({ dir }), 'NOT_FOUND', /has a part of the files, but lacks data_batch_4\.bin/);
  await writeFile(join(dir, 'data_batch_4.bin'), '');
  await writeFile(join(dir, 'batches.meta.txt'), 'airplane\n');
  await refused(t, () => datasets.cifar10({ dir }), 'BAD_FILE', /batches\.meta\.txt: expected 10 class names, received 1/);
  await rm(dir, { recursive: true });
});

test('the data that come with the library are those in data/README.md', async (t) => {
  const readme = await readFile(new URL('../../data/README.md', import.meta.url), 'utf8');
  const listed = [...readme.matchAll(/^\| ([0-9a-f]{64}) \| (sample\/\S+) \|$/gm)];
  t.equal(listed.length, 4);
  for (const [, hash, name] of listed) t.equal(sha256(await readFile(new URL(`../../data/${name}`, import.meta.url))), hash, name);
  const { files } = await locate('mnist');
  for (const [name, path] of files) t.ok(readme.includes(`| ${sha256(await readFile(path))} | mnist/${name} |`), name);
});
