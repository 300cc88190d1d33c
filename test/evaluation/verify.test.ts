import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  decodeSafetensors,
  encodeSafetensors,
  evaluate,
  readManifest,
  saveSafetensors,
  subset,
  tensor,
  verifyAdversarialSet,
  writeAdversarialSet,
  type Manifest,
  type Target,
} from '../../src/index.js';
import type { SafetensorsEntry } from '../../src/io/safetensors.js';
import { sealOf } from '../../src/evaluation/adversarialSet.js';
import { length, moves, rowsOf } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { specimen } from './specimen.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('adversarial sets: what is written is what was measured, and is confirmed', async (t) => {
  const { model, other, data } = await specimen();
  const dir = await mkdtemp(join(tmpdir(), 'sparring-set-'));
  const file = join(dir, 'network.safetensors');
  await saveSafetensors(file, model.stateDict());
  const bytes = await readFile(file);
  const origin = { network: file, data, split: 'test', limit: undefined, attacks: ['advLoss', 'minimal'] };
  for (const [norm, epsilons] of [
    ['l2', [0, 0.4, 1.2]],
    ['linf', [0.05]],
    ['l1', [4]],
  ] as const) {
    const folder = join(dir, norm);
    const evaluation = await evaluate(model, data, {
      epsilons,
      norm,
      clip: [0, 1],
      attacks: ['advLoss', ['minimal', { linearize: 'logits', steps: 20 }]],
      survivorsOnly: norm === 'l2',
      keepInputs: true,
      diagnose: false,
    });
    await writeAdversarialSet(folder, evaluation, origin);
    const manifest = await readManifest(folder);
    const clean = tensor(decoded(await readFile(join(folder, `adversarial-${epsilons[0]}.safetensors`))), {
      shape: [130, 784],
    });
    t.ok(clean.size > 0, 'written');
    for (const [at, { epsilon, accuracy }] of evaluation.worst.entries()) {
      const content = await readFile(join(folder, `adversarial-${epsilon}.safetensors`));
      const inputs = tensor(decoded(content), { shape: [130, 1, 28, 28] });
      const original = tensor(
        Float32Array.from(
          { length: 130 * 784 },
          (_, i) => data.inputs[data.rows[Math.floor(i / 784)]! * 784 + (i % 784)]! * data.scale,
        ),
        { shape: [130, 1, 28, 28] },
      );
      const right = rowsOf(model.forward(inputs)).filter((logits, i) => {
        const label = data.labels[data.rows[i]!]!;
        const others = Math.max(...logits.filter((_, k) => k !== label));
        return logits[label]! - others > 4e-6 * Math.max(...logits.map(Math.abs));
      }).length;
      t.equal(right / 130, accuracy.mean, `${norm} ${epsilon}: the set has the accuracy of the worst case`);
      t.ok(Math.max(...moves(original, inputs).map(length[norm])) <= epsilon * (1 + 1e-5), 'and stays within epsilon');
      t.equal(manifest.sets[at]!.sha256, sha256(content), 'its checksum');
    }
    const found = await verifyAdversarialSet(folder, manifest, { model, bytes }, data);
    t.deepEqual([found.confirmed, found.differences], [true, []], `${norm}: confirmed`);
    t.deepEqual(
      found.sets.map(({ accuracy }) => accuracy),
      evaluation.worst.map(({ accuracy }) => accuracy.mean),
    );
    t.ok(
      found.sets.every(({ longest, epsilon, range }) => longest <= epsilon * 1.00001 && range[0] >= 0 && range[1] <= 1),
    );
  }

  const folder = join(dir, 'l2');
  const manifest = await readManifest(folder);
  const verify = async (
    changed = manifest,
    net: { model: Target; bytes: Uint8Array } = { model, bytes },
    examples = data,
  ): Promise<string> => (await verifyAdversarialSet(folder, changed, net, examples)).differences.join('\n');

  const turned = Uint8Array.from(bytes);
  turned[turned.length - 1]! ^= 1;
  t.match(
    await verify(manifest, { model, bytes: turned }),
    /^network: sha256: expected/,
    'another file of the network',
  );
  const foreign = await verify(manifest, { model: other, bytes });
  t.match(foreign, /correct: expected/, 'another network under the same file');
  const shifted = subset(data, [...data.rows].reverse());
  t.match(await verify(manifest, undefined, shifted), /^data: sha256/, 'other examples');
  const labels = Int32Array.from(data.labels);
  labels[data.rows[3]!] = 9 - labels[data.rows[3]!]!;
  t.match(await verify(manifest, undefined, { ...data, labels }), /data: sha256[^]*labels: expected/, 'another label');

  const claims: [string, (content: Manifest) => void, RegExp][] = [
    ['accuracy', ({ sets }) => (sets[1]!.accuracy = 0.99), /accuracy: expected 0.99/],
    ['counts', ({ sets }) => (sets[1]!.correct += 30), /correct: expected/],
    ['clean accuracy', ({ clean }) => (clean.accuracy = 1), /clean: accuracy/],
    ['clean counts', ({ clean }) => (clean.correct = 130), /clean: correct/],
    ['epsilon', ({ sets }) => (sets[2]!.epsilon = 0.3), /perturbations of at most 0.3, received one of 1\.[12]/],
    ['a larger epsilon', ({ sets }) => (sets[2]!.epsilon = 3), /settings: expected/],
    ['norm', ({ settings }) => (settings.norm = 'l1'), /perturbations of at most 0.4, received one of/],
    ['clip', ({ settings }) => (settings.clip = [0.1, 0.9]), /values of 0.1 to 0.9, received 0 to/],
    ['examples', (content) => (content.examples = 131), /examples: expected 131, received 130/],
    ['not finite', (content) => content.notFinite.push(...Array(130).keys()), /correct: expected/],
  ];
  for (const [what, change, said] of claims) {
    const changed = structuredClone(manifest);
    change(changed);
    t.match(await verify(changed), /manifest: sha256/, `${what}: the manifest's own checksum`);
    changed.sha256 = sealOf(changed);
    const differences = await verify(changed);
    t.match(differences, said, `${what}: also under a new checksum`);
    t.notOk(differences.includes('manifest: sha256'), 'which fits');
  }

  const name = 'adversarial-1.2.safetensors';
  const path = join(folder, name);
  const original = await readFile(path);
  const flipped = Uint8Array.from(original);
  flipped[flipped.length - 5000]! ^= 64;
  await writeFile(path, flipped);
  t.match(await verify(), new RegExp(`${name}: sha256`), 'one bit');
  await writeFile(path, original.subarray(0, 1000));
  t.match(await verify(), new RegExp(`${name}: sha256[^]*${name}: `), 'cut short');
  await rm(path);
  t.match(await verify(), new RegExp(`${name}: no such file`), 'gone');

  // Whoever forges the checksums too is found out by the figures.
  const forge = async (change: (tensors: Map<string, SafetensorsEntry>) => void): Promise<string> => {
    const { tensors, metadata } = decodeSafetensors(original, name);
    change(tensors);
    const forged = encodeSafetensors(tensors, metadata);
    await writeFile(path, forged);
    const changed = structuredClone(manifest);
    changed.sets[2]!.sha256 = sha256(forged);
    changed.sha256 = sealOf(changed);
    return verify(changed);
  };
  t.equal(await forge(() => undefined), '', 'nothing changed, nothing found');
  const edit =
    (key: string, edit: (data: Float32Array) => void) =>
    (tensors: Map<string, SafetensorsEntry>): void => {
      edit(tensors.get(key)!.data as Float32Array);
    };
  const far = await forge(edit('adversarial', (values) => values.fill(0.5, 0, 784)));
  t.match(far, /perturbations of at most 1.2/, 'an input farther away');
  const outside = await forge(edit('adversarial', (values) => (values[0] = -0.1)));
  t.match(outside, /values of 0 to 1, received -0.1/, 'an input out of the range');
  t.match(await forge(edit('adversarial', (values) => (values[5] = NaN))), /perturbations of at most/, 'no number');
  t.match(await forge(edit('labels', (values) => (values[0] = 9 - values[0]!))), /labels: expected/, 'a label');
  t.match(await forge(edit('rows', (values) => (values[0]! += 1))), /rows: expected/, 'a row');
  const kind = await forge((tensors) => {
    tensors.delete('adversarial');
  });
  t.match(kind, /shape: expected \[130,1,28,28\], received undefined/, 'no inputs');

  const manifestPath = join(folder, 'manifest.json');
  for (const [what, text, said] of [
    ['no JSON', '{', 'expected JSON'],
    ['another format', '{"format":"x"}', 'format'],
    [
      'a path out of the folder',
      JSON.stringify({ ...manifest, sets: [{ ...manifest.sets[0], file: '../x' }] }),
      'sets.0.file',
    ],
  ] as const) {
    await writeFile(manifestPath, text);
    await refused(t, what, () => readManifest(folder), 'BAD_FILE', manifestPath, said);
  }
  await refused(t, 'no manifest', () => readManifest(dir), 'NOT_FOUND');
  const without = await evaluate(model, data, { epsilons: [0.5], attacks: ['advLoss'], diagnose: false });
  await refused(
    t,
    'no inputs kept',
    () => writeAdversarialSet(folder, without, origin),
    'INVALID_ARGUMENT',
    'keepInputs',
  );
  await rm(dir, { recursive: true });
});

/** The adversarial inputs of a file. */
function decoded(bytes: Uint8Array): Float32Array {
  return decodeSafetensors(bytes, 'set').tensors.get('adversarial')!.data as Float32Array;
}
