import test from 'tape';
import { refused } from '../io/refused.js';
import { grad, gradients, jacobian, softmaxJacobian, valueAndGrad, vjp } from '../../src/autodiff/autodiff.js';
import { native } from '../../src/native.js';
import * as ops from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { memory, scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, identical, randomTensor } from '../tensor/numbers.js';

const of = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { dtype: 'float64' });
const any = (value: unknown): never => value as never;
const near = (actual: Tensor, expected: ArrayLike<number>, within = 1e-12): boolean =>
  farthest(actual.data(), expected) <= within;

test('autodiff: vjp of one tensor, of an array and of a record', (t) => {
  const { value, pullback } = vjp((x: Tensor) => ops.mul(x, x), of([1, 2, 3]));
  t.deepEqual(value.toArray(), [1, 4, 9]);
  t.deepEqual(pullback(of([1, 1, 1])).toArray(), [2, 4, 6]);
  t.deepEqual(pullback(of([1, 0, -1])).toArray(), [2, 0, -6], 'may be pulled back again');
  t.deepEqual(
    pullback(
      of([
        [
          [1, 0, 0],
          [0, 1, 0],
        ],
      ]),
    ).toArray(),
    [
      [
        [2, 0, 0],
        [0, 4, 0],
      ],
    ],
    'with any number of axes in front',
  );

  const list = vjp(([a, b]: readonly Tensor[]) => ops.sum(ops.mul(a!, b!)), [of([1, 2]), of([[3], [4]])]);
  t.equal(list.value.item(), 21);
  const [toA, toB] = list.pullback(of(2)) as [Tensor, Tensor];
  t.deepEqual(
    [toA.toArray(), toB.toArray()],
    [
      [14, 14],
      [[6], [6]],
    ],
  );

  const record = vjp(({ scale, shift }: Record<'scale' | 'shift', Tensor>) => ops.add(ops.mul(scale, 3), shift), {
    shift: of(1),
    scale: of(5),
  });
  const pulled = record.pullback(of([1, 2, 4]));
  t.deepEqual(Object.keys(pulled), ['shift', 'scale'], 'the names and their order stay');
  t.deepEqual(
    [pulled.shift.toArray(), pulled.scale.toArray()],
    [
      [1, 2, 4],
      [3, 6, 12],
    ],
  );

  const x = of([2, 3]);
  const both = vjp(([a, b]: readonly Tensor[]) => ops.mul(a!, b!), [x, x]).pullback(of([1, 10]));
  t.deepEqual(
    both.map((each) => each.toArray()),
    [
      [2, 30],
      [2, 30],
    ],
    'one tensor in two places has a gradient for each',
  );
  t.deepEqual(x.toArray(), [2, 3]);
  t.end();
});

test('autodiff: grad and valueAndGrad', (t) => {
  const f = (x: Tensor, scale: Tensor, power: number): Tensor => ops.sum(ops.mul(scale, ops.pow(x, power)));
  const { value, grad: slope } = valueAndGrad(f)(of([1, 2]), of(3), 2);
  t.deepEqual([value.item(), slope.toArray()], [15, [6, 12]], 'by the first argument; the others are passed on');
  t.deepEqual(grad(f)(of([1, 2]), of(3), 3).toArray(), [9, 36]);
  const list = grad((x: readonly Tensor[]) => ops.sum(ops.mul(x[0]!, x[1]!)))([of([1, 2]), of([3, 4])]);
  t.deepEqual(
    list.map((each) => each.toArray()),
    [
      [3, 4],
      [1, 2],
    ],
  );
  const record = grad((x: Record<'w' | 'b', Tensor>) => ops.sum(ops.add(ops.square(x.w), x.b)))({
    w: of([1, 2]),
    b: of(0),
  });
  t.deepEqual([record.w.toArray(), record.b.toArray()], [[2, 4], 2]);
  t.deepEqual(
    grad((x: Tensor) => ops.reshape(ops.sum(x), [1, 1]))(of([1, 2])).toArray(),
    [1, 1],
    'one number of any rank',
  );
  t.equal(grad((x: Tensor) => ops.sum(x))(tensor([1])).dtype, 'float32');
  t.end();
});

