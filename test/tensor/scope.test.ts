import test from 'tape';
import { grad, gradients } from '../../src/autodiff/autodiff.js';
import { add, full, mul, square, sum } from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { keep, memory, scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { collected } from './collect.js';

const live = (): number => memory().tensors;
const tick = (ms = 0): Promise<void> => new Promise((done) => setTimeout(done, ms));

test('scope: frees what it does not return', (t) => {
  const before = live();
  const x = tensor([1, 2]);
  const y = scope(() => add(mul(x, x), mul(x, 2)));
  t.deepEqual(y.toArray(), [3, 8]);
  t.equal(live(), before + 2, 'one result, and what was there before');
  t.equal(
    scope(() => add(x, 1).data()[0]),
    2,
    'a number comes out as it is',
  );
  t.equal(
    scope(() => x),
    x,
    'a tensor from outside is nobody’s here',
  );
  t.notOk(x.disposed);
  t.equal(live(), before + 2);
  x.dispose();
  y.dispose();
  t.end();
});

test('scope: tensors are found wherever a result keeps them', (t) => {
  class Pair {
    left = full([1], 1);
    right = { deep: [full([1], 2)] };
  }
  const before = live();
  const made = scope(() => {
    full([3], 0);
    const own: Record<string, unknown> = {
      list: [full([1], 3), [full([1], 4)]],
      map: new Map([['a', full([1], 5)]]),
      set: new Set([full([1], 6)]),
      pair: new Pair(),
      nothing: null,
      missing: undefined,
      text: 'x',
      numbers: new Float32Array(2),
    };
    own['itself'] = own;
    return own;
  });
  t.equal(live(), before + 6);
  const found: number[] = [];
  scope(() => {
    const [a, [b]] = made['list'] as [Tensor, [Tensor]];
    const pair = made['pair'] as Pair;
    const inMap = [...(made['map'] as Map<string, Tensor>).values()];
    const all = [a, b, ...inMap, ...(made['set'] as Set<Tensor>), pair.left, ...pair.right.deep];
    found.push(...all.map((each) => each.item()));
    for (const each of all) each.dispose();
  });
  t.deepEqual(found, [3, 4, 5, 6, 1, 2]);
  t.equal(live(), before);
  t.end();
});

test('scope: what an inner one returns belongs to the outer', (t) => {
  const before = live();
  let inner: Tensor | undefined;
  scope(() => {
    inner = scope(() => add(full([1], 1), 1));
    t.equal(live(), before + 1);
    t.equal(inner.item(), 2);
  });
  t.ok(inner?.disposed);
  t.equal(live(), before);
  let kept: Tensor | undefined;
  scope(() => {
    kept = keep(full([1], 7));
  });
  t.equal(kept?.item(), 7, 'keep takes a tensor out');
  kept?.dispose();
  t.equal(live(), before);
  t.end();
});

test('scope: when it throws, all is freed', async (t) => {
  await collected();
  const before = live();
  const boom = new Error('boom');
  const outer = (): unknown =>
    scope(() => {
      full([1], 1);
      return scope(() => {
        full([1], 2);
        throw boom;
      });
    });
  t.throws(outer, boom);
  t.equal(live(), before);
  let caught: unknown;
  try {
    await scope(async () => {
      full([1], 1);
      await tick();
      full([1], 2);
      throw boom;
    });
  } catch (error) {
    caught = error;
  }
  t.equal(caught, boom, 'also across an await');
  t.equal(live(), before);
});

test('scope: across await, and overlapping in time', async (t) => {
  await collected();
  const before = live();
  const long = scope(async () => {
    const a = full([1], 1);
    await tick(20);
    const b = add(a, 1);
    await tick(20);
    t.notOk(a.disposed, 'what the long one made lives through the short one’s end');
    return add(a, b);
  });
  const short = scope(async () => {
    const c = full([1], 10);
    await tick(10);
    return mul(c, 2);
  });
  const d = await short;
  t.equal(d.item(), 20);
  const e = await long;
  t.equal(e.item(), 3);
  t.equal(live(), before + 2);

  const many = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      scope(async () => {
        let x = full([2], i);
        for (let step = 0; step < 5; step++) {
          await tick((i * 7 + step * 3) % 4);
          x = add(x, 1);
          scope(() => mul(x, 3));
        }
        return x;
      }),
    ),
  );
  t.deepEqual(
    many.map((each) => each.data()[0]),
    many.map((_, i) => i + 5),
  );
  t.equal(live(), before + 2 + 40);
  for (const each of [d, e, ...many]) each.dispose();
  t.equal(live(), before);
});

test('scope: an inner async one inside an outer', async (t) => {
  await collected();
  const before = live();
  await scope(async () => {
    const x = full([1], 2);
    const y = await scope(async () => {
      await tick();
      const hidden = mul(x, 3);
      await tick();
      return add(hidden, 1);
    });
    t.equal(live(), before + 2);
    t.equal(y.item(), 7);
  });
  t.equal(live(), before);
});

test('scope: memory stays flat over a thousand iterations', async (t) => {
  await collected();
  const w = full([16, 16], 0.5);
  const x = full([16], 0.1);
  const loss = (v: Tensor): Tensor => sum(square(mul(w, v)));
  const plan = planned((v: Tensor) => [grad(loss)(v)]);
  const step = (): void =>
    scope(() => {
      const slope = grad(loss)(x);
      add(slope, plan.sync(x)[0]!);
      gradients(() => loss(x), [w]).grads[0]!.data();
      grad((v: Tensor) => sum(grad(loss)(v)))(x);
      try {
        add(x, full([3], 1));
      } catch {
        // A refused call must leave nothing behind either.
      }
    });
  step();
  const before = memory();
  for (let i = 0; i < 1000; i++) step();
  const after = memory();
  t.equal(after.tensors, before.tensors);
  t.equal(after.bytes, before.bytes);
  t.equal(after.allocations, before.allocations, 'and the system is asked for no more');

  const onceMore = async (): Promise<void> => {
    await scope(async () => {
      await Promise.all([plan(x), plan(x)]);
    });
  };
  await onceMore();
  const settled = memory();
  for (let i = 0; i < 200; i++) await onceMore();
  t.deepEqual(
    [memory().tensors, memory().bytes],
    [settled.tensors, settled.bytes],
    'nor do runs off the main thread leak',
  );
  plan.dispose();
  w.dispose();
  x.dispose();
});
