import test from 'tape';
import { refused } from '../io/refused.js';
import type { ErrorCode } from '../../src/errors.js';
import { native } from '../../src/native.js';
import * as ops from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type DType, type NestedNumbers, type Tensor } from '../../src/tensor/tensor.js';
import { examples, samples, updates, type Input } from './samples.js';

const x = (...shape: number[]): Tensor => ops.zeros(shape);
const wide = (...shape: number[]): Tensor => ops.zeros(shape, { dtype: 'float64' });
const bytes = (...shape: number[]): Tensor => ops.zeros(shape, { dtype: 'uint8' });
const whole = (values: NestedNumbers): Tensor => tensor(values, { dtype: 'int32' });
const any = (value: unknown): never => value as never;

type Refusal = [call: () => unknown, code: ErrorCode, says: string];

/** What each op refuses besides wrong kinds, dtypes and counts of inputs, which are tried for all of them below. */
const refusals: Record<string, Refusal[]> = {
  ...Object.fromEntries(
    (
      [
        'add',
        'sub',
        'mul',
        'div',
        'maximum',
        'minimum',
        'equal',
        'notEqual',
        'less',
        'lessEqual',
        'greater',
        'greaterEqual',
      ] as const
    ).map((name) => [
      name,
      [
        [() => ops[name](x(2, 3), x(4)), 'SHAPE_MISMATCH', 'shapes [2,3] and [4] do not broadcast'],
        [
          () => ops[name](x(2), wide(2)),
          'DTYPE_MISMATCH',
          'expected two tensors of one dtype, received float32 and float64',
        ],
      ] satisfies Refusal[],
    ]),
  ),
  reluBackward: [
    [() => ops.call('reluBackward', [x(2), x(3)]), 'SHAPE_MISMATCH', 'shapes [2] and [3] do not broadcast'],
  ],
  tanhBackward: [
    [() => ops.call('tanhBackward', [x(2), x(3)]), 'SHAPE_MISMATCH', 'shapes [2] and [3] do not broadcast'],
  ],
  affine: [[() => ops.affine(x(2), any(undefined)), 'INVALID_ARGUMENT', 'factor: expected a number, received nothing']],
  pow: [[() => ops.pow(x(2), any('2')), 'INVALID_ARGUMENT', 'exponent: expected a number']],
  clamp: [
    [() => ops.clamp(x(2), { low: 1, high: 0 }), 'INVALID_ARGUMENT', 'expected low <= high, received 1 and 0'],
    [() => ops.clamp(x(2), { low: NaN }), 'INVALID_ARGUMENT', 'expected low <= high, received nan and inf'],
  ],
  inside: [[() => ops.inside(x(2), { low: any('0') }), 'INVALID_ARGUMENT', 'low: expected a number']],
  cast: [
    [
      () => ops.cast(x(2), 'float16' as DType),
      'INVALID_ARGUMENT',
      "expected float32, float64, int32 or uint8, received 'float16'",
    ],
    [() => ops.cast(x(2), any(undefined)), 'INVALID_ARGUMENT', 'dtype: expected a string, received nothing'],
  ],
  where: [
    [() => ops.where(x(2), x(3), x(3)), 'SHAPE_MISMATCH', 'shapes [2] and [3] do not broadcast'],
    [
      () => ops.where(x(2), x(2), wide(2)),
      'DTYPE_MISMATCH',
      'expected two tensors of one dtype, received float32 and float64',
    ],
  ],
  ...Object.fromEntries(
    ['sum', 'mean', 'max', 'min', 'normL1', 'normL2', 'normLinf'].map((name) => [
      name,
      [
        [() => ops.call(name, [x(2, 3)], { axes: [2] }), 'OUT_OF_RANGE', 'axis 2 is outside a tensor of 2 axes'],
        [() => ops.call(name, [x(2, 3)], { axes: [0, -3] }), 'OUT_OF_RANGE', 'axis -3 is outside a tensor of 2 axes'],
        [
          () => ops.call(name, [x(2, 3)], { axes: [0.5] }),
          'INVALID_ARGUMENT',
          'axes: expected whole numbers, received [0.5]',
        ],
        [
          () => ops.call(name, [x(2, 3)], { axes: any(0) }),
          'INVALID_ARGUMENT',
          'axes: expected a list of whole numbers',
        ],
        ...(['sum', 'normL1', 'normL2'].includes(name)
          ? []
          : [
              [
                () => ops.call(name, [x(0, 3)]),
                'SHAPE_MISMATCH',
                'expected at least one element to reduce, received shape [0,3]',
              ] satisfies Refusal,
            ]),
      ] satisfies Refusal[],
    ]),
  ),
  ...Object.fromEntries(
    (['argmax', 'argmin'] as const).map((name) => [
      name,
      [
        [() => ops[name](x(2), { axis: 1 }), 'OUT_OF_RANGE', 'axis 1 is outside a tensor of 1 axes'],
        [() => ops[name](x()), 'OUT_OF_RANGE', 'axis -1 is outside a tensor of 0 axes'],
        [() => ops[name](x(2), { axis: 0.5 }), 'INVALID_ARGUMENT', 'axis: expected a whole number, received 0.5'],
        [
          () => ops[name](x(2, 0)),
          'SHAPE_MISMATCH',
          'expected at least one element along axis 1, received shape [2,0]',
        ],
      ] satisfies Refusal[],
    ]),
  ),
  waterLevel: [
    [() => ops.waterLevel(x(), x(), x()), 'SHAPE_MISMATCH', 'widths: expected [...,D], received []'],
    [() => ops.waterLevel(x(2, 3), x(2, 4), x(2, 1)), 'SHAPE_MISMATCH', 'rooms: expected float32 [2,3]'],
    [() => ops.waterLevel(x(2, 3), x(2, 3), x(2)), 'SHAPE_MISMATCH', 'amount: expected float32 [2,1]'],
  ],
  reshape: [
    [() => ops.reshape(x(2, 3), [4]), 'SHAPE_MISMATCH', 'cannot give the 6 elements of [2,3] the shape [4]'],
    [() => ops.reshape(x(2, 3), [-1, -1]), 'SHAPE_MISMATCH', 'cannot give the 6 elements of [2,3] the shape [-1,-1]'],
    [() => ops.reshape(x(2, 3), [-2, -3]), 'SHAPE_MISMATCH', 'cannot give the 6 elements of [2,3] the shape [-2,-3]'],
    [() => ops.reshape(x(0, 3), [-1, 0]), 'SHAPE_MISMATCH', 'cannot give the 0 elements of [0,3] the shape [-1,0]'],
    [() => ops.reshape(x(2, 3), [1.5, 4]), 'INVALID_ARGUMENT', 'shape: expected whole numbers, received [1.5,4]'],
    [() => ops.reshape(x(1), [1, 1, 1, 1, 1, 1, 1, 1, 1]), 'SHAPE_MISMATCH', 'expected at most 8 axes'],
  ],
  slice: [
    [() => ops.slice(x(2, 3), [0, 4]), 'OUT_OF_RANGE', 'expected 0 <= start <= stop <= 3 on axis 1, received 4 to 3'],
    [() => ops.slice(x(2, 3), [-1]), 'OUT_OF_RANGE', 'expected 0 <= start <= stop <= 2 on axis 0, received -1 to 2'],
    [() => ops.slice(x(2, 3), [0], [3]), 'OUT_OF_RANGE', 'expected 0 <= start <= stop <= 2 on axis 0, received 0 to 3'],
    [() => ops.slice(x(2, 3), [0, 0, 0]), 'SHAPE_MISMATCH', 'expected at most 2 entries, received 3'],
    [() => ops.slice(x(2, 3), [0], [1, 1, 1]), 'SHAPE_MISMATCH', 'expected at most 2 entries, received 3'],
  ],
  rows: [
    [() => ops.call('rows', [x(2, 3)], { starts: [0], stops: [1] }), 'INTERNAL', 'expected the range of every axis'],
    [
      () => ops.call('rows', [x(2)], { starts: [0], stops: [3] }),
      'OUT_OF_RANGE',
      'expected 0 <= start <= stop <= 2 on axis 0, received 0 to 3',
    ],
  ],
  pad: [
    [() => ops.pad(x(2, 3), [0, -1], []), 'OUT_OF_RANGE', 'expected no negative padding on axis 1, received -1 and 0'],
    [() => ops.pad(x(2), [1, 1], []), 'SHAPE_MISMATCH', 'expected at most 1 entries, received 2'],
    [
      () => ops.call('pad', [x(2, 3)], { before: [1], after: [1, 2], value: 0 }),
      'INVALID_ARGUMENT',
      'after: expected as many entries as before, 1, received 2',
    ],
  ],
  permute: [
    [() => ops.permute(x(2, 3), [0, 0]), 'INVALID_ARGUMENT', 'axes: expected a permutation, received axis 0 twice'],
    [() => ops.permute(x(2, 3), [0, 2]), 'OUT_OF_RANGE', 'axis 2 is outside a tensor of 2 axes'],
    [() => ops.transpose(x(2)), 'SHAPE_MISMATCH', 'axes: expected at most 1 entries, received 2'],
  ],
  concat: [
    [() => ops.concat([]), 'INVALID_ARGUMENT', 'expected 1 or more tensors, received 0'],
    [
      () => ops.concat([x(2, 3), x(2, 4)]),
      'SHAPE_MISMATCH',
      'expected shapes that differ on axis 0 only, received [2,3] and [2,4]',
    ],
    [
      () => ops.concat([x(2, 3), x(3)]),
      'SHAPE_MISMATCH',
      'expected shapes that differ on axis 0 only, received [2,3] and [3]',
    ],
    [
      () => ops.stack([x(2), x(3)]),
      'SHAPE_MISMATCH',
      'expected shapes that differ on axis 0 only, received [1,2] and [1,3]',
    ],
    [() => ops.concat([x(2), x(2)], { axis: 1 }), 'OUT_OF_RANGE', 'axis 1 is outside a tensor of 1 axes'],
    [
      () => ops.concat([x(2), wide(2)]),
      'DTYPE_MISMATCH',
      'expected tensors of one dtype, received float32 and float64',
    ],
  ],
  broadcastTo: [
    [() => ops.broadcastTo(x(3), [2]), 'SHAPE_MISMATCH', 'shapes [3] and [2] do not broadcast'],
    [() => ops.broadcastTo(x(2, 3), [3]), 'SHAPE_MISMATCH', 'cannot stretch [2,3] to [3]'],
    [() => ops.broadcastTo(x(1), [-1]), 'INVALID_ARGUMENT', 'shape: expected no negative length, received -1'],
  ],
  matmul: [
    [() => ops.matmul(x(2, 3), x(2, 3)), 'SHAPE_MISMATCH', 'inner lengths differ: 3 and 2 (a [2,3], b [2,3])'],
    [
      () => ops.matmul(x(2, 3), x(4, 2), { transposeA: true }),
      'SHAPE_MISMATCH',
      'inner lengths differ: 2 and 4 (a [2,3] transposed, b [4,2])',
    ],
    [
      () => ops.matmul(x(3), x(3, 2)),
      'SHAPE_MISMATCH',
      'expected two matrices or stacks of them, received shapes [3] and [3,2]',
    ],
    [() => ops.matmul(x(2, 2, 3), x(3, 3, 2)), 'SHAPE_MISMATCH', 'shapes [2] and [3] do not broadcast'],
    [
      () => ops.matmul(x(2, 3), wide(3, 2)),
      'DTYPE_MISMATCH',
      'expected tensors of one dtype, received float32 and float64',
    ],
    [() => ops.matmul(x(2, 2), x(2, 2), { transposeA: any(1) }), 'INVALID_ARGUMENT', 'transposeA: expected a boolean'],
  ],
  linear: [
    [
      () => ops.linear(x(2, 3), x(4, 2)),
      'SHAPE_MISMATCH',
      'weight expects 2 inputs, received 3 (input [2,3], weight [4,2])',
    ],
    [() => ops.linear(x(), x(4, 2)), 'SHAPE_MISMATCH', 'weight expects 2 inputs, received 0 (input [], weight [4,2])'],
    [() => ops.linear(x(2, 3), x(3)), 'SHAPE_MISMATCH', 'weight expects shape [out,in], received [3]'],
    [() => ops.linear(x(2, 3), x(4, 3), x(3)), 'SHAPE_MISMATCH', 'bias expects shape [4], received [3]'],
    [
      () => ops.linear(x(2, 3), wide(4, 3)),
      'DTYPE_MISMATCH',
      'expected tensors of one dtype, received float32 and float64',
    ],
  ],
  conv2d: [
    [
      () => ops.conv2d(x(8, 4, 32, 32), x(16, 3, 3, 3)),
      'SHAPE_MISMATCH',
      'weight: expected 4 input channels, received 3 (input [8,4,32,32], weight [16,3,3,3], groups 1)',
    ],
    [
      () => ops.conv2d(x(3, 4, 4), x(2, 3, 2, 2)),
      'SHAPE_MISMATCH',
      'input: expected [batch, channels, height, width], with any axes in front, received [3,4,4]',
    ],
    [
      () => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 5, 5)),
      'SHAPE_MISMATCH',
      'weight: expected a kernel of 1 to 4 pixels in height',
    ],
    [
      () => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), { stride: 0 }),
      'INVALID_ARGUMENT',
      'stride: expected at least 1, received 0',
    ],
    [
      () => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), { padding: -1 }),
      'INVALID_ARGUMENT',
      'padding: expected at least 0, received -1',
    ],
    [
      () => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), { padding: 0.5 }),
      'INVALID_ARGUMENT',
      'padding: expected whole numbers, received [0.5,0.5]',
    ],
    [
      () => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), { groups: 2 }),
      'INVALID_ARGUMENT',
      'groups: expected a divisor of 3 input and 2 output channels, received 2',
    ],
    [() => ops.conv2d(x(1, 3, 4, 4), x(2, 3, 2, 2), { bias: x(3) }), 'SHAPE_MISMATCH', 'bias: expected [2]'],
    [
      () => ops.conv2d(x(1, 3, 4, 4), wide(2, 3, 2, 2)),
      'DTYPE_MISMATCH',
      'expected tensors of one dtype, received float32 and float64',
    ],
  ],
  conv2dInputGrad: [
    [
      () => ops.call('conv2dInputGrad', [x(1, 2, 3, 3), x(2, 1, 2, 2)], { inputSize: [5, 4] }),
      'SHAPE_MISMATCH',
      'cotangent: expected [.., 2, 4, 3]',
    ],
  ],
  conv2dWeightGrad: [
    [
      () => ops.call('conv2dWeightGrad', [x(1, 1, 4, 4), x(1, 2, 3, 2)], { kernelSize: [2, 2] }),
      'SHAPE_MISMATCH',
      'cotangent: expected [.., 2, 3, 3]',
    ],
    [
      () => ops.call('conv2dWeightGrad', [x(2, 1, 4, 4), x(1, 2, 3, 3)], { kernelSize: [2, 2] }),
      'SHAPE_MISMATCH',
      'cotangent: expected a batch of 2 as the input has, received 1',
    ],
  ],
  ...Object.fromEntries(
    (['maxPool2d', 'averagePool2d'] as const).map((name) => [
      name,
      [
        [() => ops[name](x(4), { kernel: 2 }), 'SHAPE_MISMATCH', 'input: expected [.., height, width], received [4]'],
        [() => ops[name](x(4, 4), { kernel: 5 }), 'SHAPE_MISMATCH', 'kernel: expected at most 4 pixels in height'],
        [() => ops[name](x(4, 4), { kernel: 0 }), 'INVALID_ARGUMENT', 'kernel: expected at least 1, received 0'],
        [
          () => ops[name](x(4, 4), { kernel: 2, padding: 2 }),
          'INVALID_ARGUMENT',
          "padding: expected less than the kernel's 2",
        ],
        [
          () => ops[name](x(4, 4), any({})),
          'INVALID_ARGUMENT',
          'kernel: expected a list of whole numbers, received nothing',
        ],
      ] satisfies Refusal[],
    ]),
  ),
  averagePool2dGrad: [
    [
      () => ops.call('averagePool2dGrad', [x(2, 3)], { kernel: [2, 2], inputSize: [4, 4] }),
      'SHAPE_MISMATCH',
      'cotangent: expected [.., 2, 2]',
    ],
  ],
  scatterPlane: [
    [
      () => ops.call('scatterPlane', [x(2, 2), whole([[0, 1]])], { size: [2, 2] }),
      'SHAPE_MISMATCH',
      "index: expected the last axes of the cotangent's [2,2], received [1,2]",
    ],
  ],
  gatherPlane: [
    [
      () => ops.call('gatherPlane', [x(2, 2, 2), whole([[[0]]])]),
      'SHAPE_MISMATCH',
      "index: expected the axes of the input's [2,2,2] but for the plane, received [1,1,1]",
    ],
  ],
  ...Object.fromEntries(
    (['softmax', 'logSoftmax'] as const).map((name) => [
      name,
      [
        [() => ops[name](x()), 'SHAPE_MISMATCH', 'expected at least one class on the last axis, received shape []'],
        [
          () => ops[name](x(2, 0)),
          'SHAPE_MISMATCH',
          'expected at least one class on the last axis, received shape [2,0]',
        ],
      ] satisfies Refusal[],
    ]),
  ),
  ...Object.fromEntries(
    (['crossEntropy', 'crossEntropyGrad'] as const).map((name) => [
      name,
      [
        [() => ops[name](x(2, 3), whole([0, 3])), 'OUT_OF_RANGE', 'labels: expected classes 0 to 2, received 3 at 1'],
        [() => ops[name](x(2, 3), whole([-1, 0])), 'OUT_OF_RANGE', 'labels: expected classes 0 to 2, received -1 at 0'],
        [
          () => ops[name](x(2, 3), whole([0])),
          'SHAPE_MISMATCH',
          'expected logits [B,K] and labels [B], received [2,3] and [1]',
        ],
        [
          () => ops[name](x(3), whole([0])),
          'SHAPE_MISMATCH',
          'expected logits [B,K] and labels [B], received [3] and [1]',
        ],
      ] satisfies Refusal[],
    ]),
  ),
  gather: [
    [() => ops.gather(x(3), whole([0, 3])), 'OUT_OF_RANGE', 'indices: expected 0 to 2, received 3 at 1'],
    [() => ops.gather(x(3), whole([-1])), 'OUT_OF_RANGE', 'indices: expected 0 to 2, received -1 at 0'],
    [() => ops.gather(x(3), whole([0]), { axis: 1 }), 'OUT_OF_RANGE', 'axis 1 is outside a tensor of 1 axes'],
  ],
  scatterAdd: [
    [
      () => ops.scatterAdd(x(2, 2), whole([0, 4]), { size: 4 }),
      'OUT_OF_RANGE',
      'indices: expected 0 to 3, received 4 at 1',
    ],
    [
      () => ops.scatterAdd(x(2, 2), whole([0, 1, 2]), { size: 4 }),
      'SHAPE_MISMATCH',
      'expected the axes of the indices [3] before the last 1, received [2,2]',
    ],
    [
      () => ops.scatterAdd(x(2, 2), whole([0, 1]), { size: -1 }),
      'OUT_OF_RANGE',
      'size: expected 0 to 2147483647, received -1',
    ],
    [
      () => ops.scatterAdd(x(2, 2), whole([0, 1]), { size: 1.5 }),
      'INVALID_ARGUMENT',
      'size: expected a whole number, received 1.5',
    ],
  ],
  takeAlong: [
    [() => ops.takeAlong(x(2, 3), whole([[0], [3]])), 'OUT_OF_RANGE', 'indices: expected 0 to 2, received 3 at 1'],
    [
      () => ops.takeAlong(x(2, 3), whole([[0], [1], [2]])),
      'SHAPE_MISMATCH',
      'expected a row of indices for each row, received [2,3] and indices [3,1]',
    ],
    [() => ops.takeAlong(x(), whole([0])), 'SHAPE_MISMATCH', 'expected at least one axis, received [] and indices [1]'],
  ],
  putAlong: [
    [
      () => ops.putAlong(x(2, 1), whole([[0], [3]]), { size: 3 }),
      'OUT_OF_RANGE',
      'indices: expected 0 to 2, received 3 at 1',
    ],
    [
      () => ops.putAlong(x(2, 2), whole([[0], [1]]), { size: 3 }),
      'SHAPE_MISMATCH',
      'expected as many indices as elements in a row, received [2,2] and indices [2,1]',
    ],
    [
      () => ops.putAlong(x(2, 0), ops.zeros([2, 0], { dtype: 'int32' }), { size: -3 }),
      'OUT_OF_RANGE',
      'size: expected 0 to 2147483647, received -3',
    ],
  ],
  oneHot: [
    [() => ops.oneHot(whole([3]), { classes: 3 }), 'OUT_OF_RANGE', 'indices: expected 0 to 2, received 3 at 0'],
    [() => ops.oneHot(whole([0]), { classes: 0 }), 'OUT_OF_RANGE', 'classes: expected at least 1, received 0'],
    [
      () => ops.oneHot(whole([0]), { classes: 2, dtype: any('int32') }),
      'DTYPE_MISMATCH',
      'expected float32 or float64, received int32',
    ],
  ],
  full: [
    [() => ops.full([2, -1], 0), 'INVALID_ARGUMENT', 'shape: expected no negative length, received -1'],
    [() => ops.full([1.5], 0), 'INVALID_ARGUMENT', 'shape: expected whole numbers, received [1.5]'],
    [
      () => ops.full([2], 0, { dtype: any('half') }),
      'INVALID_ARGUMENT',
      "expected float32, float64, int32 or uint8, received 'half'",
    ],
    [() => ops.full([2 ** 20, 2 ** 20, 2 ** 10], 0), 'OUT_OF_MEMORY', 'could not allocate 4503599627370496 bytes'],
    [
      () => ops.full([2 ** 32, 2 ** 32], 0),
      'OUT_OF_MEMORY',
      'shape: expected at most 2^53 elements, received [4294967296,4294967296]',
    ],
  ],
  uniform: [
    [() => ops.uniform([2, -3], { seed: 1 }), 'INVALID_ARGUMENT', 'shape: expected no negative length, received -3'],
    [() => ops.uniform([2], { seed: -1 }), 'OUT_OF_RANGE', 'seed: expected a whole number of at least 0, received -1'],
    [() => ops.uniform([2], { seed: 1.5 }), 'INVALID_ARGUMENT', 'seed: expected a whole number, received 1.5'],
    [() => ops.uniform([2], any({})), 'INVALID_ARGUMENT', 'seed: expected a number, received nothing'],
    [() => ops.uniform([2], { seed: 1, stream: -1 }), 'OUT_OF_RANGE', 'stream: expected 0 to 4294967295, received -1'],
    [
      () => ops.uniform([2], { seed: 1, low: 2, high: 1 }),
      'INVALID_ARGUMENT',
      'expected low <= high, received 2 and 1',
    ],
    [
      () => ops.uniform([3], { seed: 1, rows: whole([1, 2]) }),
      'SHAPE_MISMATCH',
      'rows: expected 3, one an example, received 2',
    ],
    [
      () => ops.uniform([2], { seed: 1, tick: whole([1, 2]) }),
      'SHAPE_MISMATCH',
      'tick: expected one int32, received int32 [2]',
    ],
    [
      () => ops.uniform([2], { seed: 1, dtype: any('int32') }),
      'DTYPE_MISMATCH',
      'expected float32 or float64, received int32',
    ],
  ],
  normal: [
    [() => ops.normal([2], { seed: NaN }), 'INVALID_ARGUMENT', 'seed: expected a whole number, received nan'],
    [() => ops.normal([2, 1.5], { seed: 1 }), 'INVALID_ARGUMENT', 'shape: expected whole numbers, received [1.5]'],
  ],
  dropout: [
    [() => ops.dropout(x(2), { seed: 1, rate: 1 }), 'OUT_OF_RANGE', 'rate: expected 0 <= rate < 1, received 1'],
    [() => ops.dropout(x(2), { seed: 1, rate: -0.1 }), 'OUT_OF_RANGE', 'rate: expected 0 <= rate < 1, received -0.1'],
    [() => ops.dropout(x(2), { seed: 1, rate: NaN }), 'OUT_OF_RANGE', 'rate: expected 0 <= rate < 1, received nan'],
    [
      () => ops.dropout(x(2, 3), { seed: 1, rate: 0.5, rows: whole([1]) }),
      'SHAPE_MISMATCH',
      'rows: expected 2, one an example, received 1',
    ],
    [
      () => ops.dropout(x(), { seed: 1, rate: 0.5 }),
      'SHAPE_MISMATCH',
      'expected one row number an example, received 1 for shape []',
    ],
  ],
  sgdUpdate: [
    [
      () => ops.call('sgdUpdate', [x(2), x(3), x(2), wide()], { momentum: 0, weightDecay: 0 }),
      'SHAPE_MISMATCH',
      "expected the parameter's float32 [2], received float32 [3]",
    ],
    [
      () => ops.call('sgdUpdate', [x(2), x(2), x(2), wide(2)], { momentum: 0, weightDecay: 0 }),
      'SHAPE_MISMATCH',
      'rate: expected one float64, received float64 [2]',
    ],
  ],
  adamUpdate: [
    [
      () => ops.call('adamUpdate', [x(2), x(2), x(2), x(1), wide(), whole(1)]),
      'SHAPE_MISMATCH',
      "expected the parameter's float32 [2], received float32 [1]",
    ],
  ],
};

