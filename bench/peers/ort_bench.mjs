// Times onnxruntime (float32) on the workloads of `sparring bench --peers` that need no gradient, which runs this file.
// The ONNX models are written here, field by field as onnx.proto numbers them: nothing else is needed to make them.
import ort from 'onnxruntime-node';
import { convolutions, load, measure, random, report, threads, wanted } from './common.mjs';

function varint(value) {
  const bytes = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
const integer = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, content) => {
  const part = Buffer.from(content);
  return Buffer.concat([varint(field * 8 + 2), varint(part.length), part]);
};
const message = (...parts) => Buffer.concat(parts);

const float = 1;
const [attributeInt, attributeInts] = [2, 7];

const initializer = (name, { shape, data }) =>
  message(
    ...shape.map((size) => integer(1, size)),
    integer(2, float),
    bytes(8, name),
    bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  );

const attribute = (name, value) =>
  Array.isArray(value)
    ? message(bytes(1, name), ...value.map((each) => integer(8, each)), integer(20, attributeInts))
    : message(bytes(1, name), integer(3, value), integer(20, attributeInt));

const node = (op, inputs, output, attributes = {}) =>
  message(
    ...inputs.map((name) => bytes(1, name)),
    bytes(2, output),
    bytes(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
  );

const valueInfo = (name, shape) => {
  const dimensions = shape.map((size) => bytes(1, integer(1, size)));
  const tensorType = message(integer(1, float), bytes(2, message(...dimensions)));
  return message(bytes(1, name), bytes(2, bytes(1, tensorType)));
};

/** A model of nodes, each of them [op, inputs, output, attributes]; its output is `y`. */
function model(nodes, inputs, weights, outputShape) {
  const graph = message(
    ...nodes.map((each) => bytes(1, node(...each))),
    bytes(2, 'graph'),
    ...Object.entries(weights).map(([name, entry]) => bytes(5, initializer(name, entry))),
    ...Object.entries(inputs).map(([name, shape]) => bytes(11, valueInfo(name, shape))),
    bytes(12, valueInfo('y', outputShape)),
  );
  return message(integer(1, 8), bytes(7, graph), bytes(8, integer(2, 13)));
}

const linear = (x, layer, y) => ['Gemm', [x, `${layer}.weight`, `${layer}.bias`], y, { transB: 1 }];
const pooling = { kernel_shape: [2, 2], strides: [2, 2] };

const networks = {
  mlp: {
    shape: [784],
    nodes: [linear('x', 0, 'a'), ['Relu', ['a'], 'b'], linear('b', 2, 'c'), ['Relu', ['c'], 'd'], linear('d', 4, 'y')],
  },
  lenet: {
    shape: [1, 28, 28],
    nodes: [
      ['Conv', ['x', '0.weight', '0.bias'], 'a'],
      ['Relu', ['a'], 'b'],
      ['MaxPool', ['b'], 'c', pooling],
      ['Conv', ['c', '3.weight', '3.bias'], 'd'],
      ['Relu', ['d'], 'e'],
      ['MaxPool', ['e'], 'f', pooling],
      ['Flatten', ['f'], 'g'],
      linear('g', 7, 'h'),
      ['Relu', ['h'], 'i'],
      linear('i', 9, 'y'),
    ],
  },
};

async function timed(workload, content, feeds) {
  const options = { intraOpNumThreads: threads, interOpNumThreads: 1, executionProviders: ['cpu'] };
  const session = await ort.InferenceSession.create(content, options);
  await measure(workload, 'plain', () => session.run(feeds));
  await session.release();
}

const tensorOf = (data, shape) => new ort.Tensor('float32', data, shape);
const randomOf = (shape) => tensorOf(random(shape.reduce((a, b) => a * b)), shape);

for (const workload of wanted) {
  const [first, rest] = workload.split(/_(.*)/s);
  if (first === 'gemm') {
    const shape = [Number(rest), Number(rest)];
    const content = model([['MatMul', ['a', 'b'], 'y']], { a: shape, b: shape }, {}, shape);
    await timed(workload, content, { a: randomOf(shape), b: randomOf(shape) });
  } else if (workload.startsWith('conv_') && workload.endsWith('/fwd')) {
    const [batch, channels, size, filters, kernel, padding] = convolutions[workload.split('/')[0]];
    const out = size + 2 * padding - kernel + 1;
    const shape = [batch, channels, size, size];
    const weight = [filters, channels, kernel, kernel];
    const weights = { w: { shape: weight, data: random(weight.reduce((a, b) => a * b)) } };
    const nodes = [['Conv', ['x', 'w'], 'y', { pads: [padding, padding, padding, padding] }]];
    await timed(workload, model(nodes, { x: shape }, weights, [batch, filters, out, out]), { x: randomOf(shape) });
  } else if (first in networks && rest.startsWith('infer_b')) {
    const size = Number(rest.slice('infer_b'.length));
    const { shape, nodes } = networks[first];
    const content = model(nodes, { x: [size, ...shape] }, load(`${first}.safetensors`), [size, 10]);
    const { data } = load('images.safetensors')['test.x'];
    await timed(workload, content, { x: tensorOf(data.slice(0, size * 784), [size, ...shape]) });
  }
}
report({ version: ort.env.versions.node, threads });
