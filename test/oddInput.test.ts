import test from 'tape';
import { accuracy, accuracyCurve, attacks, evaluate, fromArrays, models, tensor, train } from '../src/index.js';
import { refused } from './adversary/refused.js';

// Programs without types: what is passed in place of a network, a data set or a tensor is refused by its name.

const any = (value: unknown): never => value as never;

test('odd input: is refused before any work', async (t) => {
  const model = models.mlp({ inputs: 2, hidden: [], classes: 2, seed: 1 }).eval();
  const data = fromArrays({ inputs: new Float32Array(4), labels: new Uint8Array(2), shape: [2], classes: 2 });
  const empty = { ...data, rows: new Int32Array() };
  const [x, epsilon, epsilons] = [tensor([[0, 0]]), 1, [1]];
  const before = JSON.stringify(model.parameters().map((value) => value.toArray()));
  const cases: [() => unknown, string][] = [
    [() => train(any(undefined), data).next(), 'train: expected a module to train, received undefined'],
    [() => train(any({ forward: () => x }), data).next(), 'train: expected a module to train, received an object'],
    [() => train(model, empty).next(), 'train: expected a data set of at least one example, received one of none'],
    [() => train(model, any([1])).next(), 'train: expected a data set of at least one example, received [1]'],
    [() => accuracy(model, empty), 'accuracy: expected a data set of at least one example'],
    [() => accuracyCurve(model, empty, { epsilons }), 'accuracyCurve: expected a data set of at least one example'],
    [() => evaluate(model, any(undefined), { epsilons }), 'evaluate: expected a data set of at least one example'],
    [() => evaluate(any(undefined), data, { epsilons }), 'evaluate: expected a network, received undefined'],
    [() => attacks.advLoss(any({}), x, [0], { epsilon }), 'advLoss: expected a network, received an object'],
    [
      () => attacks.advLoss(any({ forward: () => 3 }), x, [0], { epsilon }),
      "advLoss: the network's logits: expected a tensor",
    ],
    [() => attacks.advLoss(model, any([[0, 0]]), [0], { epsilon }), 'advLoss: expected a tensor, received object'],
    [() => attacks.advLoss(model, x, any(3), { epsilon }), 'advLoss: expected labels, received 3'],
    [() => model.loadStateDict({ '0.weight': any([1]) }), 'loadStateDict: expected a tensor, received object'],
  ];
  for (const [call, said] of cases) await refused(t, said, call, 'INVALID_ARGUMENT', said);
  await refused(t, 'bigints', () => tensor(any(new BigInt64Array(2))), 'DTYPE_MISMATCH', 'received BigInt64Array');
  await refused(t, 'a shape', () => tensor([1], { shape: any(1) }), 'SHAPE_MISMATCH', 'tensor: shape: expected a list');
  for (const factor of [NaN, Infinity, '1'])
    await refused(
      t,
      `a schedule of ${factor}`,
      () => train(model, data, { schedule: () => any(factor) }).next(),
      'NOT_FINITE',
      'train: schedule: expected a finite factor, received ',
    );
  t.equal(JSON.stringify(model.parameters().map((value) => value.toArray())), before, 'the network is as it was');
});
