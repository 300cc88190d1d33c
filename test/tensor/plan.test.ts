import fc from 'fast-check';
import test from 'tape';
import { refused } from '../io/refused.js';
import { grad, gradients, vjp } from '../../src/autodiff/autodiff.js';
import { native } from '../../src/native.js';
import * as ops from '../../src/tensor/ops.js';
import { planned, whileRows } from '../../src/tensor/plan.js';
import { memory, scope } from '../../src/tensor/scope.js';
import { tensor, type NestedNumbers, type Tensor } from '../../src/tensor/tensor.js';
import { collected } from './collect.js';
import { identical, randomTensor, seeded, withThreads } from './numbers.js';

const values = (list: readonly Tensor[]): NestedNumbers[] => list.map((each) => each.toArray());

test('plan: a function is traced once for each combination of shapes and dtypes', async (t) => {
  let traces = 0;
  const f = planned((x: Tensor, y: Tensor) => {
    traces++;
    return [ops.add(ops.mul(x, x), y), ops.sum(x)];
  });
  const one = tensor([1, 1, 1]);
  t.deepEqual(values(await f(tensor([1, 2, 3]), one)), [[2, 5, 10], 6]);
  t.deepEqual(values(f.sync(tensor([2, 2, 2]), one)), [[5, 5, 5], 6]);
  t.equal(traces, 1);
  t.deepEqual(
    values(await f(tensor([[1], [2]]), one)),
    [
      [
        [2, 2, 2],
        [5, 5, 5],
      ],
      3,
    ],
    'another shape is another trace',
  );
  t.equal(traces, 2);
  const wide = tensor([1, 2, 3], { dtype: 'float64' });
  t.equal(f.sync(wide, wide)[0]!.dtype, 'float64', 'and another dtype');
  t.equal(traces, 3);
  f.sync(tensor([1, 2, 3]), one);
  t.equal(traces, 3, 'the first is still known');
  f.dispose();
  t.deepEqual(values(f.sync(tensor([1, 2, 3]), one)), [[2, 5, 10], 6], 'after it is disposed it is traced anew');
  t.equal(traces, 4);
  f.dispose();
});

test('plan: of the plans for many shapes the least recently used go', (t) => {
  let traces = 0;
  const f = planned((x: Tensor) => {
    traces++;
    return [ops.neg(x)];
  });
  const run = (n: number): void => scope(() => t.equal(f.sync(ops.ones([n]))[0]!.size, n));
  for (let n = 1; n <= 8; n++) run(n);
  t.equal(traces, 8);
  const before = memory();
  run(1);
  run(9);
  t.equal(traces, 9);
  t.equal(memory().bytes, before.bytes, 'one came, one went');
  run(1);
  t.equal(traces, 9, 'the first, used since, stayed');
  run(2);
  t.equal(traces, 10, 'the second went');
  f.dispose();
  t.end();
});

test('plan: outputs under names', async (t) => {
  const f = planned((x: Tensor) => ({ double: ops.add(x, x), total: ops.sum(x) }));
  const { double, total } = await f(tensor([1, 2]));
  t.deepEqual(values([double, total]), [[2, 4], 3]);
  t.deepEqual(values(Object.values(f.sync(tensor([3, 4])))), [[6, 8], 7]);
  f.dispose();
  const nothing = planned(() => []);
  t.deepEqual(await nothing(), []);
  nothing.dispose();
});

