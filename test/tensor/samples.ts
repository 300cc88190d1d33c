/**
 * Examples of every registered op, for the gradient check: a new op needs an entry here. A sample's numbers lie away
 * from kinks, since differences say nothing there; what holds at the kinks is tested by hand beside the check.
 */
import type { Attributes } from '../../src/native.js';
import { seeded, sizeOf } from './numbers.js';

/** An input: real numbers are given to the op in float64 and in float32, whole ones in int32. */
export interface Input {
  shape: readonly number[];
  values: Float64Array | Int32Array;
}

/** One call of an op. */
export interface Sample {
  inputs: readonly Input[];
  attributes?: Attributes;
  /** Which inputs it is differentiated by; all real ones when not said. */
  by?: readonly number[];
}

/** One call of an op that has no derivative, and what it gives. */
export interface Example {
  inputs: readonly Input[];
  attributes?: Attributes;
  output: readonly number[];
  shape: readonly number[];
}

/** One call of an op that writes to its inputs, and what these hold afterwards. */
export interface Update {
  inputs: readonly Input[];
  attributes: Attributes;
  after: readonly (readonly number[])[];
}

let lastSeed = 0;

/** Random numbers between low and high. */
function real(shape: readonly number[], low = -2, high = 2): Input {
  const next = seeded(++lastSeed);
  return { shape, values: Float64Array.from({ length: sizeOf(shape) }, () => low + (high - low) * next()) };
}

/** Random numbers of either sign whose magnitude is no less than 0.2. */
function nonzero(shape: readonly number[]): Input {
  const { values } = real(shape, 0.2, 2);
  const next = seeded(++lastSeed);
  return { shape, values: values.map((value) => (next() < 0.5 ? value : -value)) };
}

/** Numbers that differ from each other in magnitude by no less than half the step, `shift` steps off zero. */
function apart(shape: readonly number[], shift = 0.5, step = 0.25): Input {
  const next = seeded(++lastSeed);
  const size = sizeOf(shape);
  const order = Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return { shape, values: Float64Array.from(order, (i) => (next() < 0.5 ? -1 : 1) * (i + shift) * step) };
}

const whole = (shape: readonly number[], values: readonly number[]): Input => ({
  shape,
  values: Int32Array.from(values),
});
const given = (shape: readonly number[], values: readonly number[]): Input => ({
  shape,
  values: Float64Array.from(values),
});

/** An op of one operand on shapes of all kinds. */
function mapped(make: (shape: readonly number[]) => Input, attributes: Attributes = {}): Sample[] {
  return [[5], [], [1], [0], [2, 0, 3], [3, 1, 2], [3, 11]].map((shape) => ({ inputs: [make(shape)], attributes }));
}

const pairsOfShapes: [number[], number[]][] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 1],
    [1, 3],
  ],
  [[], [4]],
  [[4], []],
  [[], []],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [[1, 1], [1]],
  [[0, 3], [3]],
  [
    [1, 3],
    [0, 1],
  ],
  [
    [5, 1, 2],
    [5, 7, 1],
  ],
  [
    [3, 1, 2, 1],
    [2, 1, 5],
  ],
];

/** An op of two operands on shapes that broadcast both ways. */
function broadcast(
  makeA: (shape: readonly number[]) => Input,
  makeB: (shape: readonly number[]) => Input = makeA,
  by?: readonly number[],
): Sample[] {
  return pairsOfShapes.map(([a, b]) => ({ inputs: [makeA(a), makeB(b)], ...(by && { by }) }));
}

