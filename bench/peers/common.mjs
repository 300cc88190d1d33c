// What the JavaScript peers' programs share: the words they are called with, the files they read, and timing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    material: { type: 'string' },
    workloads: { type: 'string' },
    threads: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '0.3' },
  },
});

export const wanted = values.workloads.split(',');
export const threads = Number(values.threads);
const seconds = Number(values.seconds);

const arrays = { F32: Float32Array, I32: Int32Array };

/** The tensors of a safetensors file of the material: {shape, data} by name. */
export function load(name) {
  const bytes = readFileSync(join(values.material, name));
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + size));
  delete header.__metadata__;
  const entries = Object.entries(header).map(
    ([
      key,
      {
        dtype,
        shape,
        data_offsets: [begin, end],
      },
    ]) => {
      const part = new Uint8Array(bytes.subarray(8 + size + begin, 8 + size + end));
      return [key, { shape, data: new arrays[dtype](part.buffer) }];
    },
  );
  return Object.fromEntries(entries);
}

const results = {};

/** Times one way of doing a workload; `scale` is how many times as much the whole workload is. */
export async function measure(name, configuration, run, scale = 1) {
  const found = (results[name] ??= {});
  try {
    const started = performance.now();
    await run();
    for (let warm = 0; warm < 3 && performance.now() - started < 500; warm++) await run();
    const samples = [];
    const start = performance.now();
    do {
      const before = performance.now();
      await run();
      samples.push(performance.now() - before);
    } while (performance.now() - start < 1000 * seconds);
    samples.sort((a, b) => a - b);
    found[configuration] = { seconds: (scale * samples[samples.length >> 1]) / 1000 };
  } catch (error) {
    found[configuration] = { error: String(error?.message ?? error).slice(0, 200) };
  }
}

/** Prints what was measured. */
export function report(meta) {
  process.stdout.write(`${JSON.stringify({ meta, workloads: results })}\n`, () => process.exit(0));
}

/** Batch, channels, size, filters, kernel and padding. */
export const convolutions = {
  conv_1x28_20k5: [128, 1, 28, 20, 5, 0],
  conv_20x12_50k5: [128, 20, 12, 50, 5, 0],
  conv_3x32_64k3p1: [128, 3, 32, 64, 3, 1],
  conv_64x32_64k3p1: [64, 64, 32, 64, 3, 1],
  conv_128x16_128k3p1: [64, 128, 16, 128, 3, 1],
};

/** Numbers between 0 and 1. */
export const random = (count) => Float32Array.from({ length: count }, Math.random);
