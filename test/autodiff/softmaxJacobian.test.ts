import test from 'tape';
import { refused } from '../io/refused.js';
import { jacobian, softmaxJacobian } from '../../src/autodiff/autodiff.js';
import type { NumberArray } from '../../src/native.js';
import * as ops from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { memory, scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, identical, randomTensor } from '../tensor/numbers.js';

type Real = 'float32' | 'float64';

/** A small network with every kind of layer: [B, 2, 5, 5] to [B, classes]. */
function network(classes: number, dtype: Real, gain = 1): { forward(x: Tensor): Tensor } {
  const weight = (shape: number[], seed: number, size: number): Tensor =>
    ops.cast(randomTensor(shape, seed, { low: -size, high: size }), dtype);
  const [w1, b1, w2] = [weight([3, 2, 2, 2], 1, 0.8), weight([3], 2, 0.3), weight([classes, 12], 3, 0.9 * gain)];
  return {
    forward: (x) => {
      const pooled = ops.maxPool2d(ops.tanh(ops.conv2d(x, w1, { bias: b1 })), { kernel: 2 });
      return ops.linear(ops.reshape(pooled, [-1, 12]), w2);
    },
  };
}

const input = (batch: number, dtype: Real): Tensor => ops.cast(randomTensor([batch, 2, 5, 5], 9), dtype);

test('softmaxJacobian: is the Jacobian of the softmax, example by example', (t) => {
  const model = network(4, 'float64');
  const x = input(3, 'float64');
  const { probabilities, jacobian: rows } = softmaxJacobian(model, x);
  t.deepEqual(
    [probabilities.shape, rows.shape],
    [
      [3, 4],
      [3, 4, 2, 5, 5],
    ],
  );
  t.ok(identical(probabilities, ops.softmax(model.forward(x))));
  for (let i = 0; i < 3; i++) {
    const one = ops.slice(x, [i], [i + 1]);
    const plain = jacobian((y: Tensor) => ops.reshape(ops.softmax(model.forward(y)), [4]), one);
    t.ok(farthest(ops.slice(rows, [i], [i + 1]).data(), plain.data()) < 1e-14, `example ${i}`);
    const alone = softmaxJacobian(model, one).jacobian;
    t.ok(farthest(ops.slice(rows, [i], [i + 1]).data(), alone.data()) < 1e-14, 'alone as in the batch');
  }
  const columns = ops.sum(rows, { axes: [1] }).data();
  t.ok(
    columns.every((value) => Math.abs(value) < 1e-14),
    'the rows sum to zero, as probabilities sum to one',
  );
  t.end();
});

test('softmaxJacobian: agrees with differences', (t) => {
  const model = network(3, 'float64');
  const x = input(2, 'float64');
  const { jacobian: rows } = softmaxJacobian(model, x);
  const h = 1e-4;
  const direction = ops.cast(randomTensor(x.shape, 5), 'float64');
  const at = (step: number): ArrayLike<number> =>
    ops.softmax(model.forward(ops.add(x, ops.affine(direction, step)))).data();
  const [far, near, back, farBack] = [at(2 * h), at(h), at(-h), at(-2 * h)] as const;
  const along = ops.sum(ops.mul(rows, ops.reshape(direction, [2, 1, 2, 5, 5])), { axes: [2, 3, 4] }).data();
  along.forEach((value, i) => {
    const slope = (8 * (near[i]! - back[i]!) - (far[i]! - farBack[i]!)) / (12 * h);
    t.ok(Math.abs(value - slope) < 1e-10, `${value} for ${slope}`);
  });
  t.end();
});

