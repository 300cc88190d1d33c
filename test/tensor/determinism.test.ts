import test from 'tape';
import { vjp } from '../../src/autodiff/autodiff.js';
import { native } from '../../src/native.js';
import * as ops from '../../src/tensor/ops.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, randomTensor, sameBits, withThreads } from './numbers.js';

// What may depend on the number of threads or on the batch an example comes in, and what may not.

type Real = 'float32' | 'float64';

/** Work large enough to be split over threads: a function and the shapes it is of, the first with the examples in front. */
interface Work {
  shapes: number[][];
  f: (...x: Tensor[]) => Tensor;
  /** Whether results are alike to the last places only. */
  nearly?: boolean;
}

const indices = tensor(Int32Array.from({ length: 5000 }, (_, i) => (i * 7919) % 700));
const labels = tensor(Int32Array.from({ length: 4000 }, (_, i) => (i * 7) % 10));

/** Whether products are the engine's own: OpenBLAS adds in an order that depends on where in its blocks a row stands. */
const ownProducts = /^avx/.test(native.machine().simd);

const work: Record<string, Work> = {
  'a chain of element-wise ops': {
    shapes: [[300, 211], [211]],
    f: (x, y) => ops.tanh(ops.add(ops.mul(x, y), ops.exp(ops.neg(ops.square(x))))),
  },
  'a broadcast of both operands': {
    shapes: [
      [300, 1, 37],
      [41, 1],
    ],
    f: (x, y) => ops.maximum(ops.mul(x, y), x),
  },
  where: { shapes: [[400, 99]], f: (x) => ops.where(ops.greater(x, 0), ops.sigmoid(x), 0.5) },
  'a sum of rows': { shapes: [[900, 301]], f: (x) => ops.sum(x, { axes: [1] }) },
  'a sum of columns': { shapes: [[301, 900]], f: (x) => ops.sum(x, { axes: [0] }) },
  'a sum of axes apart': { shapes: [[50, 31, 40, 3]], f: (x) => ops.mean(x, { axes: [1, 3] }) },
  'a sum of all': { shapes: [[200_001]], f: (x) => ops.sum(x) },
  norms: {
    shapes: [[500, 97]],
    f: (x) => ops.add(ops.norm(x, { axes: [1] }), ops.norm(x, { order: 'linf', axes: [1] })),
  },
  max: { shapes: [[700, 5, 31]], f: (x) => ops.max(x, { axes: [1, 2] }) },
  softmax: { shapes: [[4000, 10]], f: (x) => ops.add(ops.softmax(x), ops.logSoftmax(x)) },
  permute: { shapes: [[60, 70, 21]], f: (x) => ops.permute(x, [0, 2, 1]) },
  'pad and slice': { shapes: [[60, 70, 21]], f: (x) => ops.slice(ops.pad(x, [0, 2, 1], [0, 1, 3]), [0, 1], [60, 70]) },
  concat: {
    shapes: [
      [300, 71],
      [300, 83],
    ],
    f: (x, y) => ops.concat([x, y], { axis: 1 }),
  },
  gather: { shapes: [[700, 33]], f: (x) => ops.gather(x, indices) },
  dropout: { shapes: [[900, 77]], f: (x) => ops.dropout(x, { rate: 0.3, seed: 9 }) },
  pooling: {
    shapes: [[40, 3, 29, 31]],
    f: (x) => ops.add(ops.maxPool2d(x, { kernel: 3, stride: 2 }), ops.averagePool2d(x, { kernel: 3, stride: 2 })),
  },
  matmul: {
    shapes: [
      [150, 190],
      [190, 70],
    ],
    f: (x, y) => ops.matmul(x, y),
    nearly: !ownProducts,
  },
  linear: { shapes: [[150, 190], [70, 190], [70]], f: (x, w, b) => ops.linear(x, w, b), nearly: !ownProducts },
};

function computed({ shapes, f }: Work, dtype: Real): Tensor[] {
  const x = shapes.map((shape, index) => randomTensor(shape, index + 1, { low: -2, high: 2, dtype }));
  const { value, pullback } = vjp((inputs: readonly Tensor[]) => f(...inputs), x);
  return [value, ...pullback(randomTensor(value.shape, 99, { dtype }))];
}

/** Of float32 one part in a hundred thousand, of float64 one in 10^13, relative to the largest. */
function nearlySame(a: Tensor, b: Tensor): boolean {
  const largest = Array.from(b.data(), Math.abs).reduce((most, value) => Math.max(most, value), 0);
  return farthest(a.data(), b.data()) <= (a.dtype === 'float32' ? 1e-5 : 1e-13) * largest;
}

