import test from 'tape';
import { vjp } from '../../src/autodiff/autodiff.js';
import * as ops from '../../src/tensor/ops.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { sameBits, seeded } from './numbers.js';

/** Numbers of float32 from all over its range, subnormals and both zeros among them, and as many between -20 and 20. */
function manyFloats(): Float32Array {
  const stride = 40_009;
  const count = Math.floor(2 ** 32 / stride);
  const all = new Float32Array(Uint32Array.from({ length: count }, (_, i) => i * stride).buffer);
  const next = seeded(3);
  const near = Float32Array.from({ length: 40_000 }, () => 40 * next() - 20);
  const edges = Float32Array.of(
    0,
    -0,
    2 ** -149,
    -(2 ** -149),
    2 ** -126,
    3.4028234663852886e38,
    Infinity,
    -Infinity,
    NaN,
  );
  const turns = Float32Array.of(
    88.722839,
    88.72284,
    -87.33654,
    -87.33655,
    -103.27893,
    -103.97208,
    -103.97209,
    -104,
    0.625,
    -0.625,
    9.01,
    1,
  );
  return Float32Array.from([...all, ...near, ...edges, ...turns]);
}

/** How far y is from the exact number, in units in the last place of float32. */
function ulps(y: number, exact: number): number {
  const rounded = Math.fround(exact);
  if (Object.is(y, rounded) || y === rounded) return 0;
  if (!Number.isFinite(rounded) || !Number.isFinite(y)) return Infinity;
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(exact))));
  return Math.abs(y - exact) / 2 ** (exponent - 23);
}

const functions: Record<string, { op: (x: Tensor) => Tensor; exact: (x: number) => number; within: number }> = {
  exp: { op: ops.exp, exact: Math.exp, within: 1.5 },
  log: { op: ops.log, exact: Math.log, within: 1 },
  tanh: { op: ops.tanh, exact: Math.tanh, within: 2 },
  sigmoid: {
    op: ops.sigmoid,
    exact: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
    within: 2.5,
  },
  sqrt: { op: ops.sqrt, exact: Math.sqrt, within: 0.5 },
  sin: { op: ops.sin, exact: Math.sin, within: 1 },
  cos: { op: ops.cos, exact: Math.cos, within: 1 },
};

test('special: functions of float32, over its whole range', (t) => {
  const numbers = manyFloats();
  const x = tensor(numbers);
  for (const [name, { op, exact, within }] of Object.entries(functions)) {
    const found = op(x).data();
    let worst = 0;
    let at = 0;
    for (let i = 0; i < numbers.length; i++) {
      const expected = exact(numbers[i]!);
      const off = Number.isNaN(expected) && Number.isNaN(found[i]!) ? 0 : ulps(found[i]!, expected);
      if (!(off <= worst)) [worst, at] = [off, i];
    }
    t.ok(
      worst <= within,
      `${name} is within ${within} units in the last place: ${worst.toFixed(2)} at ${numbers[at]!}`,
    );
  }
  t.end();
});

test('special: functions of float64', (t) => {
  const next = seeded(5);
  const numbers = Float64Array.from({ length: 20_000 }, () => (next() < 0.5 ? 40 * next() - 20 : 1400 * next() - 700));
  const x = tensor(numbers);
  for (const [name, { op, exact }] of Object.entries(functions)) {
    const found = op(x).data();
    const worst = numbers.reduce((most, value, i) => {
      const expected = exact(value);
      if (Object.is(expected, found[i]) || (Number.isNaN(expected) && Number.isNaN(found[i]!))) return most;
      return Math.max(most, Math.abs(found[i]! - expected) / Math.abs(expected));
    }, 0);
    t.ok(worst <= 2 ** -51, `${name}: one part in 2^${Math.log2(worst).toFixed(1)}`);
  }
  t.end();
});

test('special: an element’s value does not depend on where it stands', (t) => {
  const numbers = manyFloats().subarray(0, 4001);
  const unary: Record<string, (x: Tensor) => Tensor> = {
    ...Object.fromEntries(Object.entries(functions).map(([name, { op }]) => [name, op])),
    pow: (x) => ops.pow(x, 1.5),
    affine: (x) => ops.affine(x, 1.1, 0.3),
  };
  for (const [name, op] of Object.entries(unary)) {
    const whole = op(tensor(numbers)).data();
    const isSame = [1, 2, 3, 5, 8, 13].every((length) =>
      [0, 7, 100, 3983].every((start) =>
        sameBits(op(tensor(numbers.subarray(start, start + length))).data(), whole.slice(start, start + length)),
      ),
    );
    t.ok(isSame, name);
  }
  t.end();
});