test('plan: what it captures it sees as it is now', async (t) => {
  const w = tensor([1, 2]);
  const f = planned((x: Tensor) => [ops.mul(x, w), ops.full([2], 7), w]);
  const x = tensor([10, 10]);
  t.deepEqual(values(f.sync(x)), [
    [10, 20],
    [7, 7],
    [1, 2],
  ]);
  native.write(w.id, Float32Array.of(3, 4));
  const [product, , handed] = await f(x);
  t.deepEqual(values([product!, handed!]), [
    [30, 40],
    [3, 4],
  ]);
  native.write(w.id, Float32Array.of(5, 6));
  t.deepEqual(handed!.toArray(), [3, 4], 'a captured tensor that is handed out is a copy');
  w.dispose();
  t.deepEqual(values(f.sync(x)).slice(0, 1), [[50, 60]], 'and it holds on to what it captured');
  f.dispose();

  const p = tensor([1, 1]);
  const v = tensor([0, 0]);
  const step = planned((g: Tensor, rate: Tensor) => {
    const before = ops.affine(p, 1);
    ops.call('sgdUpdate', [p, g, v, rate], { momentum: 0.5, weightDecay: 0, nesterov: false });
    return [before, ops.affine(p, 2)];
  });
  const rate = tensor(0.5, { dtype: 'float64' });
  t.deepEqual(
    values(step.sync(tensor([2, 4]), rate)),
    [
      [1, 1],
      [0, -2],
    ],
    'reads and updates keep their order',
  );
  t.deepEqual(values(await step(tensor([0, 0]), rate)), [
    [0, -1],
    [-1, -4],
  ]);
  t.deepEqual(p.toArray(), [-0.5, -2], 'and the update is lasting');
  step.dispose();
});

test('plan: outputs that are inputs or views', async (t) => {
  const f = planned((x: Tensor, y: Tensor) => {
    const square = ops.square(y);
    return [x, ops.reshape(x, [3, 1]), square, ops.reshape(square, [1, 3]), ops.slice(square, [1]), square];
  });
  const x = tensor([1, 2, 3]);
  const y = tensor([4, 5, 6]);
  const expected = [[1, 2, 3], [[1], [2], [3]], [16, 25, 36], [[16, 25, 36]], [25, 36], [16, 25, 36]];
  const first = f.sync(x, y);
  t.deepEqual(values(first), expected);
  const second = await f(y, x);
  t.deepEqual(values(first), expected, 'a later run leaves the outputs of an earlier one alone');
  t.deepEqual(values(second)[2], [1, 4, 9]);
  x.dispose();
  t.deepEqual(first[0]!.toArray(), [1, 2, 3], 'an input handed through is the caller’s own');
  t.deepEqual(values(f.sync(y, y))[0], [4, 5, 6], 'one tensor may be several inputs');
  f.dispose();
});

test('plan: an output may not take the place of what is still to be read', (t) => {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  const functions: Record<string, (x: Tensor) => Tensor[]> = {
    'a row of the operand itself': (a) => {
      const b = ops.exp(a);
      return [ops.neg(ops.mul(b, ops.slice(b, [0], [1])))];
    },
    'the last row': (a) => {
      const b = ops.exp(a);
      return [ops.neg(ops.sub(ops.slice(b, [2]), b))];
    },
    'a view read later': (a) => {
      const b = ops.exp(a);
      const row = ops.slice(b, [1], [2]);
      return [ops.add(ops.neg(ops.neg(b)), row)];
    },
    'both operands the same': (a) => {
      const b = ops.exp(a);
      return [ops.neg(ops.sub(ops.mul(b, b), b))];
    },
    'a reshaped operand': (a) => {
      const b = ops.exp(ops.reshape(a, [2, 3]));
      return [ops.neg(ops.add(ops.reshape(ops.neg(b), [3, 2]), ops.reshape(b, [3, 2])))];
    },
  };
  for (const [name, f] of Object.entries(functions)) {
    const plan = planned(f);
    t.deepEqual(values(plan.sync(x)), values(f(x)), name);
    plan.dispose();
  }
  t.end();
});

test('plan: calls that nobody needs are left out, and buffers are shared', (t) => {
  const f = planned((x: Tensor) => {
    ops.exp(x);
    let y = x;
    for (let i = 0; i < 50; i++) y = ops.tanh(ops.affine(y, 1.1));
    return [ops.sum(y)];
  });
  const { ops: names, arenaBytes } = f.inspect(ops.zeros([1024]));
  t.equal(names.length, 101);
  t.notOk(names.includes('exp'));
  t.ok(arenaBytes <= 3 * 4096, `${arenaBytes} bytes for a hundred tensors of 4096`);
  f.dispose();
  t.end();
});

