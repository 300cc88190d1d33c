import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import type { Evaluation } from '../../src/index.js';
import type { Verification } from '../../src/evaluation/verify.js';
import { sparring } from './run.js';

type Evaluated = Omit<Evaluation, 'outcomes'> & { sets: { file: string; correct: number }[] };

test('evaluate --out and verify: the worst images are kept, and scored again', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-cli-'));
  const [network, other] = [join(dir, 'network.safetensors'), join(dir, 'other.safetensors')];
  const [out, checkpoint] = [join(dir, 'set'), join(dir, 'checkpoint')];
  const train = 'train --quiet --data sample --method normal --epochs 3 --batch-size 16 --hidden 16';
  await Promise.all([sparring(`${train} --seed 1 --out ${network}`), sparring(`${train} --seed 2 --out ${other}`)]);

  const asked = `evaluate ${network} --attacks advLoss,minimal --epsilons 0.3,1 --clip 0 1 --limit 60 --survivors`;
  const [first, table] = await Promise.all([
    sparring(`${asked} --json --quiet --source ${other} --out ${out} --checkpoint ${checkpoint}`),
    sparring(`${asked} --norm linf --epsilons 0.5 --report ${join(dir, 'report.html')}`),
  ]);
  t.deepEqual([first.code, first.stderr], [0, ''], 'quiet is quiet');
  const evaluated = JSON.parse(first.stdout) as Evaluated;
  const labels = ['advLoss', 'minimal', 'advLoss transferred', 'minimal transferred'];
  t.deepEqual(
    evaluated.robust.map(({ attack, epsilon }) => `${attack} ${epsilon}`),
    [0.3, 1].flatMap((epsilon) => labels.map((label) => `${label} ${epsilon}`)),
  );
  t.deepEqual(
    evaluated.robust.map(({ attacked }) => attacked <= 60),
    labels.flatMap(() => [true, true]),
    'attacks are given what is left',
  );
  t.ok('flags' in evaluated && 'cost' in evaluated && !('outcomes' in evaluated), 'flags and cost, no single images');
  t.deepEqual(
    (await readdir(out)).sort(),
    ['adversarial-0.3.safetensors', 'adversarial-1.safetensors', 'manifest.json'],
    'one file a length, and the manifest',
  );
  t.match(table.stdout, /; each attack on what withstood those before it\n/);
  t.match(table.stdout, /\nminimal: linf distance [\d.]+ in the median, [\d.]+ to .* for the middle half; found for/);

  t.match(await readFile(join(dir, 'report.html'), 'utf8'), /<h1>What MLP, Normal withstands<\/h1>/, 'a report');
  t.match(table.stdout, /\nthe report is .*report\.html\n$/);

  const again = await sparring(`${asked} --json --source ${other} --out ${out} --checkpoint ${checkpoint}`);
  t.deepEqual((JSON.parse(again.stdout) as Evaluated).robust, evaluated.robust, 'from the checkpoint, times and all');
  const refused = await sparring(`${asked} --json --checkpoint ${checkpoint} --out ${out}`);
  t.deepEqual([refused.code, refused.stdout], [2, ''], 'not under other settings');
  t.match(refused.stderr, /checkpoint: expected one of this settings/);

  const moved = join(dir, 'moved.safetensors');
  await copyFile(network, moved);
  const manifest = await readFile(join(out, 'manifest.json'), 'utf8');
  const [confirmed, elsewhere, foreign, nothing] = await Promise.all([
    sparring(`verify ${out} --json`),
    sparring(`verify ${out} --model ${moved}`),
    sparring(`verify ${out} --model ${other}`),
    sparring(`verify ${dir}`),
  ]);
  const verified = JSON.parse(confirmed.stdout) as Verification;
  t.deepEqual([confirmed.code, verified.confirmed, verified.differences], [0, true, []], 'confirmed');
  t.deepEqual(
    verified.sets.map(({ accuracy }) => accuracy),
    evaluated.worst.map(({ accuracy }) => accuracy.mean),
    'with the accuracies of the evaluation',
  );
  t.match(elsewhere.stdout, /\nconfirmed: all is as the manifest says\n$/, 'wherever the network is');
  t.equal(foreign.code, 1);
  t.match(foreign.stdout, /\nnot confirmed:\n {2}network: sha256: expected/);
  t.equal(nothing.code, 1);
  t.match(nothing.stderr, /manifest\.json: no such file/);

  await writeFile(join(out, 'manifest.json'), manifest.replace(/"correct": \d+/, '"correct": 60'));
  const tampered = await sparring(`verify ${out}`);
  t.equal(tampered.code, 1, 'a changed count');
  t.match(tampered.stdout, /manifest: sha256[^]*clean: correct: expected 60/);
  await rm(dir, { recursive: true });
});
