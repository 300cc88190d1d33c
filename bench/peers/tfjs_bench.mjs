// Times TensorFlow.js (wasm backend, float32) on the workloads of `sparring bench --peers`, which runs this file.
// Its wasm backend has no gradient of a convolution by the filter, so what trains a convolution is reported as an error.
// Attacks of 10,000 images are timed on 1,000 of them.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { convolutions, load, measure, random, report, wanted } from './common.mjs';

const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
wasm.setWasmPaths(join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist/'));
await tf.setBackend('wasm');
await tf.ready();
tf.enableProdMode();

const classes = 10;
const epsilon = 1.5;
const tiny = 1e-12;

const variable = (values, shape) => tf.keep(tf.variable(tf.tensor(values, shape)));

/**
 * Weight and bias of one layer after the other, in whatever order the file has them. Dense weights are [in, out] here,
 * convolutions [height, width, in, out], images have their channels last.
 */
function parameters(name) {
  const stored = load(`${name}.safetensors`);
  const layers = [...new Set(Object.keys(stored).map((key) => Number.parseInt(key)))].sort((a, b) => a - b);
  const entries = layers.flatMap((layer) => [stored[`${layer}.weight`], stored[`${layer}.bias`]]);
  return tf.tidy(() =>
    entries.map(({ shape, data }) => {
      const values = tf.tensor(data, shape);
      if (shape.length === 2) return tf.keep(tf.variable(values.transpose()));
      return tf.keep(tf.variable(shape.length === 4 ? values.transpose([2, 3, 1, 0]) : values));
    }),
  );
}

const dense = (x, w, b, activation) => tf.fused.matMul({ a: x, b: w, bias: b, ...(activation && { activation }) });
const convolved = (x, filter, bias, pad) => tf.fused.conv2d({ x, filter, bias, strides: 1, pad, activation: 'relu' });
const pooled = (x) => tf.maxPool(x, 2, 2, 'valid');

const networks = {
  mlp(p) {
    return (x) => dense(dense(dense(x, p[0], p[1], 'relu'), p[2], p[3], 'relu'), p[4], p[5]);
  },
  lenet(p) {
    // The first dense layer reads channels first where it was trained; for a time their order does not matter.
    return (x) => {
      const features = pooled(convolved(pooled(convolved(x, p[0], p[1], 'valid')), p[2], p[3], 'valid'));
      return dense(dense(features.reshape([-1, 800]), p[4], p[5], 'relu'), p[6], p[7]);
    };
  },
};

const images = load('images.safetensors');
const shapes = { mlp: [784], lenet: [28, 28, 1] };

/** Batches in turn: inputs and one-hot labels. */
function batches(name, part, size, count) {
  const x = images[`${part}.x`].data;
  const y = images[`${part}.y`].data;
  const made = Array.from({ length: count }, (_, i) => [
    tf.keep(tf.tensor(x.slice(i * size * 784, (i + 1) * size * 784), [size, ...shapes[name]])),
    tf.keep(tf.tidy(() => tf.oneHot(tf.tensor1d(y.slice(i * size, (i + 1) * size), 'int32'), classes).toFloat())),
  ]);
  let at = 0;
  return () => made[at++ % count];
}

const loss = (logits, labels) => tf.losses.softmaxCrossEntropy(labels, logits);

function trainer(forward, variables) {
  const optimizer = tf.train.momentum(0.01, 0.9);
  return (x, y) => void optimizer.minimize(() => loss(forward(x), y), false, variables);
}

function lossPerturbation(forward, x, y) {
  const gradient = tf
    .grad((input) => loss(forward(input), y))(x)
    .reshape([x.shape[0], -1]);
  return gradient.mul(tf.div(epsilon, gradient.norm('euclidean', 1, true).maximum(tiny))).reshape(x.shape);
}

/** Jacobians of the softmax [B, K, D]: one backward pass a class, or one pass over as many copies of the batch. */
const jacobians = {
  plain(forward, x) {
    const gradient = tf.grad((input) => tf.softmax(forward(input)));
    const rows = Array.from({ length: classes }, (_, k) => {
      const cotangent = tf.tile(tf.oneHot(tf.tensor1d([k], 'int32'), classes).toFloat(), [x.shape[0], 1]);
      return gradient(x, cotangent).reshape([x.shape[0], -1]);
    });
    return [tf.softmax(forward(x)), tf.stack(rows, 1)];
  },
  repeated(forward, x) {
    const size = x.shape[0];
    const copies = tf.tile(x, [classes, ...x.shape.slice(1).map(() => 1)]);
    const cotangent = tf.tile(tf.eye(classes).reshape([classes, 1, classes]), [1, size, 1]);
    const { value, grad } = tf.valueAndGrad((input) => tf.softmax(forward(input)))(
      copies,
      cotangent.reshape([-1, classes]),
    );
    return [value.slice([0, 0], [size, classes]), grad.reshape([classes, size, -1]).transpose([1, 0, 2])];
  },
};

function alphaPerturbation(jacobian, forward, x) {
  const [p, rows] = jacobian(forward, x);
  const chosen = (values, index) => values.mul(tf.oneHot(index, classes).toFloat().expandDims(2)).sum(1, true);
  const label = p.argMax(1);
  const differences = rows.sub(chosen(rows, label));
  const lengths = differences.square().sum(2).sqrt();
  const far = tf.oneHot(label, classes).toFloat().mul(1e30);
  const nearest = p.max(1, true).sub(p).div(lengths.maximum(tiny)).add(far).argMin(1);
  const length = chosen(lengths.expandDims(2), nearest).squeeze([1]);
  return chosen(differences, nearest)
    .squeeze([1])
    .mul(tf.div(epsilon, length.maximum(tiny)))
    .reshape(x.shape);
}

function pgd(forward, x, y, steps = 40, rate = 0.1) {
  let moved = tf.zerosLike(x);
  for (let step = 0; step < steps; step++) {
    const next = tf.tidy(() => {
      const flat = [x.shape[0], -1];
      const gradient = tf
        .grad((input) => loss(forward(input), y))(x.add(moved))
        .reshape(flat);
      const unit = gradient.div(gradient.norm('euclidean', 1, true).maximum(tiny));
      const ahead = moved.reshape(flat).add(unit.mul(rate));
      const short = tf.div(epsilon, ahead.norm('euclidean', 1, true).maximum(tiny)).minimum(1);
      return x.add(ahead.mul(short).reshape(x.shape)).clipByValue(0, 1).sub(x);
    });
    moved.dispose();
    moved = next;
  }
}

const tidily = (run) => () => tf.tidy(() => void run());

async function network(name, kind, workload) {
  const fresh = () => {
    const variables = parameters(name);
    const forward = networks[name](variables);
    return { forward, step: trainer(forward, variables) };
  };
  if (kind.startsWith('infer_b')) {
    const { forward } = fresh();
    const [x] = batches(name, 'test', Number(kind.slice(7)), 1)();
    return measure(
      workload,
      'plain',
      tidily(() => forward(x).dataSync()),
    );
  }
  if (kind === 'attack_loss_10k') {
    const { forward } = fresh();
    const next = batches(name, 'test', 500, 2);
    const part = () => tf.tidy(() => void lossPerturbation(forward, ...next()));
    return measure(workload, 'plain', () => (part(), part()), 10);
  }
  if (kind === 'attack_alpha_10k') {
    const { forward } = fresh();
    const next = batches(name, 'test', 500, 2);
    for (const [way, jacobian] of Object.entries(jacobians)) {
      const part = () => tf.tidy(() => void alphaPerturbation(jacobian, forward, next()[0]));
      await measure(workload, way, () => (part(), part()), 10);
    }
    return undefined;
  }
  if (kind === 'pgd40_1k') {
    const { forward } = fresh();
    const next = batches(name, 'test', 250, 4);
    return measure(
      workload,
      'plain',
      tidily(() => pgd(forward, ...next())),
      4,
    );
  }
  const next = batches(name, 'train', 128, 20);
  if (kind === 'train_b128') {
    const { step } = fresh();
    return measure(
      workload,
      'plain',
      tidily(() => step(...next())),
    );
  }
  if (kind === 'lwa_loss_b128') {
    const { forward, step } = fresh();
    const run = () => {
      const [x, y] = next();
      step(x.add(lossPerturbation(forward, x, y)), y);
    };
    return measure(workload, 'plain', tidily(run));
  }
  if (kind.startsWith('lwa_alpha_b128')) {
    for (const [way, jacobian] of Object.entries(jacobians)) {
      const { forward, step } = fresh();
      const run = () => {
        const [x, y] = next();
        step(x.add(alphaPerturbation(jacobian, forward, x)), y);
      };
      await measure(workload, way, tidily(run));
    }
  }
  return undefined;
}

async function convolution(name, kind, workload) {
  const [batch, channels, size, filters, kernel, padding] = convolutions[name];
  const out = size + 2 * padding - kernel + 1;
  const x = variable(random(batch * size * size * channels), [batch, size, size, channels]);
  const w = variable(random(kernel * kernel * channels * filters), [kernel, kernel, channels, filters]);
  const cotangent = variable(random(batch * out * out * filters), [batch, out, out, filters]);
  const run = {
    fwd: () => tf.conv2d(x, w, 1, padding === 0 ? 'valid' : 'same'),
    fwdbwd: () => tf.grads((a, b) => tf.conv2d(a, b, 1, padding === 0 ? 'valid' : 'same'))([x, w], cotangent),
    fwdbwd_x_only: () => tf.grad((a) => tf.conv2d(a, w, 1, padding === 0 ? 'valid' : 'same'))(x, cotangent),
  }[kind];
  await measure(workload, 'plain', tidily(run));
  tf.dispose([x, w, cotangent]);
}

for (const workload of wanted) {
  const [first, rest] = workload.split(/_(.*)/s);
  if (first === 'gemm') {
    const size = Number(rest);
    const [a, b] = [variable(random(size * size), [size, size]), variable(random(size * size), [size, size])];
    await measure(
      workload,
      'plain',
      tidily(() => tf.matMul(a, b)),
    );
    tf.dispose([a, b]);
  } else if (first === 'conv') {
    await convolution(...workload.split('/'), workload);
  } else if (first in networks) {
    await network(first, rest, workload);
  }
}
report({ version: tf.version.tfjs, backend: tf.getBackend(), threads: wasm.getThreadsCount() });