test('plan: errors', async (t) => {
  const at = planned((x: Tensor, i: Tensor) => [ops.gather(x, i)]);
  const x = tensor([1, 2]);
  const bad = tensor([5], { dtype: 'int32' });
  const good = tensor([1], { dtype: 'int32' });
  await refused(
    t,
    () => at(x, bad),
    'OUT_OF_RANGE',
    /^gather: indices: expected 0 to 1, received 5 at 0$/,
    'while it runs',
  );
  await refused(t, () => at.sync(x, bad), 'OUT_OF_RANGE', /^gather: indices/, 'while it runs here');
  t.deepEqual(values(await at(x, good)), [[2]], 'it goes on after an error');
  const queued = await Promise.allSettled([at(x, good), at(x, bad), at(x, good)]);
  t.deepEqual(
    queued.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
    'and each call has its own',
  );
  at.dispose();

  const wrong = planned((y: Tensor) => [ops.add(y, ops.zeros([3]))]);
  const rejected = wrong(x);
  t.ok(rejected instanceof Promise, 'an error of the trace is a rejection too');
  await refused(t, () => rejected, 'SHAPE_MISMATCH', /^add: shapes \[2\] and \[3\] do not broadcast$/);
  await refused(t, () => wrong.sync(x), 'SHAPE_MISMATCH', /^add: /);

  const reading = /^data: a traced function runs later; its tensors have no numbers to read while it is traced$/;
  for (const read of [(y: Tensor) => y.data(), (y: Tensor) => y.toArray(), (y: Tensor) => ops.sum(y).item()]) {
    const reader = planned((y: Tensor) => {
      read(y);
      return [y];
    });
    await refused(t, () => reader(x), 'NOT_TRACEABLE', reading);
  }

  const again = /^planned: a planned function cannot be called while another is traced$/;
  const inner = planned((y: Tensor) => [ops.neg(y)]);
  inner.sync(x);
  const nested: ((y: Tensor) => Tensor[])[] = [
    (y) => inner.sync(y),
    () => inner.sync(x),
    () => inner.sync(tensor([1])),
  ];
  for (const body of nested) await refused(t, () => planned(body)(x), 'NOT_TRACEABLE', again);
  t.deepEqual(values(inner.sync(x)), [[-1, -2]], 'the inner one is none the worse');

  const any = (value: unknown): never => value as never;
  const shape = /^planned: expected a function that returns an array or record of tensors$/;
  await refused(t, () => planned((y: Tensor) => any(y)).sync(x), 'INVALID_ARGUMENT', shape);
  await refused(
    t,
    () => planned(any(async (y: Tensor) => Promise.resolve([y]))).sync(any(x)),
    'INVALID_ARGUMENT',
    shape,
  );
  for (const nothing of [undefined, null, 3])
    await refused(t, () => planned(() => any(nothing)).sync(), 'INVALID_ARGUMENT', shape, `a plan of ${nothing}`);
  await refused(
    t,
    () => planned(() => [any(3)]).sync(),
    'INVALID_ARGUMENT',
    /^planned: expected a tensor, received number$/,
  );
  await refused(t, () => inner(any([1, 2])), 'INVALID_ARGUMENT', /^planned: expected a tensor, received object$/);
  const gone = tensor([1, 2]);
  gone.dispose();
  await refused(t, () => inner(gone), 'DISPOSED', /^planned: expected a live tensor/);
  await refused(
    t,
    () =>
      planned((y: Tensor) => {
        throw new RangeError(`no ${y.shape.length}`);
      })(x).catch((error: unknown) => {
        t.ok(error instanceof RangeError, 'what the function throws comes out as it is');
        return inner.sync(gone);
      }),
    'DISPOSED',
    /^planned: /,
  );
  t.deepEqual(ops.add(x, 1).toArray(), [2, 3], 'no trace is left open');
  inner.dispose();
});

