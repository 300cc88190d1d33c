import test from 'tape';
import { jacobian, vjp } from '../../src/autodiff/autodiff.js';
import { gainBound, reachBound, spectralBound } from '../../src/nn/bounds.js';
import * as nn from '../../src/nn/index.js';
import * as models from '../../src/nn/models.js';
import * as ops from '../../src/tensor/ops.js';
import { scope } from '../../src/tensor/scope.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { randomTensor } from '../tensor/numbers.js';

/** The spectral norm of a matrix by power iteration, which comes from below. */
function spectralNorm(a: Tensor): number {
  return scope(() => {
    let v = randomTensor([a.shape[1]!, 1], 3, { dtype: 'float64' });
    const wide = ops.cast(a, 'float64');
    for (let step = 0; step < 300; step++) {
      const next = ops.matmul(wide, ops.matmul(wide, v), { transposeA: true });
      v = ops.div(next, ops.norm(next));
    }
    return ops.norm(ops.matmul(wide, v)).item();
  });
}

/** The Jacobian of a module at x as a matrix [outputs, inputs]. */
function matrixOf(module: nn.Module, x: Tensor): Tensor {
  const full = jacobian((input: Tensor) => module.forward(input), x);
  return ops.reshape(full, [full.size / x.size, x.size]);
}

test('bounds: of matrices, above the spectral norm and near it', (t) => {
  for (const [shape, looseness] of [
    [[5, 3], 1.2],
    [[40, 70], 1.7],
    [[1, 9], 1.001],
  ] as const) {
    const a = randomTensor(shape, 4);
    const [norm, bound] = [spectralNorm(a), spectralBound(a).item()];
    t.ok(bound >= norm && bound <= norm * looseness, `${norm} <= ${bound} <= ${looseness} times that`);
  }
  t.equal(spectralBound(ops.zeros([3, 4])).item(), 0);
  t.ok(spectralBound(ops.full([30, 30], 1e30)).item() >= 3e31 * 0.999, 'no overflow');
  t.end();
});

test('bounds: of each layer, above the norm of its Jacobian', (t) => {
  const layers: [string, nn.Module, number[], number][] = [
    ['Linear', new nn.Linear(7, 11, { seed: 1 }), [1, 7], 1.5],
    ['Conv2d', new nn.Conv2d(2, 3, { kernel: 3, seed: 2 }), [1, 2, 7, 6], 3],
    ['padded Conv2d', new nn.Conv2d(2, 3, { kernel: 3, padding: 1, seed: 3 }), [1, 2, 7, 6], 3],
    ['strided Conv2d', new nn.Conv2d(1, 4, { kernel: [2, 5], stride: 2, seed: 4 }), [1, 1, 9, 9], 4],
    ['dilated Conv2d', new nn.Conv2d(1, 4, { kernel: 3, dilation: 2, seed: 5 }), [1, 1, 9, 9], 4],
    ['MaxPool2d', new nn.MaxPool2d({ kernel: 2 }), [1, 2, 6, 6], 1.001],
    ['overlapping MaxPool2d', new nn.MaxPool2d({ kernel: 3, stride: 2 }), [1, 1, 9, 9], 2.001],
    ['AvgPool2d', new nn.AvgPool2d({ kernel: 2 }), [1, 2, 6, 6], 1.001],
    ['overlapping AvgPool2d', new nn.AvgPool2d({ kernel: 3, stride: 1 }), [1, 1, 9, 9], 1.2],
    ['ReLU', new nn.ReLU(), [1, 9], 1.001],
    ['Tanh', new nn.Tanh(), [1, 9], 2],
    ['Flatten', new nn.Flatten(), [1, 2, 3], 1.001],
    ['Normalize', new nn.Normalize({ mean: [0.1, 0.2], std: [0.5, 0.3] }), [1, 2, 3], 1.001],
  ];
  for (const [name, layer, shape, looseness] of layers) {
    layer.eval();
    const norm = spectralNorm(matrixOf(layer, randomTensor(shape, 8)));
    const bound = gainBound(layer)!.item();
    t.ok(bound >= norm * 0.9999 && bound <= norm * looseness, `${name}: ${norm} <= ${bound}`);
    t.ok(Math.abs(gainBound(layer.to('float64'))!.item() / bound - 1) < 1e-4, `${name}: and in float64`);
  }
  t.end();
});

test('bounds: of what a network can do to the difference of two logits', (t) => {
  const shapes = { mlp: [3, 12], lenet: [3, 1, 16, 16] } as const;
  const networks = {
    mlp: models.mlp({ inputs: 12, hidden: [20, 15], classes: 4, seed: 1 }),
    lenet: models.lenet({ height: 16, width: 16, filters: [3, 5], dense: 20, classes: 4, activation: 'tanh', seed: 2 }),
  };
  // Of a product over many layers, each off by its factor.
  const looseness = { mlp: 50, lenet: 500 };
  for (const name of ['mlp', 'lenet'] as const) {
    const model = networks[name].eval();
    const reach = reachBound(model)!;
    t.deepEqual(reach.shape, [4, 4]);
    const { pullback } = vjp((x: Tensor) => model.forward(x), randomTensor(shapes[name], 6));
    for (const [j, k] of [
      [0, 1],
      [2, 3],
      [3, 0],
    ] as const) {
      const difference = ops.sub(
        ops.oneHot(ops.full([3], j, { dtype: 'int32' }), { classes: 4 }),
        ops.oneHot(ops.full([3], k, { dtype: 'int32' }), { classes: 4 }),
      );
      const actual = Math.max(...ops.norm(ops.reshape(pullback(difference), [3, -1]), { axes: [1] }).data());
      const bound = reach.data()[j * 4 + k]!;
      t.ok(actual <= bound && bound < looseness[name] * actual, `${name}: ${actual} <= ${bound}`);
    }
  }
  t.end();
});

test('bounds: what is not known has none', (t) => {
  class Doubled extends nn.Linear {
    override forward(x: Tensor): Tensor {
      return ops.affine(super.forward(x), 2);
    }
  }
  class Renamed extends nn.Linear {}
  t.equal(gainBound(new Doubled(2, 2)), undefined, 'a class with a forward of its own is not what its parent is');
  t.ok(gainBound(new Renamed(2, 2)) !== undefined, 'one without is');
  const patched = new nn.Linear(2, 2);
  patched.forward = (x) => ops.affine(x, 3);
  t.equal(gainBound(patched), undefined, 'nor is an object with one');
  t.equal(gainBound(new nn.Dropout()), undefined, 'dropout that drops');
  t.equal(reachBound(new nn.Sequential(new Doubled(2, 2), new nn.Linear(2, 2))), undefined);
  t.equal(reachBound(new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU())), undefined, 'no dense layer at the end');
  t.equal(reachBound(new nn.Sequential()), undefined);
  t.end();
});