test('special: NaN does not go unseen', (t) => {
  const x = tensor([1, NaN, 3]);
  const value = (y: Tensor): number => y.item();
  for (const op of [ops.max, ops.min, ops.sum, ops.mean, ops.norm]) t.ok(Number.isNaN(value(op(x))), op.name);
  for (const order of ['l1', 'l2', 'linf'] as const) t.ok(Number.isNaN(value(ops.norm(x, { order }))), order);
  t.equal(value(ops.argmax(x)), 1, 'argmax points at it');
  t.equal(value(ops.argmin(x)), 1, 'argmin points at it');
  t.equal(value(ops.argmax(tensor([NaN, Infinity, NaN]))), 0, 'at the first');
  for (const op of [ops.relu, ops.tanh, ops.sigmoid, ops.exp, ops.abs, ops.neg, ops.floor, ops.round]) {
    t.deepEqual([...op(x).data()].map(Number.isNaN), [false, true, false], op.name);
  }
  t.deepEqual([...ops.clamp(x, { low: 0, high: 2 }).data()], [1, NaN, 2]);
  for (const op of [ops.softmax, ops.logSoftmax]) t.ok(op(x).data().every(Number.isNaN), op.name);
  t.ok(Number.isNaN(value(ops.crossEntropy(ops.reshape(x, [1, 3]), tensor([0], { dtype: 'int32' })))));
  for (const op of [ops.maximum, ops.minimum]) {
    t.ok(Number.isNaN(value(op(tensor(NaN), tensor(1)))) && Number.isNaN(value(op(tensor(1), tensor(NaN)))), op.name);
  }
  // Where a run is longer than the kernels' lanes, wherever it stands.
  for (const at of [0, 15, 16, 31, 40, 46]) {
    const long = Float32Array.from({ length: 47 }, (_, i) => (i === at ? NaN : i));
    t.ok(Number.isNaN(value(ops.max(tensor(long)))) && value(ops.argmax(tensor(long))) === at, `at ${at} of 47`);
  }
  const planes = ops.maxPool2d(
    tensor([
      [
        [
          [1, NaN],
          [3, 4],
        ],
      ],
    ]),
    { kernel: 2 },
  );
  t.ok(Number.isNaN(value(planes)), 'maxPool2d');
  const slopes = vjp((z: Tensor) => ops.relu(z), x).pullback(tensor([5, 6, 7]));
  t.deepEqual(slopes.toArray(), [5, 6, 7], 'relu lets the gradient through, as PyTorch does');
  t.end();
});

test('special: softmax of logits that are large, far apart, or infinite', (t) => {
  t.deepEqual(ops.softmax(tensor([1e4, 1e4, -1e4])).toArray(), [0.5, 0.5, 0]);
  t.deepEqual(ops.softmax(tensor([-Infinity, 0])).toArray(), [0, 1]);
  t.ok(
    ops
      .softmax(tensor([Infinity, 0]))
      .data()
      .every(Number.isNaN),
    'an infinite logit has no softmax',
  );
  t.ok(
    ops
      .softmax(tensor([-Infinity, -Infinity]))
      .data()
      .every(Number.isNaN),
  );
  const logs = ops.logSoftmax(tensor([1e6, 1e6 + 1, 1e6 - 2])).data();
  const total = Math.log(1 + Math.E + Math.exp(-2));
  [0, 1, -2].forEach((z, i) => t.ok(Math.abs(logs[i]! - (z - total)) < 1e-6, 'a common shift costs nothing'));
  t.equal(ops.logSoftmax(tensor([200, 0])).data()[1], -200);
  t.end();
});