test('plan: many calls at once', async (t) => {
  await collected();
  const before = memory().tensors;
  await scope(async () => {
    const w = randomTensor([40, 40], 1);
    const f = planned((x: Tensor) => [ops.tanh(ops.matmul(x, w)), ops.sum(x)]);
    const x = Array.from({ length: 30 }, (_, k) => randomTensor([20, 40], k + 2));
    const results = await Promise.all(x.map((each) => f(each)));
    t.ok(
      results.every(([y], k) => identical(y!, ops.tanh(ops.matmul(x[k]!, w)))),
      'of one plan',
    );
    const mixed = x.map(async (each, k) => (k % 3 === 0 ? f.sync(each) : f(each)));
    t.ok(
      (await Promise.all(mixed)).every(([y], k) => identical(y!, results[k]![0]!)),
      'some of them on this thread',
    );

    const sizes = Array.from({ length: 20 }, (_, k) => k + 1);
    const shaped = await Promise.all(sizes.map((n) => f(ops.slice(x[0]!, [0], [n]))));
    t.deepEqual(
      shaped.map(([y]) => y!.shape[0]),
      sizes,
      'of one function for more shapes than it keeps plans for',
    );

    const plans = sizes.map((n) => planned((y: Tensor) => [ops.sum(ops.affine(ops.square(y), n), { axes: [1] })]));
    const all = await Promise.all(plans.map((plan) => plan(x[0]!)));
    t.ok(
      all.every(([y], k) => identical(y!, ops.sum(ops.affine(ops.square(x[0]!), k + 1), { axes: [1] }))),
      'of many plans',
    );
    // The event loop’s thread computes at the same time.
    const running = Promise.all([...x, ...x].map((each) => f(each)));
    const here = x.map((each) => ops.tanh(ops.matmul(each, w)));
    t.ok(
      (await running).every(([y], k) => identical(y!, here[k % 30]!)),
      'while this thread computes',
    );
    for (const plan of [f, ...plans]) plan.dispose();
  });
  t.equal(memory().tensors, before, 'and none is left');
});

test('plan: inputs and plans may be disposed while a run waits', async (t) => {
  await collected();
  const before = memory();
  const f = planned((x: Tensor) => [ops.sum(ops.square(x))]);
  const runs = Array.from({ length: 6 }, (_, k) => {
    const x = ops.full([100], k);
    const run = f(x);
    x.dispose();
    return run;
  });
  f.dispose();
  const results = await Promise.all(runs);
  t.deepEqual(
    results.map(([total]) => total!.item()),
    [0, 100, 400, 900, 1600, 2500],
  );
  for (const [total] of results) total!.dispose();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
});

test('plan: derivatives inside', (t) => {
  const f = (x: Tensor): Tensor => ops.sum(ops.mul(ops.tanh(x), ops.square(x)));
  const second = (x: Tensor): Tensor => grad((y: Tensor) => ops.sum(grad(f)(y)))(x);
  const x = randomTensor([3, 5], 8);
  const plan = planned((y: Tensor) => [grad(f)(y), second(y), vjp(ops.softmax, y).pullback(ops.ones([2, 3, 5]))]);
  const [first, then, rows] = plan.sync(x);
  t.ok(identical(first!, grad(f)(x)));
  t.ok(identical(then!, second(x)));
  t.deepEqual(rows!.shape, [2, 3, 5]);
  plan.dispose();
  t.end();
});

// ---- random programs ------------------------------------------------------------------------------------------------

const [height, width] = [4, 3];

/** Steps of a program over matrices of 4 x 3, rows, columns and single numbers; each picks its operands by number. */
const unary: ((x: Tensor) => Tensor)[] = [
  ops.tanh,
  ops.sigmoid,
  ops.relu,
  ops.neg,
  ops.abs,
  (x) => ops.affine(x, 0.5, 0.25),
  (x) => ops.clamp(x, { low: -0.5, high: 0.75 }),
  (x) => ops.exp(ops.affine(ops.tanh(x), -1)),
  (x) => ops.sum(x, { axes: [0], keepDims: true }),
  (x) => ops.mean(x, { axes: [1], keepDims: true }),
  (x) => ops.max(x, { axes: [0, 1], keepDims: true }),
  (x) => ops.softmax(x),
  // Views, of the same numbers in another shape and of a part of them.
  (x) => ops.reshape(ops.reshape(x, [-1]), x.shape),
  (x) => ops.slice(x, [0], [1]),
  (x) => ops.slice(x, [x.shape[0]! - 1]),
  (x) => ops.slice(x, [0, 0], [x.shape[0]!, 1]),
  (x) => ops.transpose(ops.affine(ops.transpose(x), 0.5)),
  (x) => ops.reshape(ops.gather(x, tensor([0, x.shape[0]! - 1], { dtype: 'int32' })), [2, -1]),
];
const binary: ((x: Tensor, y: Tensor) => Tensor)[] = [
  ops.add,
  ops.sub,
  ops.mul,
  ops.maximum,
  ops.minimum,
  ops.greater,
  (x, y) => ops.where(ops.less(x, y), x, 0.5),
  (x, y) => ops.matmul(ops.matmul(x, y, { transposeB: true }), y),
  (x, y) => ops.concat([x, y]),
];

