import test from 'tape';
import {
  add,
  adversarialInputs,
  cos,
  datasets,
  div,
  evaluate,
  grad,
  gradients,
  matmul,
  methods,
  models,
  mul,
  nn,
  norm as lengthOf,
  norms,
  oneHot,
  reshape,
  scope,
  sin,
  softmax,
  sub,
  sum,
  tensor,
  uniform,
  vjp,
  type LwaOptions,
  type Method,
  type NormName,
  type Tensor,
} from '../../src/index.js';
import {
  argmaxOf,
  dense,
  length,
  linearNetwork,
  linearized,
  matrix,
  minus,
  normNames,
  numbers,
  oneByOne,
  predictions,
} from '../adversary/networks.js';
import { ascentOf, perClass, shortest, steepest } from '../adversary/reference.js';
import { refused } from '../adversary/refused.js';
import { farthest } from '../tensor/numbers.js';
import { finish } from './trained.js';

/** Numeric derivatives of a function of a list of numbers. */
function slopes(f: (v: number[]) => number, at: readonly number[], step = 1e-5): number[] {
  return at.map((_, i) => {
    const moved = (by: number): number => f(at.map((value, j) => (j === i ? value + by : value)));
    return (moved(step) - moved(-step)) / (2 * step);
  });
}

const real = (values: number[] | number[][]): Tensor => tensor(values, { dtype: 'float64' });

test('proposition 3.1: the gradient of a maximum is that at the maximiser, held fixed', (t) => {
  // f(u, v) = u·Mv + Σ sin v over ‖u‖ <= c has its maximum c ‖Mv‖* + Σ sin v at the u of length c that is steepest for Mv.
  const [M, v, c] = [matrix(5, 4, 1), numbers(4, 2), 0.7];
  const Mv = (at: readonly number[]): number[] =>
    M.map((row) => row.reduce((total, value, i) => total + value * at[i]!, 0));
  for (const name of normNames) {
    const dualOf: Record<NormName, NormName> = { l1: 'linf', l2: 'l2', linf: 'l1' };
    const maximum = (at: number[]): number =>
      c * length[dualOf[name]](Mv(at)) + at.reduce((total, value) => total + Math.sin(value), 0);
    scope(() => {
      const product = (at: Tensor): Tensor => reshape(matmul(real(M), reshape(at, [4, 1])), [5]);
      const best = mul(norms[name].steepest(product(real(v))), c);
      const f = (at: Tensor): Tensor => add(sum(mul(best, product(at))), sum(sin(at)));
      t.ok(Math.abs(f(real(v)).item() - maximum(v)) < 1e-12, `${name}: the maximiser`);
      const held = grad(f)(real(v));
      t.ok(farthest(held.data(), slopes(maximum, v)) < 1e-8, 'its gradient is the numeric one of the maximum');
      const wrong = grad((at: Tensor) => sum(sin(at)))(real(v));
      t.ok(farthest(wrong.data(), slopes(maximum, v)) > 1e-2, 'which the terms without u alone do not give');
      t.ok(farthest(wrong.data(), cos(real(v)).data()) < 1e-12, 'though they are right');
    });
  }
  t.end();
});

test('proposition 3.1: the gradient of LWA is that of the worst loss in the ball', (t) => {
  // For two classes and a linear network the perturbation is the exact maximiser: the loss is log(1 + e^{-margin}), and
  // the smallest margin in the ball is the margin less c times the dual norm of the two rows' difference.
  const epsilon = 0.4;
  const [weight, bias, points, labels] = [matrix(2, 5, 11), numbers(2, 12), matrix(6, 5, 13), [0, 1, 1, 0, 1, 0]];
  const model = linearNetwork(weight, bias, 'float64');
  for (const norm of normNames) {
    const dualNorm = ({ l1: 'linf', l2: 'l2', linf: 'l1' } as const)[norm];
    const worst = (flat: number[]): number => {
      const rows = [flat.slice(0, 5), flat.slice(5, 10)];
      const losses = points.map((x, i) => {
        const y = labels[i]!;
        const logit = (k: number): number => rows[k]!.reduce((total, value, j) => total + value * x[j]!, flat[10 + k]!);
        const margin = logit(y) - logit(1 - y) - epsilon * length[dualNorm](minus(rows[0]!, rows[1]!));
        return Math.log1p(Math.exp(-margin));
      });
      return losses.reduce((total, loss) => total + loss) / losses.length;
    };
    const at = [...weight.flat(), ...bias];
    scope(() => {
      const y = tensor(labels, { dtype: 'int32' });
      // For a right prediction as for a wrong one Adv_Alpha and Adv_Loss are one where there are two classes.
      for (const perturbation of ['loss', 'alpha'] as const) {
        const loss = methods.lwa({ epsilon, norm, perturbation }).prepare({ model, x: real(points), y });
        const { value, grads } = gradients(loss, model.parameters());
        t.ok(Math.abs(value.item() - worst(at)) < 1e-12, `${norm}, ${perturbation}: the worst loss`);
        const ours = grads.flatMap((each) => Array.from(each.data()));
        t.ok(farthest(ours, slopes(worst, at)) < 1e-8, 'and its gradient');
      }
    });
  }
  t.end();
});

