import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'tape';
import {
  gradients,
  methods,
  models,
  nn,
  scope,
  slice,
  tensor,
  type Method,
  type NestedNumbers,
  type OptimizerChoice,
} from '../../src/index.js';
import { learn } from '../../src/training/step.js';
import { farthest } from '../tensor/numbers.js';

// One step of each method, compared with PyTorch; fixtures/make_methods.py made the file.

type State = Record<string, NestedNumbers>;

interface Fixture {
  rate: number;
  inputs: number[][];
  labels: number[];
  state: State;
  runs: { method: keyof typeof methods; options: Record<string, unknown>; loss: number; after: State }[];
  trades: Fixture['vat'];
  vat: { example: number; options: Record<string, unknown>; either: { loss: number; after: State }[] }[];
  cifarNet: { state: State; inputs: NestedNumbers; logits: NestedNumbers };
  clipped: { optimizer: OptimizerChoice; steps: number; after: State }[];
}

const path = new URL('../fixtures/torch-methods.json.gz', import.meta.url);
const { rate, inputs, labels, state, runs, vat, trades, clipped, cifarNet } = JSON.parse(
  gunzipSync(readFileSync(path)).toString(),
) as Fixture;

function load(model: nn.Module, from: State): void {
  scope(() => {
    model.loadStateDict(
      Object.fromEntries(Object.entries(from).map(([name, value]) => [name, tensor(value, { dtype: 'float64' })])),
    );
  });
}

/** The network of the fixture. */
function network(): nn.Sequential {
  const layers = [new nn.Linear(12, 9), new nn.ReLU(), new nn.Linear(9, 7), new nn.Tanh(), new nn.Linear(7, 4)];
  const model = new nn.Sequential(...layers).to('float64');
  load(model, state);
  return model;
}

const flat = (value: NestedNumbers): number[] => [value].flat(9) as number[];

/** By how much the weights differ from those of a state dict. */
const off = (model: nn.Module, after: State): number =>
  Math.max(...Object.entries(model.stateDict()).map(([name, value]) => farthest(value.data(), flat(after[name]!))));

const batch = () => ({
  x: tensor(inputs, { dtype: 'float64' }),
  y: tensor(labels, { dtype: 'int32' }),
});

test('torch: the loss of each method and its step', (t) => {
  for (const { method, options, loss, after } of runs) {
    scope(() => {
      const model = network();
      const made = (methods[method] as (options: Record<string, unknown>) => Method)(options);
      const optimizer = new nn.SGD(model.parameters(), { rate });
      const [at, tick] = [tensor(rate, { dtype: 'float64' }), tensor(0, { dtype: 'int32' })];
      const { loss: value } = learn(made, { model, ...batch() }, optimizer, { rate: at, tick });
      const what = `${method} ${JSON.stringify(options)}`;
      t.ok(Math.abs(value.item() - loss) < 1e-12, `${what}: loss ${value.item()}, ${loss}`);
      t.ok(off(model, after) < 1e-12, `${what}: weights after a step (${off(model, after)})`);
      optimizer.dispose();
      model.dispose();
    });
  }
  t.end();
});

test('torch: virtual adversarial training along the first eigenvector', (t) => {
  t.ok(vat.length >= 9, `${vat.length} runs`);
  // Where the network is not smooth to the next order the difference is off by as much as it is aside.
  const ways = [
    { hessian: 'exact', iterations: 250, tolerance: 1e-10 },
    { hessian: 'difference', xi: 1e-6, iterations: 250, tolerance: 1e-5 },
  ] as const;
  for (const { example, options, either } of vat) {
    for (const { tolerance, ...way } of ways) {
      scope(() => {
        const model = network();
        const { x, y } = batch();
        const method = methods.vat({ ...options, ...way });
        const one = { model, x: slice(x, [example], [example + 1]), y: slice(y, [example], [example + 1]) };
        const { value, grads } = gradients(method.prepare(one), model.parameters());
        const optimizer = new nn.SGD(model.parameters(), { rate });
        optimizer.step(grads);
        const errors = either.map(({ loss, after }) => Math.max(Math.abs(value.item() - loss), off(model, after)));
        const what = `example ${example}, ${JSON.stringify(options)}, ${way.hessian}`;
        t.ok(Math.min(...errors) < tolerance, `${what}: loss and weights (${Math.min(...errors)})`);
        optimizer.dispose();
        model.dispose();
      });
    }
  }
  t.end();
});

test('torch: TRADES, where its adversary ends', (t) => {
  t.ok(trades.length >= 6, `${trades.length} runs`);
  for (const { example, options, either } of trades) {
    scope(() => {
      const model = network();
      const { x, y } = batch();
      const one = { model, x: slice(x, [example], [example + 1]), y: slice(y, [example], [example + 1]) };
      const { value, grads } = gradients(methods.trades(options).prepare(one), model.parameters());
      const optimizer = new nn.SGD(model.parameters(), { rate });
      optimizer.step(grads);
      const errors = either.map(({ loss, after }) => Math.max(Math.abs(value.item() - loss), off(model, after)));
      t.ok(Math.min(...errors) < 1e-9, `example ${example}, ${JSON.stringify(options)}: ${Math.min(...errors)}`);
      optimizer.dispose();
      model.dispose();
    });
  }
  t.end();
});

test('torch: gradients clipped by value', (t) => {
  for (const { optimizer: choice, steps, after } of clipped) {
    scope(() => {
      const model = network();
      const { name, ...settings } = choice;
      const optimizer =
        name === 'sgd' ? new nn.SGD(model.parameters(), settings) : new nn.Adam(model.parameters(), settings);
      for (let step = 0; step < steps; step++) {
        scope(() => {
          const loss = methods.normal().prepare({ model, ...batch() });
          optimizer.step(gradients(loss, model.parameters()).grads);
        });
      }
      t.ok(off(model, after) < 1e-12, `${name}: ${off(model, after)}`);
      optimizer.dispose();
      model.dispose();
    });
  }
  t.end();
});

test('torch: cifarNet takes a state dict and gives the same logits', (t) => {
  scope(() => {
    const options = { shape: [3, 17, 14] as [number, number, number], dense: [6, 5], classes: 7 };
    const model = models
      .cifarNet({ ...options, channels: [2, 4] })
      .eval()
      .to('float64');
    t.deepEqual(Object.keys(model.stateDict()), Object.keys(cifarNet.state), 'names');
    load(model, cifarNet.state);
    const logits = model.forward(tensor(cifarNet.inputs, { dtype: 'float64' }));
    t.ok(farthest(logits.data(), flat(cifarNet.logits)) < 1e-12, 'logits');
    model.dispose();
  });
  t.end();
});