interface Step {
  op: number;
  operands: [number, number];
}

// Mostly what was made last, so that buffers are free to be used again soon.
const operand = fc.oneof({ weight: 3, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(99) });
const step: fc.Arbitrary<Step> = fc.record({ op: fc.nat(99), operands: fc.tuple(operand, operand) });

/** Whatever does not fit a step's operands is cut or stretched to what does. */
function fitted(x: Tensor): Tensor {
  if (x.shape[0]! <= height) return [1, height].includes(x.shape[0]!) ? x : ops.slice(x, [0], [1]);
  return ops.slice(x, [x.shape[0]! - height]);
}

function program(steps: readonly Step[], outputs: readonly number[]): (...inputs: Tensor[]) => Tensor[] {
  return (...inputs) => {
    const made = [...inputs];
    const pick = (place: number): Tensor => made[made.length - 1 - (place % made.length)]!;
    for (const { op, operands } of steps) {
      const [x, y] = operands.map(pick) as [Tensor, Tensor];
      const place = op % (unary.length + 2 * binary.length);
      const compute = binary[(place - unary.length) % binary.length];
      const isNarrow = x.shape[1] !== y.shape[1];
      const result =
        place < unary.length
          ? unary[place]!(x)
          : isNarrow
            ? ops.add(ops.mean(x, { axes: [1], keepDims: true }), y)
            : compute!(x, y);
      made.push(fitted(result));
    }
    return [made.at(-1)!, ...outputs.map(pick)];
  };
}

test('plan: has no derivative from outside, and says so', async (t) => {
  const f = planned((x: Tensor) => [ops.mul(x, x)]);
  const x = tensor([1, 2]);
  f.sync(x);
  await refused(t, () => grad((inner: Tensor) => ops.sum(f.sync(inner)[0]!))(x), 'NOT_TRACEABLE', /has no derivative/);
  const w = tensor([3, 4]);
  const g = planned(() => [ops.mul(w, w)]);
  g.sync();
  await refused(t, () => gradients(() => ops.sum(g.sync()[0]!), [w]), 'NOT_TRACEABLE', /has no derivative/);
  t.deepEqual(f.sync(x)[0]!.toArray(), [1, 4], 'and works afterwards');
  f.dispose();
  g.dispose();
  t.end();
});

test('plan: a profile tells what each op took', (t) => {
  const f = planned((x: Tensor) => [ops.relu(ops.matmul(x, x))]);
  const steps = f.profile(tensor([1, 2, 3, 4], { shape: [2, 2] }));
  t.deepEqual(
    steps.map(({ op, shape, flops }) => ({ op, shape, flops })),
    [
      { op: 'matmul', shape: [2, 2], flops: 16 },
      { op: 'relu', shape: [2, 2], flops: 0 },
    ],
  );
  t.ok(steps.every(({ seconds }) => seconds > 0));
  f.dispose();
  t.end();
});

/** Squares the rows [B, D] whose bound exceeds 0, in rounds of one column of bounds [B, K] each, and adds them up. */
function squaresWhereNeeded(x: Tensor, bounds: Tensor): Record<string, Tensor> {
  const [batch, width] = x.shape as [number, number];
  const best = {
    value: ops.zeros([batch], { dtype: 'float64' }),
    rows: ops.zeros([batch, width]),
    target: ops.full([batch], -1, { dtype: 'int32' }),
    tried: ops.zeros([batch], { dtype: 'int32' }),
  };
  const left = ops.affine(bounds, 1);
  whileRows(
    () => {
      const { example, candidate, count } = ops.selectPairs(left, best, { room: 64 });
      return { rows: [example, candidate], count };
    },
    (example, candidate) => {
      const rows = ops.square(ops.gather(x, example));
      const value = ops.cast(candidate, 'float64');
      ops.keepBest(best, { example, candidate, value, rows });
    },
  );
  return { ...best };
}

