// Makes data/sample: the first 50 training and 20 test images of each digit in a seeded shuffle of MNIST, as gzipped IDX
// files. Run as: node --import tsx scripts/make-sample.mjs

import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { datasets } from '../src/data/datasets.ts';
import { purposes, shuffled } from '../src/data/random.ts';

const seed = 1;
const folder = new URL('../data/sample/', import.meta.url);

function choose({ labels, rows, classes }, each, index) {
  const counts = new Array(classes).fill(0);
  return shuffled(rows, { seed, purpose: purposes.sample, index }).filter((row) => counts[labels[row]]++ < each);
}

function idx(shape, data) {
  const header = Buffer.from([
    0,
    0,
    0x08,
    shape.length,
    ...shape.flatMap((size) => [size >> 24, size >> 16, size >> 8, size]),
  ]);
  return gzipSync(Buffer.concat([header, data]), { level: 9 });
}

async function write(part, dataset, rows) {
  const size = 28 * 28;
  const images = Buffer.concat([...rows].map((row) => dataset.inputs.subarray(row * size, (row + 1) * size)));
  const labels = Buffer.from([...rows].map((row) => dataset.labels[row]));
  await writeFile(new URL(`${part}-images-idx3-ubyte.gz`, folder), idx([rows.length, 28, 28], images));
  await writeFile(new URL(`${part}-labels-idx1-ubyte.gz`, folder), idx([rows.length], labels));
}

const { train, test } = await datasets.mnist();
await mkdir(folder, { recursive: true });
await write('train', train, choose(train, 50, 0));
await write('t10k', test, choose(test, 20, 1));