const reductions: { shape: number[]; attributes: Attributes }[] = [
  { shape: [7], attributes: {} },
  { shape: [], attributes: {} },
  { shape: [1], attributes: { axes: [0], keepDims: true } },
  { shape: [2, 3], attributes: { axes: [] } },
  { shape: [2, 3], attributes: { axes: [-1] } },
  { shape: [2, 3], attributes: { axes: [0], keepDims: true } },
  { shape: [2, 3, 4], attributes: { axes: [0, 2] } },
  { shape: [2, 3, 4], attributes: { axes: [-1, 0], keepDims: true } },
  { shape: [2, 3, 4], attributes: { axes: [1] } },
  { shape: [3, 2, 2, 3], attributes: { axes: [1, -1] } },
  { shape: [2, 3, 1, 2, 2], attributes: { axes: [0, 2, 4] } },
  { shape: [0, 3], attributes: { axes: [1] } },
  { shape: [2, 37], attributes: { axes: [1] } },
  { shape: [2, 3, 130], attributes: { axes: [1] } },
];

/** A reduction over axes of all kinds. */
function reduced(make: (shape: readonly number[]) => Input): Sample[] {
  return reductions.map(({ shape, attributes }) => ({ inputs: [make(shape)], attributes }));
}

function products(): Sample[] {
  const shapes: [number[], number[]][] = [
    [
      [2, 3],
      [3, 4],
    ],
    [
      [1, 1],
      [1, 1],
    ],
    [
      [1, 5],
      [5, 1],
    ],
    [
      [0, 3],
      [3, 2],
    ],
    [
      [2, 0],
      [0, 3],
    ],
    [
      [4, 2, 3],
      [3, 2],
    ],
    [
      [2, 3],
      [4, 3, 2],
    ],
    [
      [4, 2, 3],
      [1, 3, 2],
    ],
    [
      [3, 1, 2, 3],
      [2, 3, 2],
    ],
    [
      [2, 3],
      [1, 1, 3, 2],
    ],
    [
      [0, 2, 3],
      [3, 2],
    ],
    [
      [17, 19],
      [19, 18],
    ],
  ];
  const exchanged = (shape: number[], isTransposed: boolean): number[] =>
    isTransposed ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
  const samples: Sample[] = [];
  for (const [transposeA, transposeB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    for (const [a, b] of shapes) {
      const inputs = [real(exchanged(a, transposeA)), real(exchanged(b, transposeB))];
      samples.push({ inputs, attributes: { transposeA, transposeB } });
    }
  }
  return samples;
}

interface Convolution {
  image: number[];
  weight: number[];
  bias?: number[];
  stride?: number[];
  padding?: number[];
  dilation?: number[];
  groups?: number;
}

const convolutions: Convolution[] = [
  { image: [1, 1, 3, 3], weight: [1, 1, 2, 2] },
  { image: [2, 2, 5, 4], weight: [3, 2, 3, 2], bias: [3] },
  { image: [2, 3, 4, 5], weight: [2, 3, 1, 1], bias: [2] },
  { image: [1, 2, 3, 4], weight: [2, 2, 3, 4] },
  { image: [2, 2, 6, 5], weight: [3, 2, 3, 2], bias: [3], stride: [2, 3], padding: [1, 0] },
  { image: [1, 2, 7, 6], weight: [2, 2, 2, 3], stride: [2, 1], padding: [1, 2], dilation: [3, 2] },
  { image: [2, 4, 4, 3], weight: [6, 2, 2, 2], bias: [6], groups: 2, padding: [1, 1] },
  { image: [2, 3, 4, 4], weight: [3, 1, 3, 3], groups: 3, stride: [1, 2], padding: [2, 1] },
  { image: [1, 1, 1, 1], weight: [2, 1, 1, 1], bias: [2] },
  { image: [1, 1, 1, 1], weight: [1, 1, 3, 3], padding: [1, 1] },
  { image: [0, 2, 4, 4], weight: [3, 2, 2, 2], bias: [3] },
  { image: [3, 2, 2, 4, 3], weight: [2, 2, 2, 2], bias: [2], padding: [0, 1] },
  { image: [2, 2, 3, 3], weight: [3, 2, 2, 2, 2], bias: [3, 2] },
  { image: [2, 1, 1, 2, 3, 3], weight: [3, 2, 2, 2, 2], bias: [2] },
];

const settingsOf = ({ stride, padding, dilation, groups }: Convolution): Attributes => ({
  stride,
  padding,
  dilation,
  groups,
});

/** The height and width that a convolution gives. */
function outPlane({ image, weight, stride = [1, 1], padding = [0, 0], dilation = [1, 1] }: Convolution): number[] {
  return [0, 1].map((axis) => {
    const room = image.at(axis - 2)! + 2 * padding[axis]!;
    return Math.floor((room - dilation[axis]! * (weight.at(axis - 2)! - 1) - 1) / stride[axis]!) + 1;
  });
}

const convolved = (c: Convolution): number[] => [...c.image.slice(0, -3), c.weight.at(-4)!, ...outPlane(c)];

const pools: { shape: number[]; attributes: Attributes }[] = [
  { shape: [2, 3, 4, 6], attributes: { kernel: [2, 2], stride: [2, 2], padding: [0, 0] } },
  { shape: [1, 2, 5, 7], attributes: { kernel: [3, 2] } },
  { shape: [2, 1, 5, 5], attributes: { kernel: [3, 3], stride: [1, 2], padding: [1, 1] } },
  { shape: [1, 1, 7, 4], attributes: { kernel: [2, 3], stride: [3, 1], padding: [1, 2] } },
  { shape: [3, 4], attributes: { kernel: [3, 4] } },
  { shape: [1, 1, 1, 1], attributes: { kernel: [1, 1] } },
  { shape: [1, 1], attributes: { kernel: [2, 2], padding: [1, 1] } },
  { shape: [0, 2, 4, 4], attributes: { kernel: [2, 2] } },
  { shape: [2, 1, 2, 1, 4, 4], attributes: { kernel: [2, 2], stride: [1, 1] } },
];

/** What a pooling gives for a shape. */
function pooled(shape: readonly number[], { kernel, stride = kernel, padding = [0, 0] }: Attributes): number[] {
  const at = (list: unknown, axis: number): number => (list as number[])[axis]!;
  const plane = [0, 1].map(
    (axis) => Math.floor((shape.at(axis - 2)! + 2 * at(padding, axis) - at(kernel, axis)) / at(stride, axis)) + 1,
  );
  return [...shape.slice(0, -2), ...plane];
}

const labels = (values: readonly number[]): Input => whole([values.length], values);

const classified = (): Sample[] => [
  { inputs: [real([3, 4]), labels([0, 3, 1])] },
  { inputs: [real([1, 1]), labels([0])] },
  { inputs: [real([1, 7], -6, 6), labels([2])] },
  { inputs: [real([2, 3, 4]), labels([3, 3, 0])] },
  { inputs: [real([2, 1, 2, 3]), labels([2, 0])] },
  { inputs: [real([0, 4]), labels([])] },
];

const dropped = { rate: 0.4, seed: 5, stream: 2 };

/** The differentiable ops. */
export const samples: Record<string, Sample[]> = {
  // one operand
  neg: mapped(real),
  abs: mapped(nonzero),
  square: mapped(real),
  sqrt: mapped((shape) => real(shape, 0.3, 3)),
  exp: mapped(real),
  log: mapped((shape) => real(shape, 0.3, 3)),
  sin: mapped((shape) => real(shape, -5, 5)),
  cos: mapped((shape) => real(shape, -5, 5)),
  relu: mapped(nonzero),
  tanh: mapped(real),
  sigmoid: mapped((shape) => real(shape, -4, 4)),
  affine: [...mapped(real, { factor: -1.75, shift: 0.5 }), ...mapped(real, { factor: 0 })],
  clamp: [
    ...mapped((shape) => apart(shape), { low: -0.7, high: 0.8 }),
    { inputs: [apart([9])], attributes: { low: -Infinity, high: 0.8 } },
    { inputs: [apart([9])], attributes: { low: -0.7, high: Infinity } },
  ],
  pow: [3, 2, 1, 0, -1, -2.5, 0.5].flatMap((exponent) => [
    { inputs: [real([2, 3], 0.4, 2)], attributes: { exponent } },
    ...(Number.isInteger(exponent) ? [{ inputs: [nonzero([5])], attributes: { exponent } }] : []),
  ]),
  cast: mapped(real, { dtype: 'float64' }),

  // two operands
  add: broadcast(real),
  sub: broadcast(real),
  mul: broadcast(real),
  div: broadcast(real, nonzero),
  maximum: broadcast(
    (shape) => apart(shape),
    (shape) => apart(shape, 0.25),
  ),
  minimum: broadcast(
    (shape) => apart(shape),
    (shape) => apart(shape, 0.25),
  ),
  reluBackward: broadcast(real, nonzero),
  tanhBackward: broadcast(real),
  where: [
    { inputs: [given([2, 3], [1, 0, 0, 1, 1, 0]), real([2, 3]), real([2, 3])], by: [1, 2] },
    { inputs: [given([3], [0, 1, 0]), real([2, 1]), real([])], by: [1, 2] },
    { inputs: [given([2, 1, 1], [0, -0.5]), real([3]), real([2, 1])], by: [1, 2] },
    { inputs: [given([], [1]), real([2, 2]), real([2, 1])], by: [1, 2] },
    { inputs: [given([1], [0]), real([0, 2]), real([2])], by: [1, 2] },
  ],

  // reductions
  sum: [...reduced(real), { inputs: [real([0, 3])], attributes: { axes: [0] } }],
  mean: reduced(real),
  max: reduced((shape) => apart(shape)),
  min: reduced((shape) => apart(shape)),
  normL1: [...reduced(nonzero), { inputs: [real([2, 0])], attributes: { axes: [1] } }],
  normL2: [...reduced(real), { inputs: [real([2, 0])], attributes: { axes: [1] } }],
  normLinf: reduced((shape) => apart(shape)),

  // shapes
  reshape: [
    { inputs: [real([2, 3])], attributes: { shape: [3, 2] } },
    { inputs: [real([2, 3])], attributes: { shape: [-1] } },
    { inputs: [real([1])], attributes: { shape: [] } },
    { inputs: [real([])], attributes: { shape: [1, 1] } },
    { inputs: [real([0, 3])], attributes: { shape: [3, 2, 0] } },
  ],
  slice: [
    { inputs: [real([3, 4])], attributes: { starts: [1, 1], stops: [3, 2] } },
    { inputs: [real([2, 3, 4])], attributes: { starts: [0, 1, 0], stops: [2, 2, 4] } },
    { inputs: [real([2, 3, 4])], attributes: { starts: [1], stops: [3] } },
    { inputs: [real([5])], attributes: { starts: [2], stops: [2] } },
    { inputs: [real([])], attributes: { starts: [], stops: [] } },
  ],
  rows: [
    { inputs: [real([4, 3])], attributes: { starts: [1, 0], stops: [3, 3] } },
    { inputs: [real([4])], attributes: { starts: [3], stops: [4] } },
    { inputs: [real([2, 3])], attributes: { starts: [1, 0], stops: [1, 3] } },
  ],
  pad: [
    { inputs: [real([2, 3])], attributes: { before: [1, 0], after: [0, 2], value: 0 } },
    { inputs: [real([2, 3])], attributes: { before: [2], after: [1], value: -1.5 } },
    { inputs: [real([2, 1, 2])], attributes: { before: [0, 2, 1], after: [1, 0, 3], value: 7 } },
    { inputs: [real([0, 2])], attributes: { before: [1, 0], after: [0, 1], value: 3 } },
    { inputs: [real([])], attributes: { before: [], after: [], value: 0 } },
  ],
  permute: [
    { inputs: [real([2, 3])], attributes: { axes: [1, 0] } },
    { inputs: [real([2, 3, 4])], attributes: { axes: [2, 0, 1] } },
    { inputs: [real([2, 3, 4])], attributes: { axes: [-1, 0] } },
    { inputs: [real([2, 1, 3, 2])], attributes: { axes: [3, 1, 0, 2] } },
    { inputs: [real([0, 3, 2])], attributes: { axes: [1, 2, 0] } },
    { inputs: [real([5])], attributes: { axes: [0] } },
  ],
  concat: [
    { inputs: [real([2, 3]), real([1, 3]), real([3, 3])], attributes: { axis: 0 } },
    { inputs: [real([2, 1]), real([2, 3]), real([2, 2])], attributes: { axis: -1 } },
    { inputs: [real([2, 2, 2]), real([2, 0, 2]), real([2, 1, 2])], attributes: { axis: 1 } },
    { inputs: [real([3])], attributes: { axis: 0 } },
  ],
  broadcastTo: [
    { inputs: [real([3])], attributes: { shape: [2, 3] } },
    { inputs: [real([2, 1])], attributes: { shape: [2, 4] } },
    { inputs: [real([])], attributes: { shape: [2, 2] } },
    { inputs: [real([1, 3, 1])], attributes: { shape: [2, 2, 3, 4] } },
    { inputs: [real([2, 3])], attributes: { shape: [2, 3] } },
    { inputs: [real([1, 2])], attributes: { shape: [0, 2] } },
  ],

  // products
  matmul: products(),
  linear: [
    { inputs: [real([4, 3]), real([2, 3]), real([2])] },
    { inputs: [real([4, 3]), real([2, 3])] },
    { inputs: [real([3]), real([2, 3]), real([2])] },
    { inputs: [real([2, 1, 3]), real([5, 3]), real([5])] },
    { inputs: [real([1, 1]), real([1, 1]), real([1])] },
    { inputs: [real([0, 3]), real([2, 3]), real([2])] },
    { inputs: [real([2, 0]), real([2, 0]), real([2])] },
  ],
  conv2d: convolutions.map((c) => ({
    inputs: [real(c.image), real(c.weight), ...(c.bias ? [real(c.bias)] : [])],
    attributes: settingsOf(c),
  })),
  conv2dInputGrad: convolutions.map((c) => ({
    inputs: [real(convolved(c)), real(c.weight)],
    attributes: { ...settingsOf(c), inputSize: c.image.slice(-2) },
  })),
  conv2dWeightGrad: convolutions.map((c) => ({
    inputs: [real(c.image), real(convolved(c))],
    attributes: { ...settingsOf(c), kernelSize: c.weight.slice(-2) },
  })),

  // pooling
  maxPool2d: pools.map(({ shape, attributes }) => ({ inputs: [apart(shape)], attributes })),
  averagePool2d: pools.map(({ shape, attributes }) => ({ inputs: [real(shape)], attributes })),
  averagePool2dGrad: pools.map(({ shape, attributes }) => ({
    inputs: [real(pooled(shape, attributes))],
    attributes: { ...attributes, inputSize: shape.slice(-2) },
  })),
  gatherPlane: [
    { inputs: [real([2, 3, 3]), whole([2, 2, 2], [0, 4, 8, 4, 1, 1, 2, 3])] },
    { inputs: [real([3, 2, 2]), whole([1, 5], [3, 3, 0, 1, 3])] },
    { inputs: [real([1, 1]), whole([1, 1], [0])] },
    { inputs: [real([0, 2, 2]), whole([0, 1, 1], [])] },
  ],
  scatterPlane: [
    { inputs: [real([2, 2, 2]), whole([2, 2, 2], [0, 5, 8, 5, 1, 1, 2, 3])], attributes: { size: [3, 3] } },
    { inputs: [real([3, 1, 5]), whole([1, 5], [3, 3, 0, 1, 3])], attributes: { size: [2, 2] } },
    { inputs: [real([1, 1]), whole([1, 1], [0])], attributes: { size: [1, 1] } },
    { inputs: [real([0, 1, 1]), whole([0, 1, 1], [])], attributes: { size: [2, 2] } },
  ],

  // classification
  softmax: [[5], [2, 3], [2, 3, 4], [4, 1], [0, 3], [2, 19]].map((shape) => ({ inputs: [real(shape)] })),
  logSoftmax: [[5], [2, 3], [2, 3, 4], [4, 1], [0, 3], [2, 19]].map((shape) => ({ inputs: [real(shape)] })),
  crossEntropy: classified(),
  crossEntropyGrad: classified(),

  // indices
  gather: [
    { inputs: [real([4, 3]), whole([3], [2, 0, 2])], attributes: { axis: 0 } },
    { inputs: [real([2, 4]), whole([2, 2], [3, 3, 0, 3])], attributes: { axis: -1 } },
    { inputs: [real([2, 3, 2]), whole([], [1])], attributes: { axis: 1 } },
    { inputs: [real([5]), whole([0], [])], attributes: { axis: 0 } },
    { inputs: [real([0, 3]), whole([2], [1, 1])], attributes: { axis: 1 } },
  ],
  scatterAdd: [
    { inputs: [real([3, 2]), whole([3], [1, 1, 3])], attributes: { axis: -2, size: 4 } },
    { inputs: [real([2, 2, 2]), whole([2, 2], [0, 2, 2, 2])], attributes: { axis: -1, size: 3 } },
    { inputs: [real([2, 3]), whole([], [1])], attributes: { axis: -2, size: 2 } },
    { inputs: [real([0, 2]), whole([0], [])], attributes: { axis: -2, size: 3 } },
  ],
  takeAlong: [
    { inputs: [real([2, 4]), whole([2, 3], [3, 0, 3, 1, 1, 1])] },
    { inputs: [real([2, 2, 3]), whole([2, 2], [2, 0, 1, 1])] },
    { inputs: [real([5]), whole([1], [4])] },
    { inputs: [real([2, 3]), whole([2, 0], [])] },
    { inputs: [real([0, 3]), whole([0, 2], [])] },
  ],
  putAlong: [
    { inputs: [real([2, 3]), whole([2, 3], [3, 0, 3, 1, 1, 1])], attributes: { size: 4 } },
    { inputs: [real([2, 2, 2]), whole([2, 2], [2, 0, 1, 1])], attributes: { size: 3 } },
    { inputs: [real([1]), whole([1], [0])], attributes: { size: 1 } },
    { inputs: [real([2, 0]), whole([2, 0], [])], attributes: { size: 2 } },
  ],

  // random
  dropout: [
    { inputs: [real([4, 5]), whole([4], [7, 0, 1, 2]), whole([], [3])], attributes: { ...dropped, exampleRank: 1 } },
    { inputs: [real([2, 3, 2, 2]), whole([3], [0, 1, 2]), whole([], [0])], attributes: { ...dropped, exampleRank: 2 } },
    { inputs: [real([3]), whole([3], [5, 5, 6]), whole([1], [0])], attributes: { ...dropped, exampleRank: 0 } },
    { inputs: [real([0, 5]), whole([0], []), whole([], [0])], attributes: { ...dropped, exampleRank: 1 } },
  ],
};

const mapExample = (values: readonly number[], output: readonly number[], attributes?: Attributes): Example => ({
  inputs: [given([values.length], values)],
  ...(attributes && { attributes }),
  output,
  shape: [output.length],
});

const compared = (output: readonly number[]): Example[] => [
  {
    inputs: [given([2, 3], [1, 2, 3, NaN, 5, -0]), given([3], [1, 3, 0])],
    output,
    shape: [2, 3],
  },
];

/** Numbers of the generator for example 0, tick 0, stream 0 and seed 0: the first words that its authors published. */
const published = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8];
const uniforms = published.map((word) => (word >>> 8) * 2 ** -24);
const normals = [0, 2].flatMap((pair) => {
  const radius = Math.sqrt(-2 * Math.log((published[pair]! + 1) * 2 ** -32));
  const angle = 2 * Math.PI * published[pair + 1]! * 2 ** -32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
});