const everyOp = native.ops().map(({ name }) => name);

/** An input of each op that it accepts, in the dtype given for its real numbers. */
function accepted(op: string): { inputs: readonly Input[]; attributes: object | undefined } {
  const { inputs, attributes } = (samples[op] ?? examples[op] ?? updates[op])![0]!;
  return { inputs, attributes };
}

const asTensor = ({ shape, values }: Input): Tensor => tensor(values, { shape });

test('errors: each op says what it expected and what it received', async (t) => {
  for (const [op, list] of Object.entries(refusals)) {
    for (const [call, code, says] of list) {
      let message = '';
      try {
        scope(call);
      } catch (error) {
        message = (error as Error).message;
      }
      t.ok(message.startsWith(`${op}: ${says}`), `${op}: ${says}, not «${message}»`);
      await refused(t, () => scope(call), code, new RegExp(`^${op}: `), `${op} with ${code}`);
    }
  }
});

test('errors: every op counts its inputs', async (t) => {
  for (const op of everyOp.filter((name) => name !== 'concat')) {
    const many = Array.from({ length: 9 }, () => x(2));
    await refused(
      t,
      () => ops.call(op, many),
      'INVALID_ARGUMENT',
      new RegExp(`^${op}: expected \\d( or more)? tensors, received 9$`),
    );
  }
});