test('autodiff: gradients by what a function uses without receiving it', (t) => {
  const w = of([2, 3]);
  const b = of(1);
  const x = of([10, 20]);
  const before = memory().tensors;
  const { value, grads } = gradients(() => ops.sum(ops.add(ops.mul(ops.square(w), x), b)), [w, b]);
  t.equal(value.item(), 222);
  t.deepEqual(
    grads.map((each) => each.toArray()),
    [[40, 120], 2],
  );
  t.equal(memory().tensors, before + 3);
  t.deepEqual([w.toArray(), b.toArray()], [[2, 3], 1], 'the parameters are as before');
  t.deepEqual(gradients(() => ops.sum(x), [w]).grads[0]!.toArray(), [0, 0], 'one that is not used');
  const fail = (): Tensor => {
    throw new RangeError('boom');
  };
  t.throws(() => gradients(fail, [w]), /^RangeError: boom/, 'an error comes out');
  t.deepEqual(ops.add(w, 1).toArray(), [3, 4], 'and the parameters are whole again');

  const again = grad((scale: Tensor) => {
    const inner = gradients(() => ops.sum(ops.mul(ops.pow(w, 3), scale)), [w]);
    return ops.sum(ops.mul(inner.grads[0]!, of([1, 10])));
  })(of(2));
  t.equal(again.item(), 3 * (4 + 10 * 9), 'inside another derivative');
  const meta = gradients(() => {
    const { grads: inner } = gradients(() => ops.sum(ops.pow(w, 3)), [w]);
    return ops.sum(ops.square(inner[0]!));
  }, [w]);
  t.deepEqual(meta.grads[0]!.toArray(), [36 * 8, 36 * 27], 'by the same parameters, twice over');
  t.end();
});

test('autodiff: derivatives of derivatives', (t) => {
  const f = (x: Tensor): Tensor => ops.sum(ops.mul(ops.sin(x), ops.exp(x)));
  const nth = (n: number): ((x: Tensor) => Tensor) =>
    n === 0 ? f : (x) => grad((y: Tensor) => ops.sum(nth(n - 1)(y)))(x);
  const x = of([0.3, -1.2, 2]);
  const e = (v: number): number => Math.exp(v);
  const exact: ((v: number) => number)[] = [
    (v) => e(v) * (Math.sin(v) + Math.cos(v)),
    (v) => 2 * e(v) * Math.cos(v),
    (v) => 2 * e(v) * (Math.cos(v) - Math.sin(v)),
    (v) => -4 * e(v) * Math.sin(v),
  ];
  exact.forEach((each, order) =>
    t.ok(near(nth(order + 1)(x), Array.from(x.data(), each), 1e-11), `order ${order + 1}`),
  );
  const hessian = jacobian(
    (y: Tensor) => grad((z: Tensor) => ops.mul(ops.square(ops.sum(z)), ops.sum(ops.pow(z, 2))))(y),
    of([1, 2]),
  );
  // With s = x + y and q = x² + y²: 2q + 8xs + 2s² and, off the diagonal, 2q + 4s².
  t.ok(near(hessian, [52, 46, 46, 76], 1e-10), 'a Hessian');
  t.end();
});

test('autodiff: an inner derivative does not mistake the outer variable for its own', (t) => {
  // d/dx [ x · d/dy (x + y) at y = 1 ] is 1; a confused engine says 2.
  const confusing = grad((x: Tensor) => ops.mul(x, grad((y: Tensor) => ops.add(x, y))(of(1))));
  t.equal(confusing(of(3)).item(), 1);
  // d/dx [ x · d/dy (x y) at y = x ] = d/dx x² = 2x.
  t.equal(grad((x: Tensor) => ops.mul(x, grad((y: Tensor) => ops.mul(x, y))(x)))(of(3)).item(), 6);
  // d/dy (x² y³) at y = x is 3x⁴, of which the derivative is 12 x³.
  t.equal(grad((x: Tensor) => grad((y: Tensor) => ops.mul(ops.square(x), ops.pow(y, 3)))(x))(of(2)).item(), 96);
  const outerOnly = grad((x: Tensor) => {
    const inner: (y: Tensor) => Tensor = () => ops.square(x);
    return grad(inner)(of(1));
  });
  t.equal(outerOnly(of(5)).item(), 0, 'the inner one depends on the outer only');
  const three = grad((x: Tensor) => grad((y: Tensor) => grad((z: Tensor) => ops.mul(ops.mul(x, y), z))(y))(x));
  t.equal(three(of(7)).item(), 1, 'three levels: z falls away, then y');
  t.end();
});

