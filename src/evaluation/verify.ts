/**
 * Scores adversarial inputs again, from the files alone. It shares no arithmetic with the attacks or the evaluation:
 * lengths, ranges, labels and counts are found here in plain float64, so that a fault there cannot confirm itself.
 */
import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { readBytes } from '../io/read.js';
import { decodeSafetensors, type SafetensorsFile } from '../io/safetensors.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import type { Target } from '../adversary/attack.js';
import { sealOf, sha256, type Manifest } from './adversarialSet.js';
import { dataDigest } from './fingerprint.js';

/** What was found of the inputs of one length. */
export interface VerifiedSet {
  epsilon: number;
  examples: number;
  correct: number;
  accuracy: number;
  /** The longest perturbation, and the lowest and highest value of any input. */
  longest: number;
  range: [number, number];
}

/** What a verification found. */
export interface Verification {
  /** Whether everything is as the manifest says. */
  confirmed: boolean;
  /** What is not, in words. */
  differences: string[];
  clean: { correct: number; accuracy: number };
  sets: VerifiedSet[];
}

const lengths: Record<Manifest['settings']['norm'], (differences: Float64Array) => number> = {
  l1: (d) => d.reduce((sum, value) => sum + Math.abs(value), 0),
  l2: (d) => Math.sqrt(d.reduce((sum, value) => sum + value * value, 0)),
  linf: (d) => d.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
};

/** Far fewer than the attacks work on at once, so that it is another computation. */
const batch = 64;

/** An input that is right by no more than this part of its logits counts as misclassified, as in the evaluation. */
const rounding = 4e-6;

/** What the network answers, and which are so close a call that rounding could turn them. */
function answers(
  model: Target,
  inputs: Float32Array,
  shape: readonly number[],
  labels: readonly number[],
): { right: boolean[]; close: boolean[] } {
  const right: boolean[] = [];
  const close: boolean[] = [];
  const size = inputs.length / labels.length;
  for (let start = 0; start < labels.length; start += batch) {
    const end = Math.min(labels.length, start + batch);
    const { z, classes } = scope(() => {
      const logits = model.forward(tensor(inputs.slice(start * size, end * size), { shape: [end - start, ...shape] }));
      return { z: Array.from(logits.data()), classes: logits.shape[1]! };
    });
    for (let i = start; i < end; i++) {
      const row = z.slice((i - start) * classes, (i - start + 1) * classes);
      const label = labels[i]!;
      const others = Math.max(...row.filter((_, k) => k !== label));
      const margin = row[label]! - others;
      const least = rounding * Math.max(...row.map(Math.abs));
      right.push(row.every(Number.isFinite) && margin > least);
      close.push(Math.abs(margin - least) <= least);
    }
  }
  return { right, close };
}

/** The clean inputs and labels, read from the stored numbers. */
function cleanOf({ inputs, labels, rows, scale, shape }: Dataset): { x: Float32Array; y: number[] } {
  const size = shape.reduce((product, length) => product * length, 1);
  const x = new Float32Array(rows.length * size);
  rows.forEach((row, i) => {
    for (let j = 0; j < size; j++) x[i * size + j] = inputs[row * size + j]! * scale;
  });
  return { x, y: Array.from(rows, (row) => labels[row]!) };
}

/**
 * Checks a folder of adversarial inputs against the network and the examples that they claim to come from: all
 * SHA-256s, labels and rows, the length of every perturbation, the range of every input, and how many the network still
 * classifies rightly.
 *
 * @param folder - What `sparring evaluate --out` has written.
 * @param manifest - The folder's manifest.
 * @param network - The network, and the bytes of its file.
 * @param data - The examples, loaded anew.
 * @returns What was found, and how it differs from what the manifest says.
 * @throws SparringError `SHAPE_MISMATCH` for examples that the network does not take. Files that are missing or damaged
 * are differences.
 *
 * @example
 * ```ts
 * import { mkdtemp, readFile } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import * as s from 'sparring';
 *
 * const folder = await mkdtemp(join(tmpdir(), 'example-'));
 * const network = join(folder, 'network.safetensors');
 * const model = s.models.mlp({ hidden: [8], seed: 1 }).eval();
 * await s.saveSafetensors(network, model.stateDict());
 * const data = s.take((await s.datasets.sample()).test, 20);
 * const evaluation = await s.evaluate(model, data, { attacks: ['advLoss'], epsilons: [0.5], keepInputs: true });
 * await s.writeAdversarialSet(folder, evaluation, { network, data, split: 'test', attacks: ['advLoss'] });
 *
 * const manifest = await s.readManifest(folder);
 * const found = await s.verifyAdversarialSet(folder, manifest, { model, bytes: await readFile(network) }, data);
 * console.log(found.confirmed, found.differences); // true []
 * ```
 */