for (const [name, task] of Object.entries(work)) {
  test(`determinism: ${name}, on one thread and on several`, (t) => {
    for (const dtype of ['float32', 'float64'] as const) {
      scope(() => {
        const alone = withThreads(1, () => computed(task, dtype));
        for (const count of [2, 3]) {
          const split = withThreads(count, () => computed(task, dtype));
          split.forEach((each, index) => {
            const isSame = task.nearly ? nearlySame(each, alone[index]!) : sameBits(each.data(), alone[index]!.data());
            t.ok(isSame, `${dtype}, ${count} threads: ${index === 0 ? 'value' : `gradient ${index - 1}`}`);
          });
        }
      });
    }
    t.end();
  });
}

test('determinism: the same call gives the same bits, again and again', (t) => {
  for (const [name, task] of Object.entries(work)) {
    scope(() => {
      const first = computed(task, 'float32');
      const second = computed(task, 'float32');
      t.ok(
        first.every((each, index) => sameBits(each.data(), second[index]!.data())),
        name,
      );
    });
  }
  t.end();
});

/** Functions of a batch [B, ...] whose result for an example is that example's own. */
const perExample: Record<string, { shape: number[]; f: (x: Tensor) => Tensor; nearly?: boolean }> = {
  'element-wise functions': { shape: [61], f: (x) => ops.exp(ops.tanh(ops.sigmoid(x))) },
  'sums and norms': {
    shape: [3, 47],
    f: (x) => ops.add(ops.sum(x, { axes: [1, 2] }), ops.norm(ops.square(x), { axes: [1, 2] })),
  },
  softmax: { shape: [10], f: ops.softmax },
  'cross-entropy': { shape: [10], f: (x) => ops.crossEntropy(x, ops.slice(labels, [0], [x.shape[0]!])) },
  'matmul 784 x 100': { shape: [784], f: (x) => ops.matmul(x, randomTensor([784, 100], 5)), nearly: true },
  'linear 100 to 10': {
    shape: [100],
    f: (x) => ops.linear(x, randomTensor([10, 100], 5), randomTensor([10], 6)),
    nearly: true,
  },
  conv2d: {
    shape: [2, 13, 12],
    f: (x) => ops.conv2d(x, randomTensor([5, 2, 3, 3], 5), { padding: 1, bias: randomTensor([5], 6) }),
  },
  'conv2d with stride and groups': {
    shape: [4, 9, 9],
    f: (x) => ops.conv2d(x, randomTensor([6, 2, 3, 3], 5), { stride: 2, groups: 2, dilation: 2 }),
  },
  pooling: { shape: [2, 13, 12], f: (x) => ops.maxPool2d(x, { kernel: 2 }) },
  dropout: { shape: [33], f: (x) => ops.dropout(x, { rate: 0.5, seed: 3 }) },
};

const batches = 500;
for (const [name, { shape, f, nearly }] of Object.entries(perExample)) {
  test(`determinism: ${name}, in batches of 1, 7 and 500`, (t) => {
    scope(() => {
      const run = (x: Tensor): Tensor[] => {
        const { value, pullback } = vjp((inner: Tensor) => f(inner), x);
        const cotangent = randomTensor([batches, ...value.shape.slice(1)], 77);
        return [value, pullback(ops.slice(cotangent, [0], [x.shape[0]!]))];
      };
      const x = randomTensor([batches, ...shape], 7, { low: -2, high: 2 });
      for (const threads of [1, 2]) {
        const whole = withThreads(threads, () => run(x));
        for (const size of [1, 7]) {
          run(ops.slice(x, [0], [size])).forEach((each, index) => {
            const expected = ops.slice(whole[index]!, [0], [size]);
            // A single row is a vector, whose products are OpenBLAS's.
            const isSame =
              nearly && (size === 1 || !ownProducts)
                ? nearlySame(each, expected)
                : sameBits(each.data(), expected.data());
            t.ok(isSame, `${index === 0 ? 'value' : 'gradient'} of ${size} for 500 on ${threads} threads`);
          });
        }
      }
    });
    t.end();
  });
}

test('determinism: convolution', (t) => {
  for (const dtype of ['float32', 'float64'] as const) {
    scope(() => {
      const x = randomTensor([9, 3, 17, 19], 1, { dtype });
      const w = randomTensor([8, 3, 5, 3], 2, { dtype });
      const run = (): Tensor[] => {
        const { value, pullback } = vjp(
          ([image, weight]: readonly Tensor[]) => ops.conv2d(image!, weight!, { padding: 1 }),
          [x, w],
        );
        return [value, ...pullback(randomTensor(value.shape, 3, { dtype }))];
      };
      const alone = withThreads(1, run);
      const split = withThreads(2, run);
      t.ok(sameBits(alone[0]!.data(), split[0]!.data()), `${dtype}: the value on one and two threads`);
      t.ok(sameBits(alone[1]!.data(), split[1]!.data()), `${dtype}: the image’s gradient`);
      t.ok(nearlySame(alone[2]!, split[2]!), `${dtype}: the weight’s gradient, a sum over the batch`);
    });
  }
  t.end();
});
