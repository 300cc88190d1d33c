import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import {
  decodeSafetensors,
  fromArrays,
  gradients,
  loadSafetensors,
  models,
  nn,
  schedules,
  scope,
  slice,
  tensor,
  train,
  type OptimizerChoice,
  type Tensor,
} from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';

// The same networks, numbers and optimizers in PyTorch; fixtures/make_nn.py made the file.

const path = fileURLToPath(new URL('../fixtures/torch-nn.safetensors', import.meta.url));

interface Run {
  model: Name;
  prefix: string;
  optimizer: OptimizerChoice;
  whole: boolean;
  cosine: boolean;
  rates: number[];
}

const runs = JSON.parse(decodeSafetensors(readFileSync(path), path).metadata.runs!) as Run[];
const [steps, batch] = [6, 8];

const makes = {
  mlp: () => models.mlp({ inputs: 12, hidden: [9, 7], classes: 4 }),
  lenet: () => models.lenet({ height: 16, width: 16, filters: [3, 4], dense: 6, classes: 5, activation: 'tanh' }),
};
type Name = keyof typeof makes;

/** What stands in the file under a name. */
const under = (all: Record<string, Tensor>, prefix: string): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => name.startsWith(`${prefix}.`))
      .map(([name, value]) => [name.slice(prefix.length + 1), value]),
  );

/** By how much two state dicts differ. */
const distance = (ours: Record<string, Tensor>, theirs: Record<string, Tensor>): number =>
  Math.max(...Object.entries(theirs).map(([name, value]) => farthest(ours[name]!.data(), value.data())));

const tolerances = { float64: 1e-12, float32: 2e-6 };

for (const name of Object.keys(makes) as Name[]) {
  test(`torch: ${name} takes a state dict and gives the same logits`, (t) =>
    scope(async () => {
      const file = await loadSafetensors(path);
      const model = makes[name]().eval();
      const state = under(file, `${name}.state`);
      t.deepEqual(Object.keys(model.stateDict()).sort(), Object.keys(state).sort(), 'names');
      for (const [key, value] of Object.entries(model.stateDict()))
        t.deepEqual(value.shape, state[key]!.shape, `layout of ${key}`);
      model.loadStateDict(state);
      t.equal(distance(model.stateDict(), state), 0, 'the numbers are there');
      const logits = model.forward(file[`${name}.inputs`]!);
      t.ok(farthest(logits.data(), file[`${name}.logits`]!.data()) < 1e-6, 'logits');
      model.dispose();
    }));
}

for (const { model: name, prefix, optimizer: choice, whole, cosine, rates } of runs) {
  const how = `${name}, ${JSON.stringify(choice)}${whole ? ', all examples at once' : ''}${cosine ? ', cosine' : ''}`;
  test(`torch: ${how}`, (t) =>
    scope(async () => {
      const file = await loadSafetensors(path);
      const [inputs, labels] = [file[`${name}.inputs`]!, file[`${name}.labels`]!];
      const schedule = cosine ? schedules.cosine() : schedules.constant();
      for (const dtype of ['float64', 'float32'] as const) {
        const model = makes[name]();
        model.loadStateDict(under(file, `${name}.state`));
        model.to(dtype);
        const { name: kind, ...settings } = choice;
        const optimizer =
          kind === 'sgd' ? new nn.SGD(model.parameters(), settings) : new nn.Adam(model.parameters(), settings);
        const base = optimizer.rate;
        const losses: number[] = [];
        for (let step = 0; step < steps; step++) {
          scope(() => {
            const [from, to] = whole ? [0, steps * batch] : [step * batch, (step + 1) * batch];
            const x = slice(tensor(inputs.data(), { shape: inputs.shape, dtype }), [from], [to]);
            const { value, grads } = gradients(
              () => nn.crossEntropyLoss(model.forward(x), slice(labels, [from], [to])),
              model.parameters(),
            );
            optimizer.rate = base * schedule(step, steps);
            optimizer.step(grads);
            losses.push(value.item());
            if (Math.abs(optimizer.rate - rates[step]!) > 1e-12) t.fail(`rate ${optimizer.rate} for ${rates[step]}`);
          });
        }
        t.ok(farthest(losses, file[`${prefix}.${dtype}.losses`]!.data()) < tolerances[dtype], `${dtype}: losses`);
        const off = distance(model.stateDict(), under(file, `${prefix}.${dtype}.state`));
        t.ok(off < 10 * tolerances[dtype], `${dtype}: weights (${off})`);
        model.dispose();
        optimizer.dispose();
      }
      if (!whole) return;
      // The same by the training loop, which shuffles: with all examples in one batch only rounding can tell.
      const model = makes[name]();
      model.loadStateDict(under(file, `${name}.state`));
      const data = fromArrays({
        inputs: inputs.data() as Float32Array,
        labels: labels.data() as Int32Array,
        shape: inputs.shape.slice(1),
        classes: 5,
      });
      const losses: number[] = [];
      const options = { epochs: steps, batchSize: steps * batch, optimizer: choice, ...(!cosine && { schedule }) };
      for await (const event of train(model, data, options)) {
        if (event.type !== 'step') continue;
        losses.push(event.loss);
        if (Math.abs(event.rate - rates[event.step - 1]!) > 1e-12) t.fail(`train: rate ${event.rate}`);
      }
      t.ok(farthest(losses, file[`${prefix}.float64.losses`]!.data()) < 2e-6, 'train: losses');
      t.ok(distance(model.stateDict(), under(file, `${prefix}.float64.state`)) < 2e-5, 'train: weights');
      model.dispose();
    }));
}
