import test from 'tape';
import { grad, vjp } from '../../src/autodiff/autodiff.js';
import * as ops from '../../src/tensor/ops.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';

// Where a function has no derivative, or where one could go wrong: what is given there is a promise.

const of = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { dtype: 'float64' });

/** The gradient of the weighted sum of f's output. */
function pulled(f: (x: Tensor) => Tensor, x: Tensor, cotangent: Tensor): unknown {
  return vjp(f, x).pullback(cotangent).toArray();
}

/** The gradient of the sum of f's output. */
const slope = (f: (x: Tensor) => Tensor, x: Tensor): unknown => grad((inner: Tensor) => ops.sum(f(inner)))(x).toArray();

/** The gradient of the sum of that gradient. */
const curvature = (f: (x: Tensor) => Tensor, x: Tensor): unknown =>
  slope((inner) => grad((deepest: Tensor) => ops.sum(f(deepest)))(inner), x);

test('kinks: equal extremes share the gradient', (t) => {
  const x = of([
    [1, 3, 3],
    [2, 2, 2],
    [4, 0, 1],
  ]);
  const rows = (f: typeof ops.max) => (inner: Tensor) => f(inner, { axes: [1] });
  t.deepEqual(pulled(rows(ops.max), x, of([2, 3, 5])), [
    [0, 1, 1],
    [1, 1, 1],
    [5, 0, 0],
  ]);
  t.deepEqual(pulled(rows(ops.min), x, of([2, 3, 5])), [
    [2, 0, 0],
    [1, 1, 1],
    [0, 5, 0],
  ]);
  t.deepEqual(
    pulled(
      (inner) => ops.max(inner),
      of([
        [1, 2],
        [2, 2],
      ]),
      of([3, 6]),
    ),
    [
      [
        [0, 1],
        [1, 1],
      ],
      [
        [0, 2],
        [2, 2],
      ],
    ],
    'also for several cotangents at once',
  );
  t.deepEqual(
    curvature((inner) => ops.square(ops.max(inner)), of([3, 1, 3])),
    [1, 0, 1],
    'the shares are constants',
  );
  t.end();
});

test('kinks: of two equal operands the first takes the gradient', (t) => {
  for (const f of [ops.maximum, ops.minimum]) {
    const both = vjp(([a, b]: readonly Tensor[]) => f(a!, b!), [of([1, 2]), of([1, 2])]).pullback(of([3, 5]));
    t.deepEqual(
      both.map((each) => each.toArray()),
      [
        [3, 5],
        [0, 0],
      ],
    );
    t.deepEqual(
      slope((x) => f(x, x), of([7])),
      [1],
      'and of one with itself it comes to one',
    );
  }
  t.end();
});

test('kinks: norms at zero', (t) => {
  for (const order of ['l1', 'l2', 'linf'] as const) {
    const f = (x: Tensor): Tensor => ops.norm(x, { order, axes: [1] });
    const zeros = [
      [0, 0],
      [0, 0],
    ];
    t.deepEqual(
      slope(f, of(zeros)),
      [
        [0, 0],
        [0, 0],
      ],
      `${order}: the gradient at zero is zero`,
    );
    const second = curvature((x) => ops.square(f(x)), of(zeros)) as number[][];
    t.notOk(second.flat().some(Number.isNaN), `${order}: nor is there a NaN in the second`);
  }
  t.deepEqual(
    slope(
      (x) => ops.norm(x, { axes: [1] }),
      of([
        [0, 0],
        [3, -4],
      ]),
    ),
    [
      [0, 0],
      [0.6, -0.8],
    ],
  );
  t.deepEqual(
    slope((x) => ops.norm(x, { order: 'l1' }), of([0, 2, -3])),
    [0, 1, -1],
  );
  t.deepEqual(
    slope((x) => ops.norm(x, { order: 'linf' }), of([2, -2, 1])),
    [0.5, -0.5, 0],
  );
  t.end();
});

test('kinks: the ends of relu, abs, clamp and the powers', (t) => {
  t.deepEqual(slope(ops.relu, of([-1, -0, 0, 1e-300])), [0, 0, 0, 1]);
  t.deepEqual(slope(ops.abs, of([-2, -0, 0, 3])), [-1, 0, 0, 1]);
  const clamped = (x: Tensor): Tensor => ops.clamp(x, { low: -1, high: 2 });
  t.deepEqual(slope(clamped, of([-1.5, -1, 0, 2, 2.5])), [0, 1, 1, 1, 0]);
  t.deepEqual(
    slope((x) => ops.clamp(x, { low: 1, high: 1 }), of([0, 1, 2])),
    [0, 1, 0],
  );
  const power = (exponent: number) => (x: Tensor) => ops.pow(x, exponent);
  t.deepEqual(
    [0, 1, 2, 3].map((exponent) => slope(power(exponent), of([0]))),
    [[0], [1], [0], [0]],
  );
  t.deepEqual(
    [0, 1, 2, 3].map((exponent) => curvature(power(exponent), of([0]))),
    [[0], [0], [2], [0]],
  );
  t.deepEqual(slope(power(2), of([-3])), [-6], 'a negative base');
  t.end();
});

test('kinks: what a mask leaves out gets nothing', (t) => {
  const condition = of([1, 0, 1]);
  const [a, b] = vjp(([x, y]: readonly Tensor[]) => ops.where(condition, x!, y!), [of([1, 2, 3]), of([4])]).pullback(
    of([5, 6, 7]),
  );
  t.deepEqual(a!.toArray(), [5, 0, 7]);
  t.deepEqual(b!.toArray(), [6]);
  const byCondition = vjp((c: Tensor) => ops.where(c, of([1, 2, 3]), 0), condition).pullback(of([1, 1, 1]));
  t.deepEqual(byCondition.toArray(), [0, 0, 0], 'a condition has no gradient');
  t.end();
});