test('softmaxJacobian: one backward pass over all classes, without the weights’ gradients', (t) => {
  const inspected = (classes: number): string[] => {
    const model = network(classes, 'float32');
    const plan = planned((x: Tensor) => Object.values(softmaxJacobian(model, x)));
    const { ops: names } = plan.inspect(input(2, 'float32'));
    const [probabilities, rows] = plan.sync(input(2, 'float32'));
    const eager = softmaxJacobian(model, input(2, 'float32'));
    t.ok(
      identical(rows!, eager.jacobian) && identical(probabilities!, eager.probabilities),
      'a plan gives the same bits',
    );
    plan.dispose();
    return names;
  };
  const few = inspected(2);
  t.deepEqual(inspected(40), few, 'the same calls for 2 classes and for 40');
  const count = (name: string): number => few.filter((each) => each === name).length;
  t.deepEqual(['conv2d', 'conv2dInputGrad', 'conv2dWeightGrad', 'scatterPlane'].map(count), [1, 1, 0, 1]);
  t.end();
});

test('softmaxJacobian: exact for a network that is sure of itself', (t) => {
  const x = input(6, 'float32');
  for (const gain of [1, 20, 100]) {
    const single = softmaxJacobian(network(5, 'float32', gain), x);
    const double = softmaxJacobian(network(5, 'float64', gain), ops.cast(x, 'float64'));
    const [rows, exact] = [single.jacobian.data(), double.jacobian.data()];
    const width = 50;
    let worst = 0;
    for (let row = 0; row < 30; row++) {
      const part = (all: NumberArray): number[] => Array.from(all.slice(row * width, (row + 1) * width));
      const largest = Math.max(...part(exact).map(Math.abs));
      // A row below the smallest normal number of float32 cannot be exact.
      if (largest < 1e-36) continue;
      worst = Math.max(worst, farthest(part(rows), part(exact)) / largest);
    }
    const surest = 1 - Math.max(...double.probabilities.data());
    // The error of a logit is an error of its exponential, and grows with the gain.
    t.ok(
      worst < 3e-6 * gain,
      `each row to ${worst.toExponential(1)} of itself, the surest probability 1 - ${surest.toExponential(1)}`,
    );
  }
  const sure = { forward: (y: Tensor): Tensor => ops.mul(y, tensor([[30, -30]])) };
  const { probabilities, jacobian: rows } = softmaxJacobian(sure, tensor([[1, 1]]));
  t.deepEqual(probabilities.data()[0], 1, 'float32 holds no number nearer to one');
  // α₁ (1 - α₁) 30 with 1 - α₁ = e^-60: plain arithmetic would give zero.
  const expected = 30 * Math.exp(-60);
  const found = rows.data();
  [expected, expected, -expected, -expected].forEach((value, i) =>
    t.ok(Math.abs(found[i]! / value - 1) < 1e-5, `${found[i]!} for ${value}`),
  );
  t.end();
});

test('softmaxJacobian: errors and memory', async (t) => {
  const x = tensor([[1, 2, 3]]);
  await refused(
    t,
    () => softmaxJacobian({ forward: (y) => ops.sum(y, { axes: [1] }) }, x),
    'SHAPE_MISMATCH',
    /^softmaxJacobian: expected logits \[B,K\], received \[1\]$/,
  );
  await refused(
    t,
    () => softmaxJacobian({ forward: () => 3 as never }, x),
    'INVALID_ARGUMENT',
    /^softmaxJacobian: expected a function that returns a tensor/,
  );
  await refused(
    t,
    () => softmaxJacobian({ forward: (y) => ops.slice(y, [0, 0], [1, 0]) }, x),
    'SHAPE_MISMATCH',
    /^softmax: expected at least one class/,
  );
  const model = network(3, 'float32');
  const images = input(2, 'float32');
  const before = memory();
  for (let i = 0; i < 50; i++) scope(() => softmaxJacobian(model, images).jacobian.shape.length);
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
  const empty = softmaxJacobian(model, ops.slice(images, [0], [0]));
  t.deepEqual(
    [empty.probabilities.shape, empty.jacobian.shape],
    [
      [0, 3],
      [0, 3, 2, 5, 5],
    ],
    'an empty batch',
  );
});
