import test from 'tape';
import { attacks, cast, uniform, type Tensor } from '../../src/index.js';
import { coverage, pyramids } from '../../src/adversary/square.js';
import { farthest } from '../tensor/numbers.js';
import { faults, labelsFor } from './faults.js';
import { dense, length, normNames, predictions, smallLenet } from './networks.js';

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

test('square: hills as the paper draws them', (t) => {
  // Algorithm 4 by the letter: rectangles around the middle, each 1 / (M + 1 - k)² higher than the one around it.
  const drawn = (rows: number, columns: number): number[][] => {
    const most = Math.floor(Math.max(rows, columns) / 2);
    const image = Array.from({ length: rows }, () => Array.from({ length: columns }, () => 0));
    for (let k = 0; k <= most; k++) {
      for (let row = Math.floor(rows / 2) - k; row <= Math.floor(rows / 2) + k; row++) {
        for (let column = Math.floor(columns / 2) - k; column <= Math.floor(columns / 2) + k; column++)
          if (image[row]?.[column] !== undefined) image[row]![column]! += 1 / (k + 1) ** 2;
      }
    }
    return image;
  };
  for (const side of [3, 5, 9]) {
    const half = Math.floor(side / 2);
    const both = [...drawn(half, side), ...drawn(side - half, side).map((row) => row.map((each) => -each))].flat();
    for (const norm of ['l1', 'l2'] as const) {
      const found = pyramids(side, side, norm).flat();
      t.ok(Math.abs(length[norm](found) - 1) < 1e-12, `${norm}: of length 1`);
      const expected = both.map((each) => each / length[norm](both));
      t.ok(farthest(found, expected) < 1e-12, `${norm}, side ${side}`);
    }
  }
  t.deepEqual(
    pyramids(1, 4, 'l2').map((row) => row.map(Math.sign)),
    [[1, 1, -1, -1]],
    'in a line the halves stand side by side',
  );
  t.end();
});

for (const norm of normNames) {
  test(`square: in the ball and the range, better than noise, and without a gradient, ${norm}`, async (t) => {
    const x = uniform([20, 1, 16, 16], { seed: 5 });
    const model = smallLenet(2);
    const y = labelsFor(model, x, 5, 7);
    const asked = { norm, epsilon: { l1: 6, l2: 0.5, linf: 0.05 }[norm], clip: [0, 1] as [number, number] };
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
}

test('square: what withstands has been moved by all of epsilon', async (t) => {
  // Colour images, the last ones no squares; a margin that every move changes.
  for (const shape of [
    [3, 10, 10],
    [2, 7, 12],
    [1, 1, 9],
    [3, 2, 2],
  ]) {
    const numbers = shape.reduce((product, each) => product * each, 1);
    const model = dense(numbers, 4, 3, [20]);
    const x = cast(uniform([6, ...shape], { seed: 2 }), 'float64');
    const double = dense(numbers, 4, 3, [20]).to('float64');
    const y = predictions(model, uniform([6, ...shape], { seed: 2 }));
    for (const norm of normNames) {
      const epsilon = { l1: 0.02, l2: 0.01, linf: 0.0005 }[norm];
      for (const queries of [1, 40]) {
        const result = await attacks.square(double, x, y, { norm, epsilon, queries });
        const { success, norms } = result;
        t.deepEqual(faults(double, x, y, result, { norm, epsilon }), [], `${shape.join('x')}, ${norm}`);
        const short = list(norms).filter((size, i) => success.data()[i] === 0 && size < epsilon * (1 - 1e-9));
        t.deepEqual(short, [], 'no length is given away');
      }
    }
  }
});

test('square: a move empties one window into another, and touches nothing else', async (t) => {
  const x = uniform([30, 1, 16, 16], { seed: 5 });
  const model = smallLenet(2);
  const y = predictions(model, x);
  for (const norm of ['l1', 'l2'] as const) {
    const after = async (queries: number): Promise<number[]> =>
      list((await attacks.square(model, x, y, { norm, epsilon: 0.01, p: 0.03, queries })).adversarial);
    const [clean, start, moved] = [list(x), await after(1), await after(2)];
    const counts = Array.from({ length: 30 }, (_, image) => {
      const places = Array.from({ length: 256 }, (_, pixel) => image * 256 + pixel);
      const changed = places.filter((at) => Math.abs(moved[at]! - start[at]!) > 1e-6);
      return {
        changed: changed.length,
        emptied: changed.filter((at) => Math.abs(moved[at]! - clean[at]!) < 1e-7).length,
      };
    });
    t.ok(counts.filter(({ changed }) => changed > 0).length > 5, `${norm}: some moves are kept`);
    t.ok(
      counts.every(({ changed }) => changed <= 2 * 9),
      `${norm}: two windows of 3 x 3`,
    );
    t.ok(
      counts.some(({ emptied }) => emptied > 0),
      `${norm}: one of them is empty`,
    );
  }
});

test('square: rows of numbers, and targets', async (t) => {
  const model = dense(15, 4, 3, [20]);
  const x = uniform([20, 15], { seed: 2 });
  const y = predictions(model, x);
  const targets = y.map((label) => (label + 1) % 4);
  const { adversarial, success } = await attacks.square(model, x, y, {
    norm: 'linf',
    epsilon: 0.7,
    queries: 300,
    targets,
  });
  t.deepEqual(
    list(success),
    predictions(model, adversarial).map((label, i) => (label === targets[i] ? 1 : 0)),
    'success is the target',
  );
  t.ok(broken({ success }) > 10, `${broken({ success })} of 20 are led there`);
});
