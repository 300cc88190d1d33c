import test from 'tape';
import { bench, chosen, suites } from '../../src/bench/index.js';
import { memory } from '../../src/index.js';
import { refusal } from '../cli/run.js';

test('workloads are chosen by suite, by name, and by the beginning of a name', (t) => {
  const names = (...only: string[]) => chosen(only).map(({ name }) => name);
  t.deepEqual(names('products'), ['gemm_1024', 'gemm_2048']);
  t.deepEqual(names('conv_1x28_20k5/fwd'), ['conv_1x28_20k5/fwd'], 'a whole name is that workload alone');
  t.equal(names('conv_1x28').length, 3);
  const all = Object.values(suites).flat();
  t.equal(names().length, all.filter(({ isLong }) => isLong !== true).length, 'all but the long ones without a wish');
  t.notOk(names().includes('lenet_autoattack_1k'));
  t.deepEqual(names('protocol'), ['lenet_autoattack_1k'], 'which are there when asked for');
  t.equal(new Set(names()).size, names().length, 'no name stands for two');
  t.throws(() => names('conv_9'), /bench: expected one of .*, received 'conv_9'/);
  t.end();
});

test('a misspelt workload is refused with the nearest one', async (t) => {
  const { code, message } = await refusal(['bench', '--only', 'mlp_trian', '--quiet']);
  t.equal(code, 2);
  t.match(message, /--only: expected one of .* received 'mlp_trian'/);
});

test('a workload is timed in rounds and leaves nothing behind', async (t) => {
  const before = memory().tensors;
  const seen: string[] = [];
  const { workloads, meta } = await bench({
    only: ['conv_1x28_20k5/fwd', 'gemm_1024'],
    seconds: 0.001,
    rounds: 2,
    onResult: (name) => seen.push(name),
  });
  t.deepEqual(seen, ['gemm_1024', 'conv_1x28_20k5/fwd', 'gemm_1024', 'conv_1x28_20k5/fwd'], 'in turn');
  const { median_s, min_s, reps, items, per_item } = workloads['conv_1x28_20k5/fwd']!;
  t.ok(min_s > 0 && median_s >= min_s && reps >= 2, 'a median of all repetitions, at least one a round');
  t.deepEqual([items, per_item], [128, median_s / 128]);
  t.ok('cpu' in meta, 'where it was measured');
  t.equal(memory().tensors, before);
});
