import test from 'tape';
import { add, gradients, memory, models, mul, nn, scope, sum, tensor, uniform, type Tensor } from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { identical } from '../tensor/numbers.js';

class Residual extends nn.Module {
  inner = new nn.Sequential(
    new nn.Linear(4, 6, { seed: 1 }),
    new nn.Dropout(),
    new nn.Linear(6, 4, { seed: 2, bias: false }),
  );
  scale = tensor([1, 2, 3, 4]);
  readonly note = 'fields that are neither tensors nor modules are left alone';
  forward(x: Tensor): Tensor {
    return mul(add(x, this.inner.forward(x)), this.scale);
  }
}

const numbersOf = (model: nn.Module): string =>
  JSON.stringify(Object.entries(model.stateDict()).map(([name, value]) => [name, value.toArray()]));

test('module: parameters and children by name', (t) => {
  const model = new nn.Sequential(new Residual(), new nn.ReLU(), new nn.Linear(4, 2, { seed: 3 }));
  const names = ['0.scale', '0.inner.0.weight', '0.inner.0.bias', '0.inner.2.weight', '2.weight', '2.bias'];
  t.deepEqual(Object.keys(model.stateDict()), names, 'names as paths');
  t.deepEqual(
    model.children().map(([name]) => name),
    ['0', '1', '2'],
    'children',
  );
  t.equal(model.parameters().length, names.length, 'parameters');
  t.equal(model.stateDict()['2.weight'], (model.layers[2] as nn.Linear).weight, 'live tensors, not copies');
  scope(() => {
    t.deepEqual(model.forward(uniform([3, 4], { seed: 1 })).shape, [3, 2], 'forward');
  });
  model.dispose();
  t.ok(
    Object.values(model.stateDict()).every((value) => value.disposed),
    'dispose frees all',
  );
  t.end();
});

test('module: train and eval reach every child', (t) => {
  const model = new nn.Sequential(new Residual(), new nn.Sequential(new nn.Dropout()));
  const modes = (): Set<boolean> => {
    const seen = new Set<boolean>();
    const visit = (module: nn.Module): void => {
      seen.add(module.training);
      for (const [, child] of module.children()) visit(child);
    };
    visit(model);
    return seen;
  };
  t.deepEqual([...modes()], [true], 'a new module trains');
  t.equal(model.eval(), model, 'eval gives the module');
  t.deepEqual([...modes()], [false], 'eval');
  model.train();
  t.deepEqual([...modes()], [true], 'train');
  model.train(false);
  t.deepEqual([...modes()], [false], 'train(false)');
  model.dispose();
  t.end();
});

test('module: to float64 and back', (t) => {
  const before = memory();
  const model = models.mlp({ inputs: 3, hidden: [4], classes: 2, seed: 1 }).eval();
  const single = numbersOf(model);
  // In a scope, as any other work: the parameters outlive it.
  scope(() => {
    t.equal(model.to('float64'), model, 'gives the module');
  });
  t.ok(
    model.parameters().every((value) => value.dtype === 'float64' && !value.disposed),
    'float64',
  );
  t.equal(numbersOf(model), single, 'the same numbers');
  scope(() => {
    t.equal(model.forward(tensor([[1, 2, 3]], { dtype: 'float64' })).dtype, 'float64', 'forward');
    model.to('float32').to('float32');
  });
  t.equal(numbersOf(model), single, 'and back');
  model.dispose();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'nothing is left');
  t.end();
});

test('module: a tensor that modules share stays shared in another dtype', async (t) => {
  const before = memory();
  const [first, second] = [new nn.Linear(3, 3, { seed: 1 }), new nn.Linear(3, 3, { seed: 2, bias: false })];
  second.weight.dispose();
  second.weight = first.weight;
  const model = new nn.Sequential(first, new nn.Tanh(), second, first);
  const single = numbersOf(model);
  model.to('float64');
  t.equal(first.weight, second.weight, 'one tensor');
  t.equal(numbersOf(model), single, 'the same numbers');
  t.deepEqual([model.parameters().length, first.weight.dtype], [2, 'float64']);
  model.to('float32');
  t.equal(numbersOf(model), single, 'and back');
  await refused(
    t,
    'whole numbers',
    () => model.to('int32' as 'float32'),
    'DTYPE_MISMATCH',
    "to: expected float32 or float64, received 'int32'",
  );
  model.dispose();
  t.deepEqual([memory().tensors, memory().bytes], [before.tensors, before.bytes], 'nothing is left');
});

