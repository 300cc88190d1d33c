import test from 'tape';
import { refused } from '../io/refused.js';
import { collected } from './collect.js';
import { add, full, reshape, slice } from '../../src/tensor/ops.js';
import { memory, scope } from '../../src/tensor/scope.js';
import { tensor, type DType, type NestedNumbers, type Tensor } from '../../src/tensor/tensor.js';

test('tensor: of numbers, nested arrays and typed arrays', (t) => {
  const cases: [Parameters<typeof tensor>, number[], DType, NestedNumbers][] = [
    [[3], [], 'float32', 3],
    [[[]], [0], 'float32', []],
    [[[[], []]], [2, 0], 'float32', [[], []]],
    [[[1, 2, 3]], [3], 'float32', [1, 2, 3]],
    [
      [
        [
          [[1], [2]],
          [[3], [4]],
        ],
      ],
      [2, 2, 1],
      'float32',
      [
        [[1], [2]],
        [[3], [4]],
      ],
    ],
    [[new Float32Array([1, 2])], [2], 'float32', [1, 2]],
    [[new Float64Array([0.1])], [1], 'float64', [0.1]],
    [[new Int32Array([-1, 2 ** 31 - 1])], [2], 'int32', [-1, 2 ** 31 - 1]],
    [[new Uint8Array([0, 255])], [2], 'uint8', [0, 255]],
    [
      [new Float64Array(6), { shape: [2, 3] }],
      [2, 3],
      'float64',
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    ],
    [
      [[1, 2, 3, 4], { shape: [2, 2] }],
      [2, 2],
      'float32',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [[[5], { shape: [] }], [], 'float32', 5],
    [[[1, 0], { dtype: 'uint8' }], [2], 'uint8', [1, 0]],
    [[[0.1], { dtype: 'float64' }], [1], 'float64', [0.1]],
    [[[0.1]], [1], 'float32', [Math.fround(0.1)]],
    [[new Uint8Array([7, 9]), { dtype: 'float32' }], [2], 'float32', [7, 9]],
    [[[NaN, Infinity, -0]], [3], 'float32', [NaN, Infinity, -0]],
  ];
  for (const [args, shape, dtype, values] of cases) {
    const x = tensor(...args);
    t.deepEqual([x.shape, x.dtype, x.toArray()], [shape, dtype, values], String(x));
    t.equal(
      x.size,
      shape.reduce((product, length) => product * length, 1),
    );
  }
  t.equal(String(tensor([[1, 2]])), 'Tensor(float32 [1,2])');
  t.end();
});

test('tensor: the numbers are copies, in and out', (t) => {
  const given = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
  const x = tensor(given);
  given[0] = 99;
  const read = x.data();
  read[1] = 99;
  t.deepEqual(x.toArray(), [2, 3], 'also of a part of a buffer');
  const view = reshape(x, [2, 1]);
  const row = slice(reshape(x, [2, 1]), [1]);
  x.dispose();
  t.deepEqual([view.toArray(), row.toArray()], [[[2], [3]], [[3]]], 'a view outlives what it is a view of');
  t.equal(row.item(), 3);
  t.end();
});

test('tensor: what cannot be one is refused', async (t) => {
  const any = (value: unknown): NestedNumbers => value as NestedNumbers;
  const shapes: [() => unknown, RegExp][] = [
    [() => tensor([[1, 2], [3]]), /^tensor: expected 2 entries at depth 1, received 1 entries$/],
    [() => tensor([[1], 2]), /^tensor: expected 1 entries at depth 1, received number$/],
    [() => tensor([1, [2]]), /^tensor: expected a number at depth 1, received 1 entries$/],
    [() => tensor(any([['a']])), /^tensor: expected a number at depth 2, received string$/],
    [() => tensor(any(undefined)), /^tensor: expected a number at depth 0, received undefined$/],
    [() => tensor(any([null])), /^tensor: expected a number at depth 1, received object$/],
    [() => tensor([1, 2, 3], { shape: [2] }), /^tensor: expected 2 values for shape \[2\], received 3$/],
    [() => tensor(new Float64Array(2), { shape: [2, 2] }), /^tensor: expected 4 values for shape \[2,2\], received 2$/],
    [() => tensor([1], { shape: [-1] }), /^tensor: expected a shape of whole numbers, received \[-1\]$/],
    [() => tensor([1], { shape: [0.5, 2] }), /^tensor: expected a shape of whole numbers, received \[0\.5,2\]$/],
    [() => tensor([[[[[[[[[1]]]]]]]]]), /^tensor: expected at most 8 axes, received 9$/],
    [() => tensor([1, 2]).item(), /^item: expected a tensor of one number, received shape \[2\]$/],
  ];
  for (const [call, says] of shapes) await refused(t, call, 'SHAPE_MISMATCH', says);
  await refused(
    t,
    () => tensor([1], { dtype: 'float16' as DType }),
    'DTYPE_MISMATCH',
    /^tensor: expected dtype float32, float64, int32, uint8, received 'float16'$/,
  );
});

test('tensor: numbers that a dtype does not hold are refused', async (t) => {
  const cases: [() => unknown, RegExp][] = [
    [
      () => tensor([1, 1.5, 300], { dtype: 'uint8' }),
      /^tensor: expected whole numbers of 0 to 255 for uint8, received 1.5 at index 1$/,
    ],
    [
      () =>
        tensor(
          [
            [1, 2],
            [3, 256],
          ],
          { dtype: 'uint8' },
        ),
      /received 256 at index 3$/,
    ],
    [() => tensor([-1], { dtype: 'uint8' }), /received -1 at index 0$/],
    [
      () => tensor([0, 2 ** 31], { dtype: 'int32' }),
      /^tensor: expected whole numbers of -2147483648 to 2147483647 for int32, received 2147483648 at index 1$/,
    ],
    [() => tensor([-0.5], { dtype: 'int32' }), /received -0.5 at index 0$/],
    [() => tensor(NaN, { dtype: 'int32' }), /received NaN at index 0$/],
    [() => tensor(Float64Array.of(1, Infinity), { dtype: 'int32' }), /received Infinity at index 1$/],
    [() => tensor(Int32Array.of(0, -7), { dtype: 'uint8' }), /received -7 at index 1$/],
    [() => add(tensor([1], { dtype: 'int32' }), 0.5), /^add: expected whole numbers.*received 0.5 at index 0$/],
  ];
  for (const [call, says] of cases) await refused(t, call, 'OUT_OF_RANGE', says);
  t.deepEqual(tensor([0, 255, -0], { dtype: 'uint8' }).toArray(), [0, 255, 0], 'the ends');
  t.deepEqual(tensor([-(2 ** 31), 2 ** 31 - 1], { dtype: 'int32' }).toArray(), [-(2 ** 31), 2 ** 31 - 1]);
  t.deepEqual(tensor(Float32Array.of(3, 4), { dtype: 'uint8' }).toArray(), [3, 4], 'from another kind');
});

test('tensor: disposing', async (t) => {
  await collected();
  const before = memory();
  const x = tensor(new Float32Array(1000));
  t.equal(memory().tensors, before.tensors + 1);
  t.ok(memory().bytes >= before.bytes + 4000);
  t.notOk(x.disposed);
  x.dispose();
  x.dispose();
  t.ok(x.disposed, 'twice is once');
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'its memory is free');
  t.deepEqual(x.shape, [1000], 'its shape can still be read');
  for (const [use, name] of [
    [() => x.data(), 'tensor'],
    [() => x.toArray(), 'tensor'],
    [() => add(x, 1), 'add'],
    [() => reshape(x, [10, 100]), 'reshape'],
  ] as const) {
    await refused(t, use, 'DISPOSED', new RegExp(`^${name}: expected a live tensor, received one of shape \\[1000\\]`));
  }

  let seen: Tensor;
  {
    using held = tensor([1, 2]);
    seen = held;
    t.deepEqual(held.toArray(), [1, 2]);
  }
  t.ok(seen.disposed, 'by `using`');
  t.equal(memory().tensors, before.tensors);
});

test('tensor: what a program loses is freed when it is collected', async (t) => {
  await collected();
  const before = memory().tensors;
  (() => {
    for (let i = 0; i < 50; i++) full([10], i);
  })();
  t.ok(memory().tensors >= before + 50);
  await collected();
  t.ok(memory().tensors <= before, 'all of them');
});

test('tensor: memory counts', (t) => {
  scope(() => {
    const before = memory();
    const x = full([1 << 20], 1);
    const during = memory();
    t.ok(during.bytes - before.bytes >= 4 << 20);
    t.ok(during.peakBytes >= during.bytes);
    x.dispose();
    const after = memory();
    t.equal(after.bytes, before.bytes);
    t.ok(after.cachedBytes >= before.cachedBytes, 'the block is kept');
    full([1 << 20], 2);
    t.equal(memory().allocations, after.allocations, 'and used again');
  });
  t.end();
});