export async function verifyAdversarialSet(
  folder: string,
  manifest: Manifest,
  network: { model: Target; bytes: Uint8Array },
  data: Dataset,
): Promise<Verification> {
  const differences: string[] = [];
  const expect = (what: string, expected: unknown, received: unknown): boolean => {
    const same = JSON.stringify(expected) === JSON.stringify(received);
    if (!same) differences.push(`${what}: expected ${JSON.stringify(expected)}, received ${JSON.stringify(received)}`);
    return same;
  };
  const { settings, examples } = manifest;
  expect('manifest: sha256', manifest.sha256, sealOf(manifest));
  expect('network: sha256', manifest.network.sha256, sha256(network.bytes));
  const sameData = expect('data: sha256', manifest.data.sha256, dataDigest(data));
  expect('examples', examples, data.rows.length);

  const { x, y } = cleanOf(data);
  const spoilt = new Set(manifest.notFinite);
  /** Compares a count with the one that is stated; close calls may have gone the other way. */
  const score = (what: string, inputs: Float32Array, stated: { correct: number; accuracy: number }) => {
    const { right, close } = answers(network.model, inputs, data.shape, y);
    const correct = right.filter((each, i) => each && !spoilt.has(i)).length;
    const doubtful = close.filter((each) => each).length;
    if (Math.abs(correct - stated.correct) > doubtful) expect(`${what}: correct`, stated.correct, correct);
    expect(`${what}: accuracy`, stated.accuracy, stated.correct / examples);
    return { correct, accuracy: correct / y.length, right };
  };
  const clean = score('clean', x, manifest.clean);

  const sets: VerifiedSet[] = [];
  for (const { file, epsilon, sha256: stated, correct, accuracy } of manifest.sets) {
    let content: SafetensorsFile;
    try {
      const bytes = await readBytes(join(folder, file));
      expect(`${file}: sha256`, stated, sha256(bytes));
      content = decodeSafetensors(bytes, file);
    } catch (error) {
      if (!(error instanceof SparringError)) throw error;
      differences.push(error.message);
      continue;
    }
    const said = { epsilon, norm: settings.norm, clip: settings.clip };
    const identity = { network: manifest.network.sha256, data: manifest.data.sha256 };
    expect(`${file}: settings`, JSON.stringify({ ...said, ...identity }), content.metadata['settings']);
    const numbersOf = (name: string): number[] => Array.from(content.tensors.get(name)?.data ?? [], Number);
    const labelled = expect(`${file}: labels`, sha256(y.join()), sha256(numbersOf('labels').join()));
    expect(`${file}: rows`, sha256(data.rows.join()), sha256(numbersOf('rows').join()));
    const entry = content.tensors.get('adversarial');
    const fits = expect(`${file}: shape`, [data.rows.length, ...data.shape], entry?.shape);
    if (!fits || !labelled || !sameData || entry?.dtype !== 'F32') continue;
    const inputs = entry.data;
    const size = inputs.length / y.length;
    let longest = 0;
    for (let i = 0; i < y.length; i++) {
      const moved = Float64Array.from({ length: size }, (_, j) => inputs[i * size + j]! - x[i * size + j]!);
      const length = lengths[settings.norm](moved);
      longest = length > longest || Number.isNaN(length) ? length : longest;
    }
    // A length that another order of adding gives differs in the last places.
    if (!(longest <= epsilon * (1 + 1e-5)))
      differences.push(`${file}: expected perturbations of at most ${epsilon}, received one of ${longest}`);
    const least = inputs.reduce((low, value) => Math.min(low, value), Infinity);
    const most = inputs.reduce((high, value) => Math.max(high, value), -Infinity);
    const [low, high] = settings.clip ?? [-Infinity, Infinity];
    if (!(least >= Math.fround(low) && most <= Math.fround(high)))
      differences.push(`${file}: expected values of ${low} to ${high}, received ${least} to ${most}`);
    const found = score(file, inputs, { correct, accuracy });
    // What is misclassified clean counts as wrong: no input may have been put right.
    const healed = found.right.filter((each, i) => each && !clean.right[i]).length;
    if (healed > 0) differences.push(`${file}: ${healed} inputs that are misclassified clean are given as right`);
    sets.push({
      epsilon,
      examples: y.length,
      correct: found.correct,
      accuracy: found.accuracy,
      longest,
      range: [least, most],
    });
  }
  return {
    confirmed: differences.length === 0,
    differences,
    clean: { correct: clean.correct, accuracy: clean.accuracy },
    sets,
  };
}
