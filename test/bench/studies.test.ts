import test from 'tape';
import { allocation } from '../../src/bench/allocation.js';
import { eventLoop } from '../../src/bench/eventLoop.js';
import { chosen } from '../../src/bench/index.js';
import { costs, profile } from '../../src/bench/profile.js';
import { allSeries, exponent, scaling } from '../../src/bench/scaling.js';
import { memory } from '../../src/index.js';
import { refusal, sparring } from '../cli/run.js';

test('the exponent of a power is found', (t) => {
  const cube = [1, 2, 5, 40].map((x) => [x, 7 * x ** 3] as const);
  t.ok(Math.abs(exponent(cube) - 3) < 1e-12);
  t.end();
});

test('scaling: a row for each size, and what the arithmetic does beside', async (t) => {
  const before = memory().tensors;
  const one = new Map(allSeries.map((series) => [series.of, series]));
  const training = allSeries.find(({ name, of }) => name === 'mlp training' && of === 'batch')!;
  const small = [training, ...one.values()].map((series) => ({ ...series, sizes: series.sizes.slice(0, 2) }));
  const { rows, findings } = await scaling({ seconds: 0.001 }, small);
  t.equal(rows.length, 2 * small.length);
  t.equal(new Set(rows.map((row) => Object.keys(row).join())).size, 1, 'all rows have the same columns');
  t.equal(findings.length, small.length);
  t.match(
    findings[0]!,
    /^mlp training: time grows as batch\^.*its arithmetic, \^1\.00; the arena as \^/,
    'arithmetic grows with the batch',
  );
  t.equal(memory().tensors, before, 'no tensor is left');
});

test('event loop: delays and both ways of running', async (t) => {
  const before = memory().tensors;
  const { rows, findings } = await eventLoop({ seconds: 0.01 }, { images: 20 });
  t.deepEqual(
    rows.map(({ what }) => what),
    ['training mlp', 'attacking 20 images on mlp', 'training lenet', 'attacking 20 images on lenet'],
  );
  t.ok(rows.every((row) => ['p99 ms', 'step ms', 'blocking ms'].every((key) => Number.isFinite(row[key]))));
  t.equal(findings.length, 4);
  t.equal(memory().tensors, before, 'no tensor is left');
});

test('allocation: steps that are alike ask for nothing after the first', async (t) => {
  const before = memory().tensors;
  const { rows, findings } = await allocation({ seconds: 0 }, { steps: 6000 });
  t.equal(rows.length, 3);
  for (const row of rows) {
    const more = [row['tensors more'], row['bytes more'], row['asked the system']];
    t.deepEqual(more, [0, 0, 0], String(row['step']));
  }
  for (const finding of findings)
    t.match(finding, /the engine asks for nothing in 6000 steps; the process stays as large$/);
  t.equal(memory().tensors, before, 'no tensor is left');
});

test('profile: calls of one op on one shape stand together, the dearest first', (t) => {
  const shape = [2, 3];
  const found = costs([
    { op: 'relu', seconds: 1, shape, flops: 0 },
    { op: 'matmul', seconds: 2, shape, flops: 6e9 },
    { op: 'relu', seconds: 1, shape: [3], flops: 0 },
    { op: 'matmul', seconds: 4, shape, flops: 6e9 },
  ]);
  t.deepEqual(found, [
    { op: 'matmul', shape, calls: 2, seconds: 6, share: 0.75, gflops: 2 },
    { op: 'relu', shape, calls: 1, seconds: 1, share: 0.125 },
    { op: 'relu', shape: [3], calls: 1, seconds: 1, share: 0.125 },
  ]);
  t.end();
});

test('profile: the ops of a workload, and none of one that is more than a plan', async (t) => {
  const [convolution] = chosen(['conv_1x28_20k5/fwd']);
  const { ops, runs, seconds, gflops } = (await profile(convolution!, { seconds: 0.001 }))!;
  t.ok(runs >= 1 && seconds > 0 && gflops > 0);
  t.equal(ops[0]!.op, 'conv2d');
  t.ok(Math.abs(ops.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9, 'shares make a whole');
  const [product] = chosen(['gemm_1024']);
  t.equal(await profile(product!, { seconds: 0.001 }), undefined, 'an op alone is no plan');
});

test('profile: what is no plan is left out, and said', async (t) => {
  const { code, stdout, stderr } = await sparring(
    'bench --profile --only gemm_1024,conv_1x28_20k5/fwd --seconds 0.01 --json',
  );
  const { profiles } = JSON.parse(stdout) as { profiles: { name: string }[] };
  t.equal(code, 0);
  t.deepEqual(
    profiles.map(({ name }) => name),
    ['conv_1x28_20k5/fwd'],
  );
  t.match(stderr, /^not run as one plan: gemm_1024$/m);
});

test('ways to measure that do not go together are refused', async (t) => {
  const cases = [
    ['--peers --profile', 'expected one of --peers or --profile, received --peers --profile'],
    ['--profile --only scaling', 'expected one of --profile or --only scaling, received --profile --only scaling'],
    [
      '--profile --only products',
      '--only: expected with --profile workloads that run as one plan; not run as one plan: gemm_1024, gemm_2048',
    ],
    ['--only scaling,products', '--only: expected studies or workloads, received both'],
  ] as const;
  for (const [words, message] of cases) {
    t.deepEqual(
      await refusal(['bench', ...words.split(' '), '--quiet']),
      { code: 2, message: `sparring: ${message}` },
      words,
    );
  }
});