test('lwa: the loss and its gradient are those of the perturbed batch, held fixed', (t) => {
  const model = dense(8, 4, 5, [12]).to('float64');
  const points = matrix(10, 8, 3, 0, 1);
  scope(() => {
    const x = real(points);
    const right = predictions(model, x);
    // Every third label is wrong already: Adv_Alpha takes the likelihood's direction there.
    const labels = right.map((label, i) => (i % 3 === 0 ? (label + 1) % 4 : label));
    const y = tensor(labels, { dtype: 'int32' });
    for (const norm of normNames) {
      for (const perturbation of ['loss', 'alpha'] as const) {
        const epsilon = 0.3;
        const moved = oneByOne(x).map((at, i) => {
          const { logits, rows } = linearized(model, at);
          const alpha = perturbation === 'alpha' && argmaxOf(logits) === labels[i];
          const direction = alpha
            ? shortest(perClass(logits, rows, norm)).direction
            : steepest(ascentOf(logits, rows, labels[i]!), norm);
          return points[i]!.map((value, j) => value + epsilon * direction[j]!);
        });
        const fixed = gradients(() => nn.crossEntropyLoss(model.forward(real(moved)), y), model.parameters());
        const ours = gradients(
          methods.lwa({ epsilon, norm, perturbation }).prepare({ model, x, y }),
          model.parameters(),
        );
        t.ok(Math.abs(ours.value.item() - fixed.value.item()) < 1e-10, `${norm}, ${perturbation}: the loss`);
        const off = ours.grads.map((each, i) => farthest(each.data(), fixed.grads[i]!.data()));
        t.ok(Math.max(...off) < 1e-9, `its gradient (${Math.max(...off)})`);
        const clean = gradients(() => nn.crossEntropyLoss(model.forward(x), y), model.parameters());
        t.ok(ours.value.item() > clean.value.item(), 'the loss is higher than the clean one');
      }
    }

    // What differentiating through the perturbation would give.
    const through = gradients(() => {
      const { value, pullback } = vjp((input: Tensor) => model.forward(input), x);
      const u = pullback(sub(softmax(value), oneHot(y, { classes: 4, dtype: 'float64' })));
      const r = div(mul(u, 0.3), lengthOf(u, { axes: [-1], keepDims: true }));
      return nn.crossEntropyLoss(model.forward(add(x, r)), y);
    }, model.parameters());
    const ours = gradients(methods.lwa({ epsilon: 0.3 }).prepare({ model, x, y }), model.parameters());
    t.ok(Math.abs(through.value.item() - ours.value.item()) < 1e-10, 'through the perturbation: the same loss');
    t.ok(
      Math.max(...through.grads.map((each, i) => farthest(each.data(), ours.grads[i]!.data()))) > 1e-3,
      'and another gradient',
    );
  });
  t.end();
});

test('lwa: the adversary attacks the network as it will be used, and the network learns as it trains', (t) => {
  const model = models.mlp({ inputs: 8, hidden: [30], classes: 3, dropout: 0.5, seed: 1 });
  scope(() => {
    const x = uniform([6, 8], { seed: 2 });
    const y = tensor([0, 1, 2, 0, 1, 2], { dtype: 'int32' });
    const modes: boolean[] = [];
    const forward = model.forward.bind(model);
    model.forward = (input) => {
      modes.push(model.training);
      return forward(input);
    };
    model.train();
    methods.lwa({ epsilon: 0.5 }).prepare({ model, x, y })();
    t.deepEqual(modes, [false, true], 'once in evaluation mode for the perturbation, once in training mode');
    const failing = model.layers[0]!;
    failing.forward = () => {
      throw new Error('broken');
    };
    t.throws(() => methods.lwa().prepare({ model, x, y }), /broken/, 'a network that throws');
    t.ok(model.training && model.layers.every(({ training }) => training), 'is in training mode again');
  });
  model.dispose();
  t.end();
});

