import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { compared, peers, peersPicture, Samples, timingOf } from '../../src/bench/peers.js';
import { writeMaterial } from '../../src/bench/trained.js';
import { peersMarkdown, peersText } from '../../src/cli/bench.js';
import { loadSafetensors, memory, models, saveSafetensors, scope } from '../../src/index.js';
import { start } from '../cli/run.js';
import { comparison } from './sample.js';

test('a comparison is a table, and tells what is missing', (t) => {
  const lines = peersText(comparison).split('\n');
  t.equal(lines[0], '  ms a repetition  sparring  PyTorch, best  ratio  PyTorch, plain  of sgemm  limit');
  t.equal(lines[1], '  mlp_train_b128      12.50          20.00   1.60           25.00      75 %   2.13');
  t.equal(lines[2], '  lenet_infer_b1     0.4000         0.2000   0.50          0.3000      10 %   5.00');
  t.ok(lines.includes('2 threads, float32, medians of 3 rounds in turn'), 'how it was measured');
  t.equal(timingOf({ threads: 1, rounds: 1 }), '1 thread, float32, one round in turn');
  t.ok(
    lines.includes('TensorFlow.js is not installed; to time it too: npm ci --ignore-scripts --prefix bench/peers'),
    'the command that installs a missing peer',
  );
  t.ok(lines.includes('onnxruntime failed: it ran out of memory'), 'why a peer has no figures');
  t.end();
});

test('a comparison is a table in Markdown', (t) => {
  const lines = peersMarkdown(comparison).split('\n');
  t.deepEqual(lines.slice(0, 3), [
    '| ms a repetition | sparring | PyTorch, best | ratio | PyTorch, plain | of sgemm | limit |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    '| mlp_train_b128 | 12.50 | 20.00 | 1.60 | 25.00 | 75 % | 2.13 |',
  ]);
  t.match(
    lines.at(-1)!,
    /^Ratio: .*; 2 threads, float32, medians of 3 rounds in turn; A Processor\.$/,
    'what it means',
  );
  t.end();
});

test('a comparison is a picture, where there is something to compare with', async (t) => {
  const picture = await peersPicture(comparison);
  t.match(picture!.svg, /^<svg.*1\.60×.*0\.500×/s, 'the ratios');
  t.equal(picture!.description, 'Bars: mlp_train_b128 1.60, lenet_infer_b1 0.500.');
  const alone = comparison.workloads.map(({ name, ours }) => ({ name, ours }));
  t.equal(await peersPicture({ ...comparison, workloads: alone }), undefined);
});

test('medians are taken over the rounds, and the fastest configuration counts', (t) => {
  const samples = new Samples();
  const one = (seconds: number) => ({ seconds });
  for (const seconds of [2, 9, 1]) samples.add('ours', '', { workloads: { gemm_1024: { '': one(seconds) } } });
  for (const seconds of [6, 5, 7]) {
    const workloads = { gemm_1024: { plain: one(seconds), frozen: one(seconds - 1), broken: {} } };
    samples.add('pytorch', '', { workloads });
    samples.add('pytorch', 'tuned', { workloads: { gemm_1024: { plain: one(seconds / 2) } } });
  }
  const { machineGflops, workloads } = compared([{ name: 'gemm_1024', flops: 4e9 }], samples);
  t.deepEqual(workloads, [
    {
      name: 'gemm_1024',
      ours: 2,
      pytorch: { best: 3, configuration: 'tuned, plain', plain: 6 },
      ratio: 1.5,
      gflops: 2,
      fraction: 2 / machineGflops,
    },
  ]);
  t.ok(Math.abs(machineGflops - 2 ** 31 / 2 / 1e9) < 1e-9, 'the fastest product is the rate of the machine');
  t.end();
});

test('every peer says what installs it, and has its program', (t) => {
  for (const { title, install, find } of peers) {
    t.match(install, /^(apt-get install |npm ci .* bench\/peers$)/, title);
    for (const { words } of find() ?? []) {
      const program = words.find((word) => /\.(py|mjs)$/.test(word));
      t.ok(program !== undefined && existsSync(program), `${title}: ${program}`);
    }
  }
  t.end();
});

test("the peers' programs read what is written for them, and print their figures", async (t) => {
  const before = memory().tensors;
  const folder = await mkdtemp(join(tmpdir(), 'sparring-test-'));
  const networks = await mkdtemp(join(tmpdir(), 'sparring-test-'));
  for (const name of ['mlp', 'lenet'] as const) {
    const model = models[name]({ seed: 3 });
    await saveSafetensors(join(networks, `${name}.safetensors`), model.stateDict());
    model.dispose();
  }
  await writeMaterial(folder, { networks });
  t.equal(memory().tensors, before, 'no tensor is left');
  await scope(async () => {
    const images = await loadSafetensors(join(folder, 'images.safetensors'));
    t.deepEqual(images['test.x']!.shape, [10_000, 1, 28, 28]);
    const { '0.weight': weight } = await loadSafetensors(join(folder, 'mlp.safetensors'));
    t.deepEqual(weight!.shape, [1000, 784], 'the networks are those given');
  });
  for (const { title, find } of peers) {
    const settings = find() ?? [];
    const timed = new Set<string>();
    for (const { words, env } of settings) {
      const args = [
        '--material',
        folder,
        '--workloads',
        'gemm_64,mlp_infer_b1',
        '--threads',
        '1',
        '--seconds',
        '0.001',
      ];
      const { code, stdout, stderr } = await start([...words, ...args], { env });
      t.equal(code, 0, `${title}: ${stderr}`);
      const { workloads } = JSON.parse(stdout) as { workloads: Record<string, Record<string, { seconds: number }>> };
      for (const [name, configurations] of Object.entries(workloads))
        for (const { seconds } of Object.values(configurations)) if (seconds > 0) timed.add(name);
    }
    // Which of its configurations are timed to the end depends on how they do.
    if (settings.length > 0) t.deepEqual([...timed].sort(), ['gemm_64', 'mlp_infer_b1'], `${title}: every workload`);
  }
  await rm(folder, { recursive: true });
  await rm(networks, { recursive: true });
});
