import { readFile } from 'node:fs/promises';
import test from 'tape';
import { attacks, nn, norms, range, tensor, type NestedNumbers } from '../../src/index.js';
import { randomDirection, streams } from '../../src/adversary/randomPoints.js';
import { farthest } from '../tensor/numbers.js';
import { inputs } from './networks.js';

// APGD step for step against a PyTorch program written from the paper: after every number of steps the same points.

interface Fixture {
  state: Record<string, NestedNumbers>;
  inputs: number[][];
  labels: number[];
  epsilons: Record<'l2' | 'linf', number>;
  starts: Record<string, number[][]>;
  runs: { attack: 'apgd' | 'apgdT'; norm: 'l2' | 'linf'; steps: number; adversarial: number[][] }[];
}

test('apgd: APGD-CE and APGD-T are those of PyTorch', async (t) => {
  const text = await readFile(new URL('../fixtures/torch-apgd.json', import.meta.url), 'utf8');
  const { state, inputs: x, labels, epsilons, starts, runs } = JSON.parse(text) as Fixture;
  for (const [key, expected] of Object.entries(starts)) {
    const [name, tick] = key.split(' ') as ['l2' | 'linf', string];
    const source = { seed: 0, stream: streams.start, rows: range(x.length), dtype: 'float64' } as const;
    const at = tensor(Number(tick), { dtype: 'int32' });
    const drawn = randomDirection([x.length, 6], norms[name], { ...source, tick: at });
    t.ok(farthest(drawn.data(), expected.flat()) < 1e-12, `the start of ${key}`);
  }
  const model = new nn.Sequential(new nn.Linear(6, 10), new nn.Tanh(), new nn.Linear(10, 5)).to('float64').eval();
  model.loadStateDict(
    Object.fromEntries(Object.entries(state).map(([name, value]) => [name, tensor(value, { dtype: 'float64' })])),
  );
  for (const { attack, norm, steps, adversarial } of runs) {
    const options = { norm, steps, epsilon: epsilons[norm], clip: [0, 1] as [number, number] };
    const found = await attacks[attack](model, inputs(x, 'float64'), labels, options);
    const off = farthest(found.adversarial.data(), adversarial.flat());
    t.ok(off < 1e-9, `${attack}, ${norm}, ${steps} steps: ${off} apart`);
  }
});