test('autodiff: a pullback inside a derivative', (t) => {
  const x = of([1, 2]);
  const inside = grad((y: Tensor) => {
    const { value, pullback } = vjp((z: Tensor) => ops.pow(z, 3), y);
    return ops.sum(ops.add(value, pullback(of([10, 100]))));
  })(x);
  t.deepEqual(inside.toArray(), [3 + 60, 12 + 1200]);
  const rows = grad((y: Tensor) => ops.sum(ops.square(jacobian((z: Tensor) => ops.pow(z, 3), y))))(x);
  t.deepEqual(rows.toArray(), [36, 36 * 8], 'a whole Jacobian inside a derivative');
  const byCotangent = grad((v: Tensor) =>
    ops.sum(ops.mul(vjp((z: Tensor) => ops.pow(z, 3), x).pullback(v), of([1, 2]))),
  )(of([0, 0]));
  t.deepEqual(byCotangent.toArray(), [3, 24], 'by the cotangent');
  t.end();
});

test('autodiff: jacobian', (t) => {
  t.deepEqual(jacobian((x: Tensor) => ops.mul(x, x), of([1, 2])).toArray(), [
    [2, 0],
    [0, 4],
  ]);
  const w = randomTensor([2, 3], 1, { dtype: 'float64' });
  t.ok(
    identical(
      jacobian((x: Tensor) => ops.reshape(ops.linear(x, w), [2]), of([1, 2, 3])),
      w,
    ),
  );
  const shaped = jacobian(
    (x: Tensor) => ops.transpose(x),
    of([
      [1, 2, 3],
      [4, 5, 6],
    ]),
  );
  t.deepEqual(shaped.shape, [3, 2, 2, 3], 'the axes of f(x), then those of x');
  const ones = [...shaped.data().entries()].filter(([, value]) => value === 1).map(([at]) => at);
  t.deepEqual(
    ones,
    [0, 9, 13, 22, 26, 35].map((_, k) => k * 6 + (k % 2) * 3 + Math.floor(k / 2)),
  );
  t.deepEqual(jacobian((x: Tensor) => ops.sum(x), of([1, 2])).toArray(), [1, 1], 'of a single number');
  t.deepEqual(jacobian((x: Tensor) => ops.square(x), of(3)).toArray(), 6);
  const { ops: few } = planned((x: Tensor) => [jacobian((y: Tensor) => ops.tanh(ops.mul(y, y)), x)]).inspect(
    of([1, 2]),
  );
  const { ops: many } = planned((x: Tensor) => [jacobian((y: Tensor) => ops.tanh(ops.mul(y, y)), x)]).inspect(
    ops.zeros([50]),
  );
  t.deepEqual(few, many, 'in one pass, however many rows');
  t.end();
});