test('plan: a loop works on the rows that are asked for', (t) => {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  const bounds = tensor(
    [
      [-1, 5, 0],
      [-1, -1, -1],
      [0.5, 0.25, 3],
    ],
    { dtype: 'float64' },
  );
  const expected = {
    value: [1, 0, 2],
    rows: [
      [1, 4],
      [0, 0],
      [25, 36],
    ],
    target: [1, -1, 2],
    tried: [1, 0, 1],
  };
  const read = (found: Readonly<Record<string, Tensor>>): Record<string, NestedNumbers> =>
    Object.fromEntries(Object.entries(found).map(([name, value]) => [name, value.toArray()]));
  t.deepEqual(read(squaresWhereNeeded(x, bounds)), expected, 'eager');
  const plan = planned((a: Tensor, b: Tensor) => squaresWhereNeeded(a, b));
  t.deepEqual(read(plan.sync(x, bounds)), expected, 'planned');
  t.deepEqual(read(plan.sync(x, bounds)), expected, 'and again');
  const none = ops.full([3, 3], -1, { dtype: 'float64' });
  t.deepEqual(read(plan.sync(x, none)).tried, [0, 0, 0], 'no rows at all');
  const wide = planned((a: Tensor) => {
    whileRows(
      () => ({ rows: [ops.affine(a, 1)], count: ops.full([], 0, { dtype: 'int32' }) }),
      (rows) => void ops.sum(rows),
    );
    return [a];
  });
  t.throws(() => wide.sync(x), /one for each of a loop's/, 'what is not row by row is refused');
  t.equal(planned((a: Tensor) => [ops.neg(a)]).sync(x)[0]!.shape[0], 3, 'and the engine traces on');
  plan.dispose();
  t.end();
});

test('native: arguments of the wrong kind are an error, not the end of the process', (t) => {
  t.throws(() => native.call(undefined as never, []));
  t.throws(() => native.create('no' as never, 0, [] as never));
  t.equal(ops.ones([2]).size, 2, 'the engine goes on');
  t.end();
});

test('plan: random programs give the eager bits', (t) => {
  const programs = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 30 }),
    outputs: fc.array(fc.nat(99), { maxLength: 3 }),
    dtype: fc.constantFrom('float32' as const, 'float64' as const),
    seed: fc.nat(1000),
    isDifferentiated: fc.boolean(),
  });
  const property = fc.property(programs, ({ steps, outputs, dtype, seed, isDifferentiated }) =>
    scope(() => {
      const inputs = [randomTensor([height, width], seed, { dtype }), randomTensor([1, width], seed + 1, { dtype })];
      const forward = program(steps, outputs);
      const f = isDifferentiated
        ? (...x: Tensor[]): Tensor[] => {
            const total = (y: readonly Tensor[]): Tensor => ops.sum(forward(...y)[0]!);
            return [...forward(...x), ...grad(total)(x)];
          }
        : forward;
      const eager = f(...inputs);
      const plan = planned(f);
      const replayed = [plan.sync(...inputs), plan.sync(...inputs)];
      plan.dispose();
      return replayed.every((run) => run.every((each, index) => identical(each, eager[index]!)));
    }),
  );
  const result = fc.check(property, { numRuns: 1500, seed: 1 });
  t.notOk(result.failed, result.failed ? (fc.defaultReportMessage(result) ?? 'failed') : `${result.numRuns} programs`);
  t.end();
});

test('plan: random programs off the main thread, all at once', async (t) => {
  const next = seeded(4);
  const draw = (): number => Math.floor(next() * 100);
  await scope(async () => {
    const all = Array.from({ length: 40 }, (_, k) => {
      const steps = Array.from({ length: 20 }, (): Step => ({ op: draw(), operands: [draw(), draw()] }));
      const f = program(steps, [3]);
      return { f, plan: planned(f), inputs: [randomTensor([height, width], k), randomTensor([1, width], k + 100)] };
    });
    const runs = await Promise.all(all.flatMap(({ plan, inputs }) => [plan(...inputs), plan(...inputs)]));
    const eager = withThreads(1, () => all.map(({ f, inputs }) => f(...inputs)));
    const isSame = runs.every((run, k) =>
      run.every((each, index) => identical(each, eager[Math.floor(k / 2)]![index]!)),
    );
    t.ok(isSame, 'eighty runs of forty plans');
    for (const { plan } of all) plan.dispose();
  });
});
