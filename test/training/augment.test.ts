import test from 'tape';
import {
  accuracy,
  datasets,
  fromArrays,
  memory,
  models,
  planned,
  scope,
  take,
  tensor,
  type AugmentOptions,
  type Tensor,
} from '../../src/index.js';
import { withRandomness } from '../../src/nn/randomness.js';
import { augmented } from '../../src/training/augment.js';
import { rowsOf } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { randomTensor, sameBits } from '../tensor/numbers.js';
import { finish, sameWeights } from './trained.js';

const [channels, height, width] = [2, 5, 4];

/** An image moved and mirrored, element by element. */
function reference(image: number[], { down, right, mirrored }: Draw): number[] {
  return image.map((_, place) => {
    const [c, i, j] = [Math.floor(place / (height * width)), Math.floor(place / width) % height, place % width];
    const [row, column] = [i + down, (mirrored ? width - 1 - j : j) + right];
    const inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? image[(c * height + row) * width + column]! : 0;
  });
}

interface Draw {
  down: number;
  right: number;
  mirrored: boolean;
}

function draws({ crop, mirror }: { crop: number; mirror: boolean }): Draw[] {
  const moves = Array.from({ length: 2 * crop + 1 }, (_, i) => i - crop);
  return moves.flatMap((down) =>
    moves.flatMap((right) => (mirror ? [false, true] : [false]).map((mirrored) => ({ down, right, mirrored }))),
  );
}

/** The images as a step sees them. */
function seen(x: Tensor, options: { crop: number; mirror: boolean }, rows: number[], seed = 1, tick = 0): Tensor {
  const source = {
    seed,
    rows: tensor(rows, { dtype: 'int32' }),
    tick: tensor(tick, { dtype: 'int32' }),
  };
  return withRandomness(source, () => augmented(x, options));
}

test('augment: every move and both sides, each as often as the others', (t) => {
  const count = 4000;
  for (const options of [
    { crop: 1, mirror: true },
    { crop: 2, mirror: false },
    { crop: 0, mirror: true },
    { crop: 3, mirror: false },
  ]) {
    scope(() => {
      const image = rowsOf(randomTensor([1, channels, height, width], 1, { low: 0.1, high: 1 }))[0]!;
      const all = tensor(Array.from({ length: count }, () => image).flat(), {
        shape: [count, channels, height, width],
      });
      const numbers = Array.from({ length: count }, (_, row) => row);
      const found = new Map(draws(options).map((draw) => [reference(image, draw).join(), 0]));
      for (const row of rowsOf(seen(all, options, numbers))) {
        const key = row.join();
        found.set(key, (found.get(key) ?? NaN) + 1);
      }
      const expected = count / draws(options).length;
      const deviations = [...found.values()].map((times) => (times - expected) / Math.sqrt(expected));
      t.equal(found.size, draws(options).length, `${JSON.stringify(options)}: nothing but moves of at most crop`);
      t.ok(
        deviations.every((each) => Math.abs(each) < 4.5),
        `each about ${expected} times`,
      );
    });
  }
  t.end();
});

test('augment: an image is varied by its number and the step, whatever its company', (t) => {
  scope(() => {
    const x = randomTensor([6, channels, height, width], 2);
    const options = { crop: 2, mirror: true };
    const whole = rowsOf(seen(x, options, [10, 11, 12, 13, 14, 15]));
    const part = tensor([...rowsOf(x)[4]!, ...rowsOf(x)[1]!], { shape: [2, channels, height, width] });
    const again = rowsOf(seen(part, options, [14, 11]));
    t.deepEqual(again, [whole[4], whole[1]], 'in other company and order');
    t.notDeepEqual(rowsOf(seen(x, options, [10, 11, 12, 13, 14, 15], 1, 1)), whole, 'at another step otherwise');
    t.notDeepEqual(rowsOf(seen(x, options, [10, 11, 12, 13, 14, 15], 2)), whole, 'and with another seed');
    const none = seen(x, { crop: 0, mirror: false }, [0, 1, 2, 3, 4, 5]);
    t.ok(sameBits(none.data(), x.data()), 'with nothing asked for nothing happens');
    const rows = tensor([10, 11, 12, 13, 14, 15], { dtype: 'int32' });
    const inPlan = planned((images: Tensor) => [
      withRandomness({ seed: 1, rows, tick: tensor(0, { dtype: 'int32' }) }, () => augmented(images, options)),
    ]);
    t.deepEqual(rowsOf(inPlan.sync(x)[0]!), whole, 'in a plan as without');
    inPlan.dispose();
  });
  t.end();
});

test('augment: in a training', async (t) => {
  const data = take((await datasets.sample()).train, 100);
  const trained = async (augment?: AugmentOptions, seed = 1): Promise<ReturnType<typeof models.mlp>> => {
    const model = models.mlp({ hidden: [16], seed: 1 });
    await finish(model, data, { epochs: 10, batchSize: 20, seed, ...(augment && { augment }) });
    return model;
  };
  const augment = { crop: 2, mirror: true };
  const networks = [await trained(augment)];
  const before = memory();
  (await trained(augment)).dispose();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'nothing is left behind');
  for (const each of [augment, { mirror: true }, { crop: 2 }, undefined]) networks.push(await trained(each));
  const [first, second, mirrored, moved, plain] = networks as [
    (typeof networks)[0],
    (typeof networks)[0],
    (typeof networks)[0],
    (typeof networks)[0],
    (typeof networks)[0],
  ];
  t.ok(sameWeights(first, second), 'the same seed gives the same weights');
  const others = [mirrored, moved, plain];
  t.ok(
    others.every((each) => !sameWeights(each, first)),
    'each option matters',
  );
  t.ok((await accuracy(moved, data)).correct > 30, 'it learns');
  for (const each of networks) each.dispose();
});

test('augment: what is refused', async (t) => {
  const data = (await datasets.sample()).train;
  const model = models.mlp({ hidden: [4], seed: 1 });
  for (const [augment, said] of [
    [{ crop: -1 }, 'augment.crop: expected a whole number of pixels of at least 0, received -1'],
    [{ crop: 28 }, "augment: crop: expected less than the images' 28x28 pixels, received 28"],
    [{ miror: true }, 'unknown option'],
  ] as [AugmentOptions, string][]) {
    await refused(t, JSON.stringify(augment), () => finish(model, data, { augment }), 'INVALID_ARGUMENT', said);
  }
  const rows = fromArrays({ inputs: new Float32Array(8), labels: new Uint8Array(4), shape: [2], classes: 2 });
  const small = models.mlp({ inputs: 2, hidden: [2], classes: 2, seed: 1 });
  await refused(
    t,
    'inputs that are no images',
    () => finish(small, rows, { augment: { mirror: true } }),
    'INVALID_ARGUMENT',
    'augment: expected images [channels, height, width], received inputs of shape [2]',
  );
  model.dispose();
  small.dispose();
});