test('module: loadStateDict takes all or nothing', async (t) => {
  const model = models.mlp({ inputs: 3, hidden: [4], classes: 2, seed: 1 });
  const other = models.mlp({ inputs: 3, hidden: [4], classes: 2, seed: 2 });
  const before = numbersOf(model);
  const state = other.stateDict();
  const without = (name: string): Record<string, Tensor> =>
    Object.fromEntries(Object.entries(state).filter(([key]) => key !== name));
  const gone = tensor([0, 0]);
  gone.dispose();
  const cases: [string, Record<string, Tensor>, Parameters<typeof refused>[3], string[]][] = [
    [
      'an unknown name',
      { ...state, '2.wieght': state['2.weight']! },
      'INVALID_ARGUMENT',
      ["unknown parameter '2.wieght'", "did you mean '2.weight'?", 'expected 0.weight, 0.bias, 2.weight, 2.bias'],
    ],
    ['a missing name', without('2.bias'), 'INVALID_ARGUMENT', ["expected a tensor for '2.bias', received none"]],
    [
      'another shape',
      { ...state, '2.bias': tensor([1, 2, 3]) },
      'SHAPE_MISMATCH',
      ['2.bias expects shape [2], received [3]'],
    ],
    [
      'a transposed weight',
      { ...state, '0.weight': uniform([3, 4], { seed: 1 }) },
      'SHAPE_MISMATCH',
      ['0.weight expects shape [4,3], received [3,4]'],
    ],
    ['a disposed tensor', { ...state, '2.bias': gone }, 'DISPOSED', ['disposed']],
  ];
  for (const [what, given, code, said] of cases) {
    await refused(
      t,
      what,
      () => {
        model.loadStateDict(given);
      },
      code,
      ...said,
    );
    t.equal(numbersOf(model), before, 'nothing has changed');
  }
  const held = model.stateDict()['0.weight'];
  model.loadStateDict(state);
  t.equal(numbersOf(model), numbersOf(other), 'a whole one is taken');
  t.equal(model.stateDict()['0.weight'], held, 'in place');
  model.loadStateDict(model.stateDict());
  t.equal(numbersOf(model), numbersOf(other), 'its own is no harm');
  const wide = Object.fromEntries(
    Object.entries(state).map(([name, value]) => [
      name,
      tensor(Float64Array.from(value.data()), { shape: value.shape }),
    ]),
  );
  model.loadStateDict(wide);
  t.equal(numbersOf(model), numbersOf(other), 'float64 is rounded');
  other.dispose();
  t.equal(numbersOf(model).length > 0, true, 'nothing is shared');
  model.dispose();
});

test('module: one layer in two places', (t) => {
  const shared = new nn.Linear(3, 3, { seed: 1 });
  const model = new nn.Sequential(shared, new nn.Tanh(), shared);
  t.equal(model.parameters().length, 2, 'its parameters count once');
  t.equal(Object.keys(model.stateDict()).length, 4, 'under both names');
  scope(() => {
    const x = uniform([2, 3], { seed: 1, dtype: 'float64' });
    model.to('float64');
    const loss = (): Tensor => sum(model.forward(x));
    const { grads } = gradients(loss, model.parameters());
    const bias = shared.bias!;
    const [ours, step] = [grads[1]!.data(), 1e-6];
    const at = bias.data();
    const valueAt = (i: number, by: number): number => {
      shared.loadStateDict({
        weight: shared.weight,
        bias: tensor(at.map((value, j) => (j === i ? value + by : value))),
      });
      return loss().item();
    };
    const numeric = Array.from(at, (_, i) => (valueAt(i, step) - valueAt(i, -step)) / (2 * step));
    t.ok(
      numeric.every((value, i) => Math.abs(value - ours[i]!) < 1e-6),
      'and the gradient is of both uses',
    );
  });
  model.dispose();
  t.end();
});

test('module: the same seed starts alike, another does not', (t) => {
  const first = (seed: number): Tensor =>
    models.mlp({ inputs: 5, hidden: [5, 5], classes: 5, seed }).stateDict()['2.weight']!;
  t.ok(identical(first(1), first(1)), 'the same seed');
  t.notOk(identical(first(1), first(2)), 'another seed');
  const model = models.mlp({ inputs: 5, hidden: [5, 5], classes: 5, seed: 1 });
  const weights = Object.entries(model.stateDict())
    .filter(([name]) => name.endsWith('weight'))
    .map(([, value]) => value);
  t.notOk(identical(weights[0]!, weights[1]!) || identical(weights[1]!, weights[2]!), 'layers of one network differ');
  t.notOk(identical(new nn.Linear(5, 5).weight, new nn.Linear(5, 5).weight), 'and so do layers made one by one');
  t.end();
});