test('kinks: an index that is named twice gets both', (t) => {
  const indices = tensor([2, 0, 2, 2], { dtype: 'int32' });
  t.deepEqual(
    pulled((x) => ops.gather(x, indices), of([1, 2, 3]), of([10, 20, 30, 40])),
    [20, 0, 80],
  );
  const twice = of([
    [10, 20, 30, 40],
    [1, 2, 3, 4],
  ]);
  t.deepEqual(
    pulled((x) => ops.gather(x, indices), of([1, 2, 3]), twice),
    [
      [20, 0, 80],
      [2, 0, 8],
    ],
  );
  t.deepEqual(
    slope((x) => ops.mul(ops.gather(x, indices), ops.gather(x, indices)), of([1, 2, 3])),
    [2, 0, 18],
  );
  t.end();
});

test('kinks: rules that move elements, under several cotangents', (t) => {
  const parts = [
    of([[1], [2]]),
    of([
      [3, 4],
      [5, 6],
    ]),
    of([[7], [8]]),
  ];
  const { value, pullback } = vjp((x: readonly Tensor[]) => ops.concat(x, { axis: 1 }), parts);
  t.deepEqual(value.toArray(), [
    [1, 3, 4, 7],
    [2, 5, 6, 8],
  ]);
  const whole = [0, 1].map((k) => [0, 1].map((row) => [0, 1, 2, 3].map((column) => 100 * k + 10 * row + column)));
  t.deepEqual(
    pullback(of(whole)).map((each) => each.toArray()),
    [
      [0, 1],
      [1, 3],
      [3, 4],
    ].map(([from, to]) => whole.map((plane) => plane.map((row) => row.slice(from, to)))),
    'concat of three',
  );
  const x = of([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const many = (shape: number[]): Tensor =>
    ops.reshape(of(Array.from({ length: 2 * shape[0]! * shape[1]! }, (_, i) => i)), [2, ...shape]);
  t.deepEqual(
    pulled((inner) => ops.slice(inner, [0, 1], [1, 3]), x, many([1, 2])),
    [
      [
        [0, 0, 1],
        [0, 0, 0],
      ],
      [
        [0, 2, 3],
        [0, 0, 0],
      ],
    ],
    'slice',
  );
  t.deepEqual(
    pulled((inner) => ops.slice(inner, [1]), x, many([1, 3])),
    [
      [
        [0, 0, 0],
        [0, 1, 2],
      ],
      [
        [0, 0, 0],
        [3, 4, 5],
      ],
    ],
    'rows',
  );
  t.deepEqual(
    pulled((inner) => ops.pad(inner, [1], [0, 2]), x, many([3, 5])),
    [
      [
        [5, 6, 7],
        [10, 11, 12],
      ],
      [
        [20, 21, 22],
        [25, 26, 27],
      ],
    ],
    'pad, whose lists start at the first axis',
  );
  t.deepEqual(
    pulled(ops.transpose, x, many([3, 2])),
    [
      [
        [0, 2, 4],
        [1, 3, 5],
      ],
      [
        [6, 8, 10],
        [7, 9, 11],
      ],
    ],
    'permute',
  );
  t.end();
});

test('kinks: cross-entropy of a network that is sure of itself', (t) => {
  const labels = tensor([0, 1], { dtype: 'int32' });
  for (const dtype of ['float32', 'float64'] as const) {
    const logits = tensor(
      [
        [60, 0, 0],
        [60, 0, -20],
      ],
      { dtype },
    );
    const tiny = 2 * Math.exp(-60);
    const near = (actual: number, expected: number, what: string): void =>
      t.ok(Math.abs(actual - expected) <= 1e-6 * Math.abs(expected), `${dtype} ${what}: ${actual} for ${expected}`);
    const losses = ops.crossEntropy(logits, labels).data();
    near(losses[0]!, tiny, 'a loss far below epsilon');
    near(losses[1]!, 60, 'a large loss');
    const slopes = vjp((z: Tensor) => ops.crossEntropy(z, labels), logits)
      .pullback(tensor([1, 1], { dtype }))
      .data();
    near(slopes[0]!, -tiny, 'its gradient at the label');
    near(slopes[1]!, tiny / 2, 'its gradient elsewhere');
    near(slopes[3]!, 1, 'of the large one, at the leader');
    near(slopes[4]!, -1, 'of the large one, at the label');
    near(slopes[5]!, Math.exp(-80), 'of the large one, at the last');
  }
  t.end();
});

test('kinks: an input that the output does not depend on', (t) => {
  const [used, unused] = vjp(([a]: readonly Tensor[]) => ops.square(a!), [of([3]), of([[1, 2]])]).pullback(
    of([[1], [2]]),
  );
  t.deepEqual(used!.toArray(), [[6], [12]]);
  t.deepEqual(unused!.toArray(), [[[0, 0]], [[0, 0]]], 'gets zeros, with the axes of the cotangents');
  t.deepEqual(
    slope(() => of([1, 2]), of([5])),
    [0],
    'a constant',
  );
  t.deepEqual(
    slope((x) => x, of([5, 6])),
    [1, 1],
    'the input itself',
  );
  t.deepEqual(
    slope((x) => ops.cast(ops.cast(x, 'int32'), 'float64'), of([1.5])),
    [0],
    'through whole numbers',
  );
  t.end();
});