test('errors: every op refuses what is no tensor, and what is disposed', async (t) => {
  for (const op of everyOp) {
    const { inputs, attributes } = accepted(op);
    for (const index of inputs.keys()) {
      const withInput = (other: unknown) => (): unknown =>
        scope(() =>
          ops.call(
            op,
            inputs.map((input, at) => (at === index ? any(other) : asTensor(input))),
            attributes as never,
          ),
        );
      await refused(t, withInput({}), 'INVALID_ARGUMENT', new RegExp(`^${op}: expected a tensor, received object$`));
      const gone = asTensor(inputs[index]!);
      gone.dispose();
      await refused(
        t,
        withInput(gone),
        'DISPOSED',
        new RegExp(`^${op}: expected a live tensor, received one of shape \\[`),
      );
    }
  }
  for (const [value, kind] of [
    [null, 'null'],
    [3, 'number'],
    ['x', 'string'],
    [undefined, 'undefined'],
  ] as const) {
    await refused(
      t,
      () => ops.relu(any(value)),
      'INVALID_ARGUMENT',
      new RegExp(`^relu: expected a tensor, received ${kind}$`),
    );
  }
});

test('errors: every op refuses dtypes that are not its own', async (t) => {
  // What moves numbers without reckoning with them takes all dtypes.
  const takesAll = ['cast', 'reshape', 'slice', 'rows', 'pad', 'permute', 'broadcastTo', 'gather', 'takeAlong'];
  for (const op of everyOp) {
    const { inputs, attributes } = accepted(op);
    for (const [index, input] of inputs.entries()) {
      const isReal = input.values instanceof Float64Array;
      if (isReal && takesAll.includes(op)) continue;
      const wrong = isReal ? bytes(...input.shape) : x(...input.shape);
      const call = (): unknown =>
        ops.call(
          op,
          inputs.map((each, at) => (at === index ? wrong : asTensor(each))),
          attributes as never,
        );
      // One operand alone of all decides the dtype: a single concat of bytes is fine.
      if (op === 'concat' && inputs.length === 1) continue;
      await refused(
        t,
        call,
        'DTYPE_MISMATCH',
        new RegExp(`^${op}: .*(expected|received)`),
        `${op}: input ${index} is not ${wrong.dtype}`,
      );
    }
  }
  for (const op of takesAll) {
    const { inputs, attributes } = accepted(op);
    const [first, ...rest] = inputs;
    const taken = ops.call(op, [bytes(...first!.shape), ...rest.map(asTensor)], attributes as never)[0]!;
    t.ok(op === 'cast' || taken.dtype === 'uint8', `${op} takes bytes`);
  }
});

