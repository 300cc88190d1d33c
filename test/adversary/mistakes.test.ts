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
  models,
  mul,
  norm as lengthOf,
  project,
  norms,
  scope,
  sign,
  slice,
  sqrt,
  sub,
  tensor,
  uniform,
  vjp,
  type Region,
  type Target,
  type Tensor,
} from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { faults } from './faults.js';
import { dense, inputs, length, linearNetwork, moves, network, normNames, predictions, rowsOf } from './networks.js';
import { quick } from './quick.js';
import { refused } from './refused.js';

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

test('mistakes: overshoot that compounds from step to step, or is lost to aliasing', async (t) => {
  // The slope falls on the way, so that several steps are taken: the boundary is at x = 1.
  const bent = network((x) => {
    const z = sub(sqrt(x), 1);
    return concat([mul(z, 0), z], { axis: 1 });
  });
  const start = 0.1;
  /** DeepFool, by how each step makes the next perturbation of the last one, as lengthened, the total so far, and its own length. */
  const walk = (next: (last: number, total: number, step: number) => number): number => {
    let [moved, total] = [0, 0];
    while (start + moved <= 1) {
      const root = Math.sqrt(start + moved);
      const step = (1 - root) * 2 * root + 1e-4;
      moved = next(moved, total, step);
      total += step;
    }
    return moved;
  };
  const { distance } = await attacks.deepFool(bent, inputs([[start]], 'float64'), [0]);
  const off = (moved: number): number => Math.abs(distance.item() - moved);
  t.ok(off(walk((_, total, step) => 1.02 * (total + step))) < 1e-9, 'ours lengthens the total');
  t.ok(off(walk((last, _, step) => 1.02 * (last + step))) > 1e-3, 'lengthened again at every step: found');
  t.ok(off(walk((_, total, step) => total + step)) > 1e-5, 'an overshoot of zero: found');
});

test('mistakes: pixels at the walls that never move', async (t) => {
  // Only the pixels that begin at exactly 0 and 1 lead to the other class.
  const model = linearNetwork(
    [
      [0, 0, 0],
      [2, -2, 0],
    ],
    [1, 0],
  );
  const x = inputs([[0, 1, 0.5]]);
  /** By how many of the pixels at the walls move, and whether all numbers are finite. */
  const movedBy = (adversarial: Tensor): { walls: number; finite: boolean } => {
    const [row] = rowsOf(adversarial);
    const [from] = rowsOf(x);
    return {
      walls: row!.slice(0, 2).filter((value, i) => Math.abs(value - from![i]!) > 1e-3).length,
      finite: row!.every(Number.isFinite),
    };
  };
  /** Gradient steps on the variable of tanh, which begins at atanh of the pixels brought inward by a factor. */
  const walk = (inward: number): Tensor => {
    const variables = rowsOf(x)[0]!.map((value) => Math.atanh(inward * (2 * value - 1)));
    const slopes = [2, -2, 0];
    const moved = variables.map((variable, i) => {
      let w = variable;
      for (let step = 0; step < 200; step++) w += 0.1 * Math.sign(slopes[i]! * (1 - Math.tanh(w) ** 2));
      return (Math.tanh(w) + 1) / 2;
    });
    return inputs([moved]);
  };
  const { adversarial } = await attacks.carliniWagner(model, x, [0], { clip: [0, 1], steps: 300, rate: 0.1 });
  t.deepEqual(movedBy(adversarial), { walls: 2, finite: true }, 'ours');
  t.deepEqual(movedBy(walk(0.999999)), { walls: 2, finite: true }, 'a variable that begins inside the walls');
  t.notDeepEqual(movedBy(walk(1)), { walls: 2, finite: true }, 'atanh of the pixels as they are: found');
});

test('mistakes: a success that is measured at another point than is given', async (t) => {
  const model = dense(10, 5, 3, [12]);
  const x = uniform([12, 10], { seed: 4 });
  const y = predictions(model, x);
  const options = { epsilon: 1.2, norm: 'linf' as const };
  const clip: [number, number] = [0, 1];
  const clipped = await attacks.fgsm(model, x, y, { ...options, epsilon: 0.9, clip });
  t.deepEqual(faults(model, x, y, clipped, { ...options, clip }), [], 'ours');
  const free = await attacks.fgsm(model, x, y, options);
  const mixed = { ...free, adversarial: inBox(free.adversarial) };
  t.ok(faults(model, x, y, mixed, { ...options, clip }).length > 0, 'clipped after it was measured: found');
  const late = { ...clipped, adversarial: free.adversarial };
  t.ok(faults(model, x, y, late, { ...options, clip }).length > 0, 'given unclipped: found');
});

test('mistakes: a network that is left in training mode, or measured in it', async (t) => {
  const model = models.mlp({ inputs: 6, hidden: [8], classes: 3, dropout: 0.5, seed: 1 }).eval();
  const x = uniform([4, 6], { seed: 1 });
  const y = predictions(model, x);
  const modes = (): boolean[] => [model.training, ...model.layers.map(({ training }) => training)];
  const leavesIt = async (attack: () => Promise<unknown>): Promise<boolean> => {
    model.eval();
    await attack();
    return !modes().includes(true);
  };
  for (const name of ['pgd', 'apgd', 'fab', 'square'] as const)
    t.ok(await leavesIt(() => attacks[name](model, x, y, { epsilon: 0.1, ...quick[name] })), `${name}: ours`);
  const careless = async (): Promise<unknown> => {
    model.train();
    return attacks.pgd(model.eval(), x, y, { epsilon: 0.1, steps: 2 }).finally(() => model.train());
  };
  t.notOk(await leavesIt(careless), 'left in training mode: found');
  await refused(t, 'and refused', () => attacks.pgd(model, x, y, { epsilon: 0.1 }), 'TRAINING_MODE');
});
