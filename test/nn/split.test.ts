import test from 'tape';
import { models, nn, relu, scope, uniform, zeros, type Tensor } from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { sameBits } from '../tensor/numbers.js';

test('split: at every layer the two parts are the network', (t) => {
  const lenet = models.lenet({ height: 16, width: 16, filters: [2, 3], dense: 5, dropout: 0.5, seed: 1 }).eval();
  const inner = (): nn.Sequential => new nn.Sequential(new nn.Sequential(new nn.Linear(6, 6)), new nn.ReLU());
  const nested = new nn.Sequential(inner(), new nn.Linear(6, 5), inner2(), new nn.Linear(4, 3)).eval();
  const mlp = models.mlp({ inputs: 256, hidden: [4, 3], classes: 2, seed: 1 }).eval();
  const places = Array.from(lenet.layers, (_, place) => String(place));
  scope(() => {
    const images = uniform([3, 1, 16, 16], { seed: 1 });
    const rows = uniform([3, 6], { seed: 2 });
    for (const [model, x, names] of [
      [lenet, images, places],
      [mlp, images, ['0', '1', '2', '3', '4']],
      [nested, rows, ['0', '0.0', '0.0.0', '0.1', '1', '2', '2.0', '2.1', '3']],
    ] as [nn.Sequential, Tensor, string[]][]) {
      const whole = model.forward(x).data();
      for (const name of names) {
        const { below, above } = nn.split(model, name);
        t.ok(sameBits(above.forward(below.forward(x)).data(), whole), `split at ${name}`);
      }
    }
    t.equal(nn.split(lenet, '0').below.forward(images), images, 'below the first layer there is nothing');
    t.deepEqual(nn.split(mlp, '0').above.forward(images).shape, [3, 2], 'and above it the whole network');
    t.deepEqual(nn.split(mlp, '2').below.forward(images).shape, [3, 4], 'the layer itself is above');
    t.ok(
      nn
        .split(mlp, '2')
        .below.forward(images)
        .data()
        .every((value) => value >= 0),
      'after the activation',
    );
  });
  for (const model of [lenet, nested, mlp]) model.dispose();
  t.end();
});

const inner2 = (): nn.Sequential => new nn.Sequential(new nn.Tanh(), new nn.Linear(5, 4));

test('split: what it refuses', async (t) => {
  const model = models.mlp({ inputs: 4, hidden: [3], classes: 2, seed: 1 });
  const layer = new nn.Linear(2, 2, { seed: 1 });
  class Own extends nn.Sequential {
    override forward(x: Tensor): Tensor {
      return relu(super.forward(x));
    }
  }
  const own = new Own(new nn.Linear(2, 2, { seed: 1 }), new nn.Linear(2, 2, { seed: 2 }));
  const expected = "split: layer: expected one of 0, 1, 2, received '3' (did you mean";
  await refused(t, 'a layer it has not', () => nn.split(model, '3'), 'INVALID_ARGUMENT', expected);
  await refused(t, 'a parameter', () => nn.split(model, '2.weight'), 'INVALID_ARGUMENT', 'expected one of 0, 1, 2');
  for (const [what, whole] of [
    ['a layer', layer],
    ['a class of its own', own],
  ] as const) {
    await refused(t, what, () => nn.split(whole, '0'), 'INVALID_ARGUMENT', 'split: expected a Sequential');
  }
  const around = new nn.Sequential(own, new nn.Tanh());
  t.deepEqual(nn.split(around, '1').below.forward(zeros([1, 2])).shape, [1, 2], 'which is a layer of another');
  for (const each of [model, layer, own]) each.dispose();
});
