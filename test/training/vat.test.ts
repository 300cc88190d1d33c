import test from 'tape';
import {
  accuracy,
  datasets,
  fromArrays,
  memory,
  methods,
  models,
  nn,
  scope,
  split,
  tensor,
  uniform,
  type Tensor,
} from '../../src/index.js';
import { withRandomness } from '../../src/nn/randomness.js';
import { Examples } from '../../src/training/examples.js';
import { inputs, linearNetwork } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { finish, sameWeights } from './trained.js';

const whole = (values: number[]): Tensor => tensor(values, { dtype: 'int32' });

test('vat: exact also for a network that is sure', (t) => {
  scope(() => {
    // Two classes, 60 logits apart: 1 - p rounds to 0, and only the rows' difference changes the answer.
    const model = linearNetwork(
      [
        [3, 4, 0],
        [0, 0, 0],
      ],
      [60, 0],
    );
    const x = inputs([[0.1, 0.2, 0.3]]);
    const forward = model.forward.bind(model);
    for (const hessian of ['difference', 'exact'] as const) {
      const method = methods.vat({ epsilon: 10, hessian, weight: 1 });
      const source = { seed: 1, rows: whole([0]), tick: whole([0]) };
      const asked: Tensor[] = [];
      model.forward = (input) => {
        asked.push(input);
        return forward(input);
      };
      const loss = withRandomness(source, () => method.prepare({ model, x, y: whole([0]) })());
      const [moved, at] = [asked.at(-1)!.data(), x.data()];
      const r = [...moved].map((value, i) => value - at[i]!);
      const cosine = Math.abs(0.6 * r[0]! + 0.8 * r[1]!) / Math.hypot(...r);
      t.ok(cosine > 0.9999, `${hessian}: cosine ${cosine}`);
      t.ok(Number.isFinite(loss.item()), `loss ${loss.item()}`);
    }
    model.dispose();
  });
  t.end();
});

test('vat: labels change nothing about the smoothing; unlabelled examples count as the others', (t) => {
  const model = models.mlp({ inputs: 6, hidden: [9], classes: 3, dropout: 0.4, seed: 1 });
  scope(() => {
    const [x, more] = [uniform([4, 6], { seed: 2 }), uniform([8, 6], { seed: 3 })];
    const [rows, others] = [whole([0, 1, 2, 3]), whole([4, 5, 6, 7, 8, 9, 10, 11])];
    const source = () => ({ seed: 1, rows, tick: whole([0]) });
    const y = whole([0, 1, 2, 0]);
    const of = (weight: number, unlabelled?: { x: Tensor; rows: Tensor }): number =>
      withRandomness(source(), () => {
        const batch = { model: model.eval(), x, y, ...(unlabelled && { unlabelled }) };
        return methods.vat({ weight, epsilon: 1 }).prepare(batch)().item();
      });
    const clean = of(0);
    const cross = nn.crossEntropyLoss(model.forward(x), y).item();
    t.ok(Math.abs(clean - cross) < 1e-6, 'without weight it is normal training');
    const smoothing = of(1) - clean;
    t.ok(smoothing > 0, `the answers change: ${smoothing}`);
    t.ok(Math.abs(of(2) - clean - 2 * smoothing) < 1e-6, 'the weight multiplies it');
    const both = of(1, { x: more, rows: others }) - clean;
    const alone = withRandomness({ ...source(), rows: others, stream: (1 << 20) + 1 }, () => {
      const labels = whole([0, 0, 0, 0, 0, 0, 0, 0]);
      const batch = { model, x: more, y: labels };
      const clear = nn.crossEntropyLoss(model.forward(more), labels).item();
      return methods.vat({ epsilon: 1 }).prepare(batch)().item() - clear;
    });
    t.ok(Math.abs(both - (smoothing + 2 * alone) / 3) < 1e-6, `the mean over both: ${both}`);
  });
  model.dispose();
  t.end();
});

test('vat: learns from examples without labels', async (t) => {
  const { train: all, test: held } = await datasets.sample();
  const [labelled, unlabelled] = split(all, { sizes: [60, 440], seed: 2 });
  const trained = async (with_: boolean, seed = 1): Promise<nn.Sequential> => {
    const model = models.mlp({ hidden: [32], seed: 1 });
    const method = methods.vat({ epsilon: 1.5 });
    await finish(model, labelled!, {
      method,
      epochs: 40,
      batchSize: 30,
      optimizer: { name: 'adam', rate: 0.003 },
      seed,
      ...(with_ && { unlabelled: unlabelled! }),
    });
    return model;
  };
  const first = await trained(true);
  const before = memory();
  const [second, other, without] = [await trained(true), await trained(true, 2), await trained(false)];
  t.ok(sameWeights(first, second), 'the same weights for the same seed');
  t.notOk(sameWeights(first, other), 'others for another');
  t.notOk(sameWeights(first, without), 'and without the unlabelled');
  // How much the answers to the unlabelled change, which only the one that learned from them could lower there.
  const changes = [first, without].map((model) =>
    scope(() => {
      const examples = new Examples(unlabelled!);
      const { x } = examples.batch(tensor(unlabelled!.rows));
      examples.dispose();
      const y = whole(Array.from(unlabelled!.rows, () => 0));
      const loss = (weight: number): number => methods.vat({ weight, iterations: 5 }).prepare({ model, x, y })().item();
      return loss(1) - loss(0);
    }),
  );
  t.ok(changes[0]! < 0.9 * changes[1]!, `answers change by ${changes[0]}, without by ${changes[1]}`);
  t.ok((await accuracy(first, held)).correct > 90, 'it classifies');
  for (const model of [second, other, without]) model.dispose();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'memory');
  first.dispose();
});

test('vat: what is refused', async (t) => {
  const { train: data } = await datasets.sample();
  const model = models.mlp({ hidden: [4], seed: 1 });
  const wide = fromArrays({ inputs: new Float32Array(8), labels: new Uint8Array(4), shape: [2], classes: 2 });
  for (const [options, said] of [
    [{ method: 'lwa', unlabelled: data }, 'unlabelled: expected with a method that takes examples without labels'],
    [{ method: 'vat', unlabelled: wide }, 'unlabelled: expected inputs of shape [1, 28, 28], received [2]'],
    [{ method: 'vat', unlabelled: 3 as never }, 'unlabelled: expected a data set'],
  ] as const) {
    await refused(t, said, () => finish(model, data, options), 'INVALID_ARGUMENT', said);
  }
  const { loss } = await finish(model, data, { method: methods.vat({ hessian: 'exact', norm: 'linf', epsilon: 0.1 }) });
  t.ok(Number.isFinite(loss), 'the exact Hessian in a training, in another norm');
  for (const [options, said] of [
    [{ xi: 0 }, 'vat: xi: expected a length above 0, received 0'],
    [{ iterations: 0 }, 'vat: iterations: expected a whole number of at least 1, received 0'],
    [{ weight: -1 }, 'vat: weight: expected a weight of at least 0, received -1'],
    [{ hessian: 'exactly' as 'exact' }, "did you mean 'exact'?"],
  ] as const) {
    await refused(t, said, () => methods.vat(options), 'INVALID_ARGUMENT', said);
  }
  model.dispose();
});
