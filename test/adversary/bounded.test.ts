/** Algorithm 1 with the classes that cannot win left out gives the answer of all classes. */
import test from 'tape';
import * as attacks from '../../src/adversary/index.js';
import { minimalOfLinearization, type Perturbation } from '../../src/adversary/linearization.js';
import { norms } from '../../src/adversary/norms.js';
import { datasets } from '../../src/data/datasets.js';
import { reachBound } from '../../src/nn/bounds.js';
import * as nn from '../../src/nn/index.js';
import * as models from '../../src/nn/models.js';
import * as ops from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { Examples } from '../../src/training/examples.js';
import { train } from '../../src/training/train.js';

const sample = datasets.sample();

async function someImages(): Promise<{ x: Tensor; y: Tensor }> {
  const { test: images } = await sample;
  return new Examples(images).batch(tensor(images.rows.slice(0, 60)));
}

async function trained(model: nn.Module): Promise<nn.Module> {
  const { train: examples } = await sample;
  const optimizer = { name: 'sgd', rate: 0.05, momentum: 0.9 } as const;
  const training = train(model, examples, { epochs: 4, batchSize: 32, optimizer });
  while (!(await training.next()).done);
  return model.eval();
}

const mean = (counts: Tensor): number => ops.mean(ops.cast(counts, 'float64')).item();

function compare(t: test.Test, dense: Perturbation, bounded: Perturbation, what: string): void {
  t.deepEqual(bounded.target.data(), dense.target.data(), `${what}: the same classes`);
  const apart = ops.max(ops.abs(ops.sub(dense.direction, bounded.direction))).item();
  t.ok(apart <= 1e-6, `${what}: the same directions, to ${apart}`);
  const [long, short] = [dense.length.data(), bounded.length.data()];
  const relative = long.map((length, i) => (length === short[i] ? 0 : Math.abs(length - short[i]!) / length));
  t.ok(Math.max(...relative) <= 1e-5, `${what}: the same lengths`);
}

for (const kind of ['mlp', 'lenet'] as const) {
  for (const state of ['untrained', 'trained'] as const) {
    test(`bounded: ${kind}, ${state}`, async (t) => {
      const { x, y } = await someImages();
      const options = {
        mlp: { hidden: [60, 50], seed: 1 },
        lenet: { filters: [6, 9] as [number, number], dense: 40, seed: 1 },
      };
      const model = models[kind](options[kind]);
      if (state === 'trained') await trained(model);
      model.eval();
      const reach = reachBound(model)!;
      for (const norm of [norms.l2, norms.linf, norms.l1]) {
        for (const linearize of ['probabilities', 'logits'] as const) {
          for (const labels of [undefined, y]) {
            scope(() => {
              const settings = { norm, linearize, ...(labels && { labels }) };
              const dense = minimalOfLinearization(model, x, settings);
              const bounded = minimalOfLinearization(model, x, { ...settings, reach });
              compare(t, dense, bounded, `${norm.name} of ${linearize}${labels ? ' with labels' : ''}`);
              const plan = planned((input: Tensor) => ({
                ...minimalOfLinearization(model, input, { ...settings, reach }),
              }));
              const replayed = plan.sync(x);
              t.deepEqual(replayed.direction.data(), bounded.direction.data(), 'a plan gives the same bits');
              t.deepEqual(plan.sync(x).backwards.data(), bounded.backwards.data(), 'also again');
              plan.dispose();
              t.ok(mean(bounded.backwards) <= 11, `${mean(bounded.backwards)} rows`);
              if (state === 'trained' && norm.name === 'l2' && linearize === 'probabilities')
                t.ok(mean(bounded.backwards) < 8, `${mean(bounded.backwards)} rows of 10 are enough`);
            });
          }
        }
      }
      model.dispose();
      t.end();
    });
  }
}

test('bounded: a thousand classes', async (t) => {
  const { x } = await someImages();
  const model = models.mlp({ inputs: 784, hidden: [40], classes: 1000, seed: 2 }).eval();
  // Confident, as a trained network is.
  model.loadStateDict({ ...model.stateDict(), '2.weight': ops.affine(model.stateDict()['2.weight']!, 30) });
  const few = ops.slice(x, [0], [8]);
  const reach = reachBound(model)!;
  const dense = minimalOfLinearization(model, few, { norm: norms.l2, linearize: 'probabilities' });
  const bounded = minimalOfLinearization(model, few, { norm: norms.l2, linearize: 'probabilities', reach });
  compare(t, dense, bounded, 'K = 1000');
  t.ok(mean(bounded.backwards) < 250, `${mean(bounded.backwards)} rows of 1000`);
  t.equal(mean(dense.backwards), 1000);
  t.end();
});

test('bounded: ties and classes that are the same', (t) => {
  const model = new nn.Linear(3, 4, { seed: 1 }).eval();
  model.loadStateDict({
    weight: tensor([
      [1, 0, 0],
      [0, 1, 0],
      [0, 1, 0],
      [1, 0, 0],
    ]),
    bias: tensor([0, 0, 0, 0]),
  });
  const points = tensor([
    [2, 1, 0],
    [1, 1, 0],
    [0, 3, 1],
  ]);
  const settings = { norm: norms.l2, linearize: 'probabilities' } as const;
  const reach = reachBound(model)!;
  const dense = minimalOfLinearization(model, points, settings);
  const bounded = minimalOfLinearization(model, points, { ...settings, reach });
  compare(t, dense, bounded, 'ties');
  t.end();
});

test('bounded: the attack counts its rows, and takes all classes where the network is not known', async (t) => {
  const { x, y } = await someImages();
  const known = await trained(models.mlp({ hidden: [60, 50], seed: 3 }));
  class Unknown extends nn.Module {
    inner = known;
    forward(input: Tensor): Tensor {
      return this.inner.forward(input);
    }
  }
  const many = ops.concat(Array.from({ length: 10 }, () => x));
  const labels = ops.concat(Array.from({ length: 10 }, () => y));
  const one = await attacks.advAlpha(known, many, labels, { epsilon: 1 });
  const other = await attacks.advAlpha(new Unknown().eval(), many, labels, { epsilon: 1 });
  t.equal(mean(other.backwards), 10, 'every class');
  t.ok(mean(one.backwards) < 6, `${mean(one.backwards)} rows`);
  t.ok(ops.max(ops.abs(ops.sub(one.adversarial, other.adversarial))).item() < 1e-5);
  t.deepEqual(one.success.data(), other.success.data());
  const paired = await attacks.advAlpha(known, many, labels, { epsilon: 1, batchSize: 7 });
  t.deepEqual(paired.backwards.data(), one.backwards.data(), 'the rows do not depend on the batch');
  t.end();
});