/** The ops without a derivative: piecewise constant, or without an input that is a real number. */
export const examples: Record<string, Example[]> = {
  sign: [mapExample([-2.5, -0, 0, 1e-300, Infinity], [-1, 0, 0, 1, 1])],
  floor: [mapExample([-2.5, -1, 0.99, 3, -Infinity], [-3, -1, 0, 3, -Infinity])],
  round: [mapExample([-2.5, -1.5, -0.4, 0.5, 1.5, 2.51], [-2, -2, -0, 0, 2, 3])],
  inside: [mapExample([-1, -0.5, 0, 0.5, 1, NaN], [0, 1, 1, 1, 0, 0], { low: -0.5, high: 0.5 })],
  equal: compared([1, 0, 0, 0, 0, 1]),
  notEqual: compared([0, 1, 1, 1, 1, 0]),
  less: compared([0, 1, 0, 0, 0, 0]),
  lessEqual: compared([1, 1, 0, 0, 0, 1]),
  greater: compared([0, 0, 1, 0, 1, 0]),
  greaterEqual: compared([1, 0, 1, 0, 1, 1]),
  argmax: [
    { inputs: [given([2, 3], [1, 3, 3, -1, -2, -1])], attributes: { axis: -1 }, output: [1, 0], shape: [2] },
    { inputs: [given([2, 3], [1, 3, 3, -1, 4, 3])], attributes: { axis: 0 }, output: [0, 1, 0], shape: [3] },
    { inputs: [given([4], [1, NaN, 9, NaN])], attributes: { axis: 0 }, output: [1], shape: [] },
  ],
  argmin: [
    { inputs: [given([2, 3], [1, 0, 0, -1, -2, -2])], attributes: { axis: 1 }, output: [1, 1], shape: [2] },
    { inputs: [given([3, 1], [1, NaN, -9])], attributes: { axis: -2 }, output: [1], shape: [1] },
  ],
  waterLevel: [
    {
      inputs: [
        given([5, 3], [1, 1, 2, 1, 1, 2, 1, 1, 2, 0, 0, 0, 1, NaN, 1]),
        given([5, 3], [9, 1, 9, 9, 1, 9, 2, 1, 8, 1, 1, 1, 2, 2, 2]),
        given([5, 1], [7, 0, 99, 1, 1]),
      ],
      attributes: {},
      // One is full and two share the rest; nothing to hold; more than all can hold; no width; a width that is no number.
      output: [2, 0, 99 / 4, 0, NaN],
      shape: [5, 1],
    },
    { inputs: [given([0], []), given([0], []), given([1], [1])], attributes: {}, output: [0], shape: [1] },
  ],
  full: [
    {
      inputs: [],
      attributes: { shape: [2, 2], value: -0.5, dtype: 'float64' },
      output: [-0.5, -0.5, -0.5, -0.5],
      shape: [2, 2],
    },
    { inputs: [], attributes: { shape: [], value: 7, dtype: 'int32' }, output: [7], shape: [] },
    { inputs: [], attributes: { shape: [3, 0], value: 7, dtype: 'uint8' }, output: [], shape: [3, 0] },
  ],
  oneHot: [
    {
      inputs: [whole([2], [2, 0])],
      attributes: { classes: 3, dtype: 'float64' },
      output: [0, 0, 1, 1, 0, 0],
      shape: [2, 3],
    },
  ],
  uniform: [
    {
      inputs: [whole([1], [0]), whole([], [0])],
      attributes: { seed: 0, stream: 0, shape: [2, 2], low: -1, high: 1, dtype: 'float64' },
      output: uniforms.map((number) => -1 + 2 * number),
      shape: [1, 2, 2],
    },
  ],
  normal: [
    {
      inputs: [whole([1], [0]), whole([], [0])],
      attributes: { seed: 0, stream: 0, shape: [4], mean: 10, deviation: 2, dtype: 'float64' },
      output: normals.map((number) => 10 + 2 * number),
      shape: [1, 4],
    },
  ],
};