test('special: reductions keep their precision and their range', (t) => {
  const next = seeded(11);
  const many = Float32Array.from({ length: 100_000 }, () => next());
  const exact = many.reduce((total, value) => total + value, 0);
  const relative = (actual: number, expected: number): number => Math.abs(actual - expected) / Math.abs(expected);
  t.equal(ops.sum(tensor(many)).item(), Math.fround(exact), 'a sum of 100,000 is right to the last place');
  t.equal(ops.sum(tensor(many, { shape: [100, 1000] }), { axes: [0, 1] }).item(), Math.fround(exact));
  const apart = ops.sum(tensor(many, { shape: [40, 25, 100] }), { axes: [0, 2] }).data();
  apart.forEach((value, j) => {
    let expected = 0;
    for (let i = 0; i < 40; i++) for (let k = 0; k < 100; k++) expected += many[(i * 25 + j) * 100 + k]!;
    t.equal(value, Math.fround(expected), `also over axes that are apart, ${j}`);
  });
  t.equal(ops.mean(tensor([3e38, 3e38, 3e38])).item(), Math.fround(3e38), 'a mean does not overflow on the way');
  t.equal(ops.mean(tensor([1, 1, 1, 1, 1, 1, 1, 1, 1, 2])).item(), Math.fround(1.1));
  for (const scale of [1e-30, 1e-22, 1, 1e30]) {
    for (const shape of [[4], [2, 1, 2]]) {
      const x = tensor(
        [3, -4, 0, 12].map((value) => value * scale),
        { shape },
      );
      const axes = shape.length === 1 ? [0] : [0, 2];
      t.ok(
        relative(ops.norm(x, { axes }).data()[0]!, 13 * scale) < 1e-6,
        `the length of a vector of ${scale}s, [${shape.join()}]`,
      );
    }
  }
  const subnormal = vjp((x: Tensor) => ops.norm(x), tensor([3e-40, 4e-40]))
    .pullback(tensor(1))
    .data();
  t.ok(
    relative(subnormal[0]!, 0.6) < 1e-4 && relative(subnormal[1]!, 0.8) < 1e-4,
    'and its direction, among subnormals',
  );
  t.end();
});

test('special: whole numbers', (t) => {
  const whole = (...values: number[]): Tensor => tensor(Int32Array.from(values));
  const [most, least] = [2 ** 31 - 1, -(2 ** 31)];
  t.deepEqual(ops.add(whole(1, -2), whole(3, 4)).toArray(), [4, 2]);
  t.deepEqual(ops.mul(whole(3, -2), 5).toArray(), [15, -10]);
  t.deepEqual(
    [ops.neg(whole(3)).toArray(), ops.abs(whole(-3)).toArray(), ops.sign(whole(-9, 0, 4)).toArray()],
    [[-3], [3], [-1, 0, 1]],
  );
  t.deepEqual(ops.less(whole(1, 2), 2).toArray(), [1, 0]);
  t.deepEqual(ops.clamp(whole(5, -5), { low: 0 }).toArray(), [5, 0], 'a clamp with one end only');
  t.deepEqual(ops.clamp(whole(5, -5), { high: 2 }).toArray(), [2, -5]);
  t.deepEqual(ops.affine(whole(3, -3), 0.5, 1).toArray(), [2, 0], 'a factor that is not whole');
  t.deepEqual(ops.where(whole(1, 0), whole(7, 7), 9).toArray(), [7, 9]);
  const cut = tensor([2.9, -2.9, NaN, Infinity, -Infinity, 3e9, -3e9, 255.5, 256, -1]);
  t.deepEqual(
    ops.cast(cut, 'int32').toArray(),
    [2, -2, 0, most, least, most, least, 255, 256, -1],
    'floats are cut and end at the ends',
  );
  t.deepEqual(ops.cast(cut, 'uint8').toArray(), [2, 0, 0, 255, 0, 255, 0, 255, 255, 0]);
  t.deepEqual(ops.cast(ops.cast(cut, 'float64'), 'int32').toArray(), ops.cast(cut, 'int32').toArray());
  t.deepEqual(ops.full([2], 1e12, { dtype: 'int32' }).toArray(), [most, most]);
  t.deepEqual(ops.cast(tensor(Uint8Array.of(0, 255)), 'float32').toArray(), [0, 255]);
  t.end();
});

test('special: a convolution without outputs', (t) => {
  const through = vjp((x: Tensor) => ops.conv2d(x, ops.zeros([0, 3, 3, 3])), ops.ones([2, 3, 6, 5]));
  t.deepEqual(through.value.shape, [2, 0, 4, 3]);
  const gradient = through.pullback(ops.zeros([2, 0, 4, 3]));
  t.deepEqual([gradient.shape, ops.max(ops.abs(gradient)).item()], [[2, 3, 6, 5], 0], 'nothing comes back');
  t.end();
});

test('special: products of one column give a row the same bits in any batch', (t) => {
  const [rows, weight] = [ops.uniform([9, 257], { seed: 1 }), ops.uniform([1, 257], { seed: 2 })];
  const whole = ops.linear(rows, weight).data();
  for (let batch = 2; batch < 9; batch++) {
    const last = ops.linear(ops.slice(rows, [9 - batch]), weight).data();
    t.deepEqual(last, whole.slice(9 - batch), `the last ${batch}`);
  }
  t.end();
});
