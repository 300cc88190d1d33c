import { readFile } from 'node:fs/promises';
import test from 'tape';
import {
  attacks,
  nn,
  tensor,
  type Attack,
  type DistanceOptions,
  type DistanceResult,
  type NestedNumbers,
  type NormName,
} from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { inputs } from './networks.js';

// DDN and FMN step for step against PyTorch programs written from the papers.

interface Fixture {
  steps: number;
  state: Record<string, NestedNumbers>;
  inputs: number[][];
  labels: number[];
  targets: number[];
  runs: {
    attack: 'ddn' | 'fmn';
    norm: NormName;
    targeted: boolean;
    adversarial: number[][];
    distance: (number | null)[];
  }[];
}

test('distance: DDN and FMN are those of PyTorch', async (t) => {
  const text = await readFile(new URL('../fixtures/torch-distance.json', import.meta.url), 'utf8');
  const { steps, state, inputs: x, labels, targets, runs } = JSON.parse(text) as Fixture;
  const model = new nn.Sequential(new nn.Linear(6, 10), new nn.Tanh(), new nn.Linear(10, 4)).to('float64').eval();
  model.loadStateDict(
    Object.fromEntries(Object.entries(state).map(([name, value]) => [name, tensor(value, { dtype: 'float64' })])),
  );
  for (const { attack, norm, targeted, adversarial, distance } of runs) {
    const run = attacks[attack] as unknown as Attack<DistanceOptions & Record<string, unknown>, DistanceResult>;
    const options = { norm, steps, clip: [0, 1] as [number, number], ...(targeted && { targets }) };
    const result = await run(model, inputs(x, 'float64'), labels, options);
    const what = `${attack}, ${norm}${targeted ? ', targeted' : ''}`;
    const expected = distance.map((each) => each ?? Infinity);
    t.ok(farthest(result.distance.data(), expected) < 1e-7, `${what}: ${result.distance.toArray().toString()}`);
    t.ok(farthest(result.adversarial.data(), adversarial.flat()) < 1e-7, 'the same adversarial inputs');
  }
});