/** The ops that write to their inputs; the optimizers': two parameters 1 and -2, gradients 0.5 and 3. */
export const updates: Record<string, Update[]> = {
  selectPairs: [
    {
      inputs: [given([2, 3], [5, 1, 7, 2, 3, 4]), given([2], [6, 1]), whole([2], [1, 5])],
      attributes: { room: 64 },
      // Of the first example the one class above 6; of the second two at once, as half of five.
      after: [
        [5, 1, -Infinity, 2, -Infinity, -Infinity],
        [6, 1],
        [1, 5],
      ],
    },
  ],
  assignRows: [
    {
      inputs: [given([3, 2], [1, 2, 3, 4, 5, 6]), whole([2], [2, 0]), given([2, 2], [7, 8, 9, 10])],
      attributes: {},
      after: [
        [9, 10, 3, 4, 7, 8],
        [2, 0],
        [7, 8, 9, 10],
      ],
    },
  ],
  keepBest: [
    {
      inputs: [
        given([2], [1, 2]),
        given([2, 2], [0, 0, 0, 0]),
        whole([2], [3, 3]),
        whole([2], [0, 0]),
        whole([4], [0, 1, 0, 1]),
        whole([4], [4, 5, 2, 1]),
        given([4], [8, 1, 8, NaN]),
        given([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
      ],
      attributes: {},
      // Example 0: 8 of class 4, then as much of class 2, which comes first. Example 1: nothing better than 2.
      after: [
        [8, 2],
        [5, 6, 0, 0],
        [2, 3],
        [2, 2],
      ],
    },
  ],
  sgdUpdate: [
    {
      inputs: [given([2], [1, -2]), given([2], [0.5, 3]), given([2], [0.2, -1]), given([], [0.1])],
      attributes: { momentum: 0.9, weightDecay: 0.01, nesterov: false },
      // v = 0.9 v + (g + 0.01 p), p -= 0.1 v
      after: [
        [1 - 0.1 * (0.18 + 0.51), -2 - 0.1 * (-0.9 + 2.98)],
        [0.5, 3],
        [0.18 + 0.51, -0.9 + 2.98],
      ],
    },
    {
      inputs: [given([2], [1, -2]), given([2], [0.5, 3]), given([2], [0.2, -1]), given([], [0.1])],
      attributes: { momentum: 0.9, weightDecay: 0, nesterov: true },
      // p -= 0.1 (g + 0.9 v)
      after: [
        [1 - 0.1 * (0.5 + 0.9 * 0.68), -2 - 0.1 * (3 + 0.9 * 2.1)],
        [0.5, 3],
        [0.68, 2.1],
      ],
    },
  ],
  adamUpdate: [false, true].map((decoupled) => {
    const parameters = [1, -2];
    const gradients = [0.5, 3];
    const [rate, beta1, beta2, epsilon, weightDecay, step] = [0.1, 0.9, 0.99, 1e-8, 0.05, 3] as const;
    const slopes = gradients.map((g, i) => (decoupled ? g : g + weightDecay * parameters[i]!));
    const first = slopes.map((g, i) => beta1 * [0.2, -1][i]! + (1 - beta1) * g);
    const second = slopes.map((g, i) => beta2 * [0.3, 2][i]! + (1 - beta2) * g * g);
    const moved = parameters.map((p, i) => {
      const m = first[i]! / (1 - beta1 ** step);
      const v = second[i]! / (1 - beta2 ** step);
      return (decoupled ? p * (1 - rate * weightDecay) : p) - (rate * m) / (Math.sqrt(v) + epsilon);
    });
    return {
      inputs: [
        given([2], parameters),
        given([2], gradients),
        given([2], [0.2, -1]),
        given([2], [0.3, 2]),
        given([], [rate]),
        whole([], [step]),
      ],
      attributes: { beta1, beta2, epsilon, weightDecay, decoupled },
      after: [moved, gradients, first, second],
    };
  }),
};
