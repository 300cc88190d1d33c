/** The worst adversarial inputs of an evaluation as files: one for each length, and a manifest that vouches for them. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { ensureWritable, writeFileAtomic } from '../io/atomic.js';
import { badFile } from '../io/bytes.js';
import { readBytes } from '../io/read.js';
import { encodeSafetensors } from '../io/safetensors.js';
import type { Evaluation } from './evaluate.js';
import { dataDigest } from './fingerprint.js';

/** The manifest's name in its folder. */
const manifestName = 'manifest.json';

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal digits'));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const manifest = v.strictObject({
  format: v.literal('sparring-adversarial-set'),
  version: v.literal(1),
  /** The network that the inputs are adversarial to. */
  network: v.strictObject({ file: v.string(), sha256: digest }),
  /** The examples that they come from: what to load, and what it must be. */
  data: v.strictObject({
    name: v.string(),
    split: v.string(),
    limit: v.nullable(count),
    sha256: digest,
  }),
  settings: v.strictObject({
    norm: v.picklist(['l1', 'l2', 'linf']),
    clip: v.nullable(v.tuple([v.number(), v.number()])),
    attacks: v.array(v.string()),
    survivorsOnly: v.boolean(),
  }),
  examples: count,
  /** How many are classified rightly clean. */
  clean: v.strictObject({ correct: count, accuracy: fraction }),
  /** One for each length. */
  sets: v.array(
    v.strictObject({
      epsilon: v.pipe(v.number(), v.minValue(0)),
      file: v.pipe(v.string(), v.regex(/^[\w.-]+$/, 'expected the name of a file in the same folder')),
      sha256: digest,
      /** How many are still classified rightly. */
      correct: count,
      accuracy: fraction,
    }),
  ),
  /** The places of examples whose outputs are not finite, which count as wrong. */
  notFinite: v.array(count),
  /** Of all the other members, as {@link sealOf} writes them. */
  sha256: digest,
});

/** What is kept beside the adversarial inputs. */
export type Manifest = v.InferOutput<typeof manifest>;

/** The SHA-256 of some bytes. */
export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** The manifest's own SHA-256: of its members but this one, in the order of {@link Manifest}. */
export function sealOf(content: Manifest): string {
  return sha256(JSON.stringify({ ...content, sha256: undefined }));
}

/** Where the adversarial inputs come from. */
export interface SetOrigin {
  /** The file of the network. */
  network: string;
  data: Dataset;
  /** Which part of the data set, and how many of its first examples at most; all by default. */
  split: string;
  limit?: number | undefined;
  /** Which attacks were run. */
  attacks: readonly string[];
}

/**
 * Writes the worst inputs of an evaluation to a folder: for each length a safetensors file with `adversarial`
 * [examples, ...shape], `labels`, `rows` and `attacks` (which attack gave the input, -1 where the clean one stayed), and
 * `manifest.json` last. Each file is written whole or not at all.
 *
 * @param folder - The folder, which is made if need be.
 * @param evaluation - The result of an evaluation with `keepInputs`.
 * @param origin - What the inputs come from.
 * @returns The manifest.
 * @throws SparringError `INVALID_ARGUMENT` for an evaluation that kept no inputs, `WRITE_FAILED` when the folder cannot
 * be written, `NOT_FOUND` when the network's file is gone.
 *
 * For an example see `verifyAdversarialSet`.
 */
export async function writeAdversarialSet(
  folder: string,
  evaluation: Evaluation,
  { network, data, split, limit, attacks }: SetOrigin,
): Promise<Manifest> {
  const { worstInputs, worst, examples, norm, clip, survivorsOnly, clean, outcomes, notFinite } = evaluation;
  if (worstInputs === undefined)
    throw new SparringError(
      'INVALID_ARGUMENT',
      'writeAdversarialSet: expected an evaluation with keepInputs, received one without',
    );
  await ensureWritable(folder);
  const identity = { network: sha256(await readBytes(network)), data: dataDigest(data) };
  const labels = Int32Array.from(outcomes.rows, (row) => data.labels[row]!);
  const sets: Manifest['sets'] = [];
  for (const [at, { epsilon, inputs, attacks: from }] of worstInputs.entries()) {
    const bytes = encodeSafetensors(
      {
        adversarial: { dtype: 'F32', shape: [examples, ...data.shape], data: inputs },
        labels: { dtype: 'I32', shape: [examples], data: labels },
        rows: { dtype: 'I32', shape: [examples], data: outcomes.rows },
        attacks: { dtype: 'I32', shape: [examples], data: from },
      },
      { settings: JSON.stringify({ epsilon, norm, clip, ...identity }) },
    );
    const file = `adversarial-${epsilon}.safetensors`;
    await writeFileAtomic(join(folder, file), bytes);
    const { mean } = worst[at]!.accuracy;
    sets.push({ epsilon, file, sha256: sha256(bytes), correct: Math.round(mean * examples), accuracy: mean });
  }
  const content: Manifest = {
    format: 'sparring-adversarial-set',
    version: 1,
    network: { file: network, sha256: identity.network },
    data: { name: data.name, split, limit: limit ?? null, sha256: identity.data },
    settings: { norm: norm as Manifest['settings']['norm'], clip, attacks: [...attacks], survivorsOnly },
    examples,
    clean: { correct: Math.round(clean.mean * examples), accuracy: clean.mean },
    sets,
    notFinite,
    sha256: '',
  };
  content.sha256 = sealOf(content);
  await writeFileAtomic(join(folder, manifestName), `${JSON.stringify(content, null, 2)}\n`);
  return content;
}

/**
 * Reads a manifest.
 *
 * @throws SparringError `NOT_FOUND`, or `BAD_FILE` for one that is damaged or of another format.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName);
  const bytes = await readBytes(path);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw badFile(path, `expected JSON (${(cause as Error).message})`, cause);
  }
  const { success, output, issues } = v.safeParse(manifest, value);
  if (success) return output;
  const where = (issues[0].path ?? []).map(({ key }) => String(key)).join('.');
  throw badFile(path, `expected the manifest of adversarial inputs: ${where}: ${issues[0].message}`);
}