test('autodiff: errors', async (t) => {
  const x = of([1, 2]);
  const square = (y: Tensor): Tensor => ops.square(y);
  const whole = tensor([1, 2], { dtype: 'int32' });
  await refused(
    t,
    () => grad(square)(x),
    'SHAPE_MISMATCH',
    /^grad: expected a function of one number, received shape \[2\]$/,
  );
  await refused(
    t,
    () => gradients(() => ops.square(x), [x]),
    'SHAPE_MISMATCH',
    /^gradients: expected a function of one number/,
  );
  await refused(
    t,
    () => grad((y: Tensor) => ops.sum(y))(whole),
    'DTYPE_MISMATCH',
    /^grad: expected float32 or float64 to differentiate by, received int32$/,
  );
  await refused(
    t,
    () => grad((y: readonly Tensor[]) => ops.sum(y[0]!))([]),
    'INVALID_ARGUMENT',
    /^grad: expected at least one tensor to differentiate by, received none$/,
  );
  for (const nothing of [3, undefined, null])
    await refused(t, () => vjp(square, any(nothing)), 'INVALID_ARGUMENT', /^vjp: expected at least one tensor/);
  await refused(
    t,
    () => vjp((y: readonly Tensor[]) => y[0]!, any([x, [x]])),
    'INVALID_ARGUMENT',
    /^vjp: expected a tensor, received object$/,
  );
  await refused(
    t,
    () => vjp(() => any(3), x),
    'INVALID_ARGUMENT',
    /^vjp: expected a function that returns a tensor, received number$/,
  );
  await refused(
    t,
    () =>
      vjp(
        any(async () => Promise.resolve(x)),
        x,
      ),
    'INVALID_ARGUMENT',
    /^vjp: expected a function that returns a tensor/,
  );
  for (const [name, call] of [
    ['valueAndGrad', valueAndGrad((y: Tensor) => ops.sum(y))],
    ['jacobian', (y: Tensor) => jacobian(square, y)],
    ['gradients', (y: Tensor) => gradients(() => ops.sum(y), [y])],
    ['softmaxJacobian', (y: Tensor) => softmaxJacobian({ forward: square }, y)],
  ] as const) {
    await refused(t, () => call(whole), 'DTYPE_MISMATCH', new RegExp(`^${name}: expected float32 or float64`));
    await refused(t, () => call(any([1])), 'INVALID_ARGUMENT', new RegExp(`^${name}: expected a tensor, received`));
  }
  await refused(t, () => valueAndGrad(square)(x), 'SHAPE_MISMATCH', /^valueAndGrad: expected a function of one number/);
  await refused(t, () => grad(() => any(3))(x), 'INVALID_ARGUMENT', /^grad: expected a function that returns/);
  const { pullback } = vjp(square, x);
  await refused(
    t,
    () => pullback(of([1, 2, 3])),
    'SHAPE_MISMATCH',
    /^vjp: expected a cotangent of shape \[2\], with axes in front where there are several, received \[3\]$/,
  );
  await refused(t, () => pullback(of(1)), 'SHAPE_MISMATCH', /^vjp: expected a cotangent of shape \[2\]/);
  await refused(
    t,
    () => pullback(tensor([1, 2])),
    'DTYPE_MISMATCH',
    /^vjp: expected a cotangent of dtype float64, received float32$/,
  );
  await refused(t, () => pullback(any([1, 2])), 'INVALID_ARGUMENT', /^vjp: expected a tensor, received object$/);
  const once = scope(() => vjp(square, x).pullback);
  await refused(
    t,
    () => once(of([1, 1])),
    'DISPOSED',
    /^vjp: expected a live tensor/,
    'a pullback that outlives its scope',
  );
  await refused(
    t,
    () => gradients(() => ops.sum(x), [x, x]),
    'INVALID_ARGUMENT',
    /^gradients: expected each parameter once, received the same tensor twice$/,
  );
  t.deepEqual(ops.add(x, 0).toArray(), [1, 2], 'whose handle is still its own');
  const gone = of([1]);
  gone.dispose();
  await refused(t, () => grad((y: Tensor) => ops.sum(y))(gone), 'DISPOSED', /^grad: expected a live tensor/);
  const failing = grad((y: Tensor) => ops.add(ops.sum(y), ops.zeros([3])));
  await refused(t, () => grad((y: Tensor) => failing(y))(x), 'DTYPE_MISMATCH', /^add: /, 'an error deep inside');
  t.deepEqual(grad((y: Tensor) => ops.sum(square(y)))(x).toArray(), [2, 4], 'after which all is as before');
  const { tensors } = native.memory();
  for (let i = 0; i < 5; i++) {
    try {
      grad(square)(x);
    } catch {
      continue;
    }
  }
  t.equal(native.memory().tensors, tensors, 'and nothing is left behind');
});

test('autodiff: what is outside a derivative stays outside', (t) => {
  const x = of([1, 2]);
  const before = memory();
  scope(() => {
    const constant = ops.mul(x, 3);
    const { value, pullback } = vjp((y: Tensor) => ops.mul(y, constant), x);
    t.deepEqual(pullback(of([1, 1])).toArray(), [3, 6], 'a constant that was made of x before is a constant');
    const later = vjp((y: Tensor) => ops.mul(y, value), x).pullback(of([1, 1]));
    t.deepEqual(later.toArray(), [3, 12], 'and so is the value of a finished one');
  });
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
  t.end();
});