test('lwa: options', async (t) => {
  t.deepEqual(
    methods.lwa().settings,
    { epsilon: 1.5, norm: 'l2', perturbation: 'loss', steps: 1, randomStart: false },
    'defaults of the paper',
  );
  for (const [options, said] of [
    [{ epsilonn: 1 }, "did you mean 'epsilon'?"],
    [{ epsilon: -1 }, 'lwa: epsilon: expected a length of 0 to 1e+30, received -1'],
    [{ norm: 'l3' }, "lwa: norm: expected one of l1, l2, linf, received 'l3'"],
    [{ perturbation: 'alfa' }, "did you mean 'alpha'?"],
  ] as const) {
    await refused(t, JSON.stringify(options), () => methods.lwa(options as LwaOptions), 'INVALID_ARGUMENT', said);
  }
  const { train: data } = await datasets.sample();
  const model = models.mlp({ hidden: [2], seed: 1 });
  const misspelt = (): Promise<unknown> => finish(model, data, { method: 'lva' as 'lwa' });
  await refused(
    t,
    'a name that is none',
    misspelt,
    'INVALID_ARGUMENT',
    'train: method: expected one of',
    "did you mean 'lwa'?",
  );
});

test('lwa: leaving out classes that cannot win changes nothing, while the weights move', async (t) => {
  const { train: data } = await datasets.sample();
  const epsilon = 0.6;
  const allClasses: Method = {
    name: 'allClasses',
    settings: {},
    prepare: ({ model, x, y }) => {
      const adversarial = adversarialInputs(model, x, y, { epsilon, direction: 'alpha' });
      return () => nn.crossEntropyLoss(model.forward(adversarial), y);
    },
  };
  const networks = {
    mlp: () => models.mlp({ hidden: [24, 20], dropout: 0.1, seed: 1 }),
    lenet: () => models.lenet({ filters: [3, 4], dense: 16, seed: 1 }),
  };
  for (const [name, fresh] of Object.entries(networks)) {
    const [ours, theirs] = [fresh(), fresh()];
    // Fast enough that the bounds are computed again and again, and in between hold for weights that have moved.
    const options = { epochs: 3, batchSize: 25, seed: 3, optimizer: { name: 'sgd', rate: 0.1 } } as const;
    const first = ours.stateDict();
    const before = scope(() =>
      Object.fromEntries(Object.entries(first).map(([key, value]) => [key, [...value.data()]])),
    );
    await finish(ours, data, { ...options, method: methods.lwa({ epsilon, perturbation: 'alpha' }) });
    await finish(theirs, data, { ...options, method: allClasses });
    const [a, b] = [ours.stateDict(), theirs.stateDict()];
    for (const [key, value] of Object.entries(a)) {
      const apart = farthest([...value.data()] as number[], [...b[key]!.data()] as number[]);
      const moved = farthest([...value.data()] as number[], before[key]!);
      t.ok(moved > 0.001, `${name}, ${key}: learned, by ${moved}`);
      t.ok(apart <= 1e-5, `${name}, ${key}: the same but for ${apart}`);
    }
    ours.dispose();
    theirs.dispose();
  }
});

test('lwa: both perturbations train, in every norm, and make the network withstand more', async (t) => {
  const { train: data, test: held } = await datasets.sample();
  const epsilons: Record<NormName, number> = { l1: 2, l2: 0.6, linf: 0.025 };
  const trained = async (method: ReturnType<typeof methods.normal>): Promise<nn.Sequential> => {
    const model = models.mlp({ hidden: [24], seed: 1 });
    await finish(model, data, { method, epochs: 20, batchSize: 25, optimizer: { name: 'adam', rate: 0.004 }, seed: 3 });
    return model;
  };
  const normal = await trained(methods.normal());
  for (const norm of normNames) {
    const epsilon = epsilons[norm];
    const options = { attacks: ['advAlpha' as const, 'advLoss' as const], epsilons: [epsilon], norm };
    const before = (await evaluate(normal, held, options)).worst[0]!.accuracy.mean;
    for (const perturbation of ['loss', 'alpha'] as const) {
      const model = await trained(methods.lwa({ epsilon, norm, perturbation }));
      const { clean, worst } = await evaluate(model, held, options);
      t.ok(clean.mean > 0.7, `${norm}, ${perturbation}: clean ${clean.mean}`);
      t.ok(worst[0]!.accuracy.mean > before, `withstands ${worst[0]!.accuracy.mean}, Normal ${before}`);
      t.notOk(model.training, 'and is in evaluation mode');
      model.dispose();
    }
  }
  normal.dispose();
});
