import test from 'tape';
import { grad, vjp } from '../../src/autodiff/autodiff.js';
import { native } from '../../src/native.js';
import { add, affine, mul, sum } from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { memory, scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';

const deep = 20_000;
const chain = (x: Tensor): Tensor => {
  let y = x;
  for (let i = 0; i < deep; i++) y = i % 2 === 0 ? affine(y, 1, 1e-3) : add(y, x);
  return y;
};

test('depth: a chain of 20,000 ops overflows no stack', (t) => {
  const before = memory();
  scope(() => {
    const x = tensor([1, 2], { dtype: 'float64' });
    const { value, pullback } = vjp(chain, x);
    t.ok(Math.abs(value.data()[0]! - (1 + deep / 2 + (deep / 2) * 1e-3)) < 1e-6, 'forward');
    t.deepEqual(pullback(tensor([1, 1], { dtype: 'float64' })).toArray(), [1 + deep / 2, 1 + deep / 2], 'backward');
  });
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'and is taken down');
  t.end();
});

test('depth: a tape of 400,000 calls is taken down in a loop, not by recursion', (t) => {
  const before = memory();
  const start = native.create([1], 0, new Float32Array(1)).id;
  let last = native.watch(start).id;
  for (let i = 0; i < 400_000; i++) {
    const next = native.call('neg', [last])[0]!.id;
    native.release(last);
    last = next;
  }
  native.release(last);
  native.release(start);
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
  t.end();
});

test('depth: of second order, and as a plan', (t) => {
  const squares = (x: Tensor): Tensor => {
    let y = x;
    for (let i = 0; i < deep / 4; i++) y = mul(y, x);
    return sum(affine(y, 1));
  };
  const x = tensor(1, { dtype: 'float64' });
  const n = deep / 4 + 1;
  const first = grad(squares);
  const second = grad((v: Tensor) => first(v));
  t.equal(
    scope(() => first(x).item()),
    n,
  );
  t.equal(
    scope(() => second(x).item()),
    n * (n - 1),
  );
  const plan = planned((v: Tensor) => [first(v), chain(v)]);
  const [slope, end] = plan.sync(x);
  t.equal(slope!.item(), n);
  t.ok(Math.abs(end!.item() - (1 + deep / 2 + (deep / 2) * 1e-3)) < 1e-6);
  plan.dispose();
  t.end();
});
