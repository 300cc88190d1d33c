import test from 'tape';
import {
  add,
  attacks,
  clamp,
  concat,
  crossEntropy,
  crossEntropyGrad,
  div,
  mean,
  minimum,
  mul,
  norm as lengthOf,
  project,
  norms,
  scope,
  sign,
  slice,
  sub,
  tensor,
  uniform,
  vjp,
  type Region,
  type Target,
  type Tensor,
} from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { dense, inputs, length, moves, normNames, predictions, rowsOf } from './networks.js';

// Mistakes that well-known libraries have made. Each check is held against the mistake too, which it must find.

type Projection = (x: Tensor, rows: Tensor, region: Region) => Tensor;

const inBox = (x: Tensor): Tensor => clamp(x, { low: 0, high: 1 });
const sized = (rows: Tensor): Tensor => lengthOf(rows, { axes: [-1], keepDims: true });

/** What is wrong with a projection onto the ball of length .5 and the box, told apart. */
function faultsOf(projection: Projection, norm: (typeof normNames)[number]): string[] {
  const epsilon = 0.5;
  const region: Region = { norm: norms[norm], epsilon, clip: [0, 1] };
  // In the middle with a short step, at a wall with one that leads out, and with steps that are too long.
  const x = [
    [0.5, 0.5, 0.5, 0.5],
    [0, 1, 0.5, 0.5],
    [0.5, 0.5, 0.5, 0.5],
    [0.1, 0.9, 0.2, 0.6],
  ];
  const steps = [
    [0.02, -0.01, 0, 0.03],
    [-0.1, 0.1, 0.01, 0],
    [3, -2, 1, 0],
    [-2, 3, -1, 2],
  ];
  return scope(() => {
    const [from, to] = [inputs(x, 'float64'), projection(inputs(x, 'float64'), inputs(steps, 'float64'), region)];
    const moved = moves(from, to);
    const outside = rowsOf(to).some((row) => row.some((value) => value < 0 || value > 1));
    const tooLong = moved.some((move) => length[norm](move) > epsilon);
    const changed = farthest(moved[0]!, steps[0]!) > 1e-12;
    const tooShort = Math.abs(length[norm](moved[2]!) - epsilon) > 1e-9;
    return Object.entries({ outside, tooLong, changed, tooShort })
      .filter(([, isTrue]) => isTrue)
      .map(([fault]) => fault);
  });
}

test('mistakes: projections that rescale what is inside, or forget the box or the ball', (t) => {
  for (const norm of normNames) t.deepEqual(faultsOf(project, norm), [], `${norm}: ours`);
  const onSphere = (rows: Tensor, { epsilon }: Region): Tensor => mul(div(rows, sized(rows)), epsilon);
  const mistaken: Record<string, [projection: Projection, faults: string[]]> = {
    'rescaled to the sphere, always': [(x, rows, region) => inBox(add(x, onSphere(rows, region))), ['changed']],
    'no clip at the end': [
      (x, rows, { epsilon }) => add(x, mul(rows, minimum(div(epsilon, sized(rows)), 1))),
      ['outside'],
    ],
    'the clip before the rescaling only': [
      (x, rows, region) => add(x, onSphere(sub(inBox(add(x, rows)), x), region)),
      ['outside', 'changed'],
    ],
    'no ball': [(x, rows) => inBox(add(x, rows)), ['tooLong', 'tooShort']],
  };
  for (const [what, [projection, faults]] of Object.entries(mistaken)) {
    const found = faultsOf(projection, 'l2');
    t.deepEqual(
      faults.filter((fault) => !found.includes(fault)),
      [],
      `${what}: found (${found.join()})`,
    );
  }
  t.end();
});

interface Asked {
  epsilon: number;
  clip: [number, number];
  batchSize?: number;
  rows?: Int32Array;
}
type Attacked = (model: Target, x: Tensor, y: number[], options: Asked) => Promise<{ adversarial: Tensor }>;

/** How far results are from those in batches of five, and from those of each input alone under its number. */
async function offInOtherCompany(attack: Attacked): Promise<number> {
  const model = dense(10, 5, 3, [12]);
  const x = uniform([12, 10], { seed: 4 });
  const y = predictions(model, x);
  const options: Asked = { epsilon: 0.12, clip: [0, 1] };
  const whole = await attack(model, x, y, options);
  const parts = await attack(model, x, y, { ...options, batchSize: 5 });
  const seventh = slice(x, [7], [8]);
  const alone = await attack(model, seventh, [y[7]!], { ...options, rows: Int32Array.of(7) });
  return Math.max(
    farthest(parts.adversarial.data(), whole.adversarial.data()),
    farthest(alone.adversarial.data(), slice(whole.adversarial, [7], [8]).data()),
  );
}

/** An attack that looks at its batch as one. */
const byBatches =
  (step: (model: Target, x: Tensor, y: Tensor, at: Tensor, size: number) => { at: Tensor; size: number }): Attacked =>
  (model, x, y, { epsilon, batchSize = y.length }) =>
    Promise.resolve({
      adversarial: concat(
        Array.from({ length: Math.ceil(y.length / batchSize) }, (_, part) => {
          const [start, stop] = [part * batchSize, Math.min(y.length, (part + 1) * batchSize)];
          const from = slice(x, [start], [stop]);
          const labels = tensor(Int32Array.from(y.slice(start, stop)));
          let state = { at: from, size: epsilon };
          for (let round = 0; round < 12; round++) state = step(model, from, labels, state.at, state.size);
          return state.at;
        }),
      ),
    });

const gradientAt = (model: Target, at: Tensor, y: Tensor): Tensor => {
  const { value, pullback } = vjp((input: Tensor) => model.forward(input), at);
  return pullback(crossEntropyGrad(value, y));
};

test('mistakes: decisions and gradients of a batch where they are of an input', async (t) => {
  const region: Region = { norm: norms.linf, epsilon: 0.12, clip: [0, 1] };
  const onto = (x: Tensor, to: Tensor): Tensor => project(x, sub(to, x), region);
  const loss = (model: Target, at: Tensor, y: Tensor): number => mean(crossEntropy(model.forward(at), y)).item();
  const halvedTogether = byBatches((model, x, y, at, size) => {
    const next = onto(x, add(at, mul(sign(gradientAt(model, at, y)), size)));
    return loss(model, next, y) > loss(model, at, y) ? { at: next, size } : { at, size: size / 2 };
  });
  const dividedByBatch = byBatches((model, x, y, at, size) => ({
    at: onto(x, add(at, mul(gradientAt(model, at, y), 1 / y.size))),
    size,
  }));
  for (const [what, mistaken] of Object.entries({ halvedTogether, dividedByBatch }))
    t.ok((await offInOtherCompany(mistaken)) > 1e-3, `${what}: found`);
  for (const name of ['pgd', 'momentum', 'apgd', 'apgdT', 'fab', 'square', 'autoAttack'] as const) {
    for (const norm of ['l2', 'linf'] as const) {
      const few = {
        ...(name === 'square' ? {} : { steps: 23 }),
        ...(name === 'square' || name === 'autoAttack' ? { queries: 30 } : {}),
      };
      const attack = attacks[name] as unknown as Attacked;
      const off = await offInOtherCompany((model, x, y, options) =>
        attack(model, x, y, { ...options, ...few, norm } as Asked),
      );
      t.ok(off < 1e-5, `${name}, ${norm}: ${off} apart`);
    }
  }
});