test('errors: a refused call leaves nothing behind, and the engine goes on', (t) => {
  const a = x(2, 3);
  const before = native.memory();
  for (const list of Object.values(refusals)) {
    for (const [call] of list) {
      try {
        scope(call);
      } catch {
        continue;
      }
    }
  }
  t.deepEqual(native.memory().tensors, before.tensors);
  t.deepEqual(native.memory().bytes, before.bytes);
  t.deepEqual(ops.add(a, 1).toArray(), [
    [1, 1, 1],
    [1, 1, 1],
  ]);
  t.end();
});

test('errors: names that there are not', async (t) => {
  await refused(t, () => ops.call('nope', []), 'INVALID_ARGUMENT', /^there is no op named 'nope'$/);
  await refused(
    t,
    () => ops.norm(x(2), { order: any('l22') }),
    'INVALID_ARGUMENT',
    /^norm: order: expected one of l1, l2, linf, received 'l22' \(did you mean 'l2'\?\)$/,
  );
  await refused(t, () => ops.range(-1), 'OUT_OF_RANGE', /^range: expected a whole number of at least 0, received -1$/);
  await refused(
    t,
    () => ops.uniform([2.5], { seed: 1 }),
    'OUT_OF_RANGE',
    /^range: expected a whole number of at least 0, received 2\.5$/,
  );
});

test('errors: a tensor of a trace is of no use outside it', async (t) => {
  let leaked: Tensor | undefined;
  const plan = planned((input: Tensor) => {
    leaked = ops.add(input, 1);
    return [leaked];
  });
  plan.sync(x(2));
  await refused(t, () => leaked!.data(), 'DISPOSED', /^tensor: expected a live tensor/);
  plan.dispose();
});
