import test from 'tape';
import { attacks, uniform, type Tensor } from '../../src/index.js';
import { coverage } from '../../src/adversary/square.js';
import { farthest } from '../tensor/numbers.js';
import { faults, labelsFor } from './faults.js';
import { dense, predictions, smallLenet } from './networks.js';
import { refused } from './refused.js';

// The square attack.

const list = (x: Tensor): number[] => Array.from(x.data());
const broken = (result: { success: Tensor }): number => list(result.success).filter((one) => one === 1).length;

test('square: the windows shrink where the paper has it', (t) => {
  const after = [0, 10, 11, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001];
  t.deepEqual(
    after.map((iteration) => 0.8 / coverage(0.8, iteration, 10000)),
    [1, 1, 2, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  );
  t.equal(coverage(0.8, 6, 5000), 0.4, 'stretched to the number of queries');
  t.end();
});

test('square: in the ball and the range, better than noise, and without a gradient', async (t) => {
  const x = uniform([20, 1, 16, 16], { seed: 5 });
  const model = smallLenet(2);
  const y = labelsFor(model, x, 5, 7);
  const options = { norm: 'linf', epsilon: 0.05, clip: [0, 1] as [number, number] } as const;
  const asked = { ...options, clip: [0, 1] as [number, number] };
  const found = await attacks.square(model, x, y, { ...asked, queries: 200 });
  t.deepEqual(faults(model, x, y, found, asked), [], 'as every attack');
  const chance = await attacks.noise(model, x, y, { ...asked, repeats: 200 });
  t.ok(broken(found) > broken(chance), `${broken(found)} broken, by noise ${broken(chance)}`);
  t.ok(
    list(found.backwards).every((each) => each === 0),
    'no backward pass',
  );
  t.ok(
    list(found.queries).every((each, i) => each === 202 || found.success.data()[i] === 1),
    'as many queries as asked for what withstands',
  );
  for (const batchSize of [7, 1]) {
    const other = await attacks.square(model, x, y, { ...asked, queries: 200, batchSize });
    t.ok(farthest(other.adversarial.data(), found.adversarial.data()) < 1e-5, `the same in batches of ${batchSize}`);
    t.deepEqual(list(other.queries), list(found.queries), 'and as many queries');
  }
});

test('square: rows of numbers, targets, and what is refused', async (t) => {
  const model = dense(15, 4, 3, [20]);
  const x = uniform([20, 15], { seed: 2 });
  const y = predictions(model, x);
  const targets = y.map((label) => (label + 1) % 4);
  const { adversarial, success } = await attacks.square(model, x, y, { epsilon: 0.7, queries: 300, targets });
  t.deepEqual(
    list(success),
    predictions(model, adversarial).map((label, i) => (label === targets[i] ? 1 : 0)),
    'success is the target',
  );
  t.ok(broken({ success }) > 10, `${broken({ success })} of 20 are led there`);
  await refused(
    t,
    'l2',
    () => attacks.square(model, x, y, { epsilon: 1, norm: 'l2' }),
    'INVALID_ARGUMENT',
    'square: norm: expected linf',
  );
});
