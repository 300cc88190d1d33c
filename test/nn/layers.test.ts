import test from 'tape';
import {
  abs,
  full,
  less,
  mean,
  memory,
  models,
  mul,
  nn,
  planned,
  schedules,
  scope,
  square,
  sub,
  tensor,
  uniform,
  vjp,
  where,
  zeros,
  type Tensor,
} from '../../src/index.js';
import { refused } from '../adversary/refused.js';
import { identical } from '../tensor/numbers.js';

test('layers: shapes', (t) => {
  scope(() => {
    const shapes: [string, nn.Module, number[], number[]][] = [
      ['Linear', new nn.Linear(3, 5), [2, 3], [2, 5]],
      ['Linear on more axes', new nn.Linear(3, 5), [2, 7, 4, 3], [2, 7, 4, 5]],
      ['Linear without bias', new nn.Linear(3, 1, { bias: false }), [1, 3], [1, 1]],
      ['Conv2d', new nn.Conv2d(2, 4, { kernel: 3 }), [2, 2, 7, 9], [2, 4, 5, 7]],
      [
        'Conv2d with all its options',
        new nn.Conv2d(4, 6, { kernel: [3, 1], stride: [2, 1], padding: [1, 2], dilation: [2, 1], groups: 2 }),
        [1, 4, 9, 5],
        [1, 6, 4, 9],
      ],
      ['MaxPool2d', new nn.MaxPool2d({ kernel: 2 }), [2, 3, 7, 6], [2, 3, 3, 3]],
      ['AvgPool2d', new nn.AvgPool2d({ kernel: 3, stride: 1, padding: 1 }), [2, 3, 7, 6], [2, 3, 7, 6]],
      ['ReLU', new nn.ReLU(), [2, 3], [2, 3]],
      ['Tanh', new nn.Tanh(), [2, 3], [2, 3]],
      ['Dropout', new nn.Dropout(), [2, 3], [2, 3]],
      ['Flatten', new nn.Flatten(), [2, 3, 4, 5], [2, 60]],
      ['Normalize', new nn.Normalize({ mean: [0.5], std: [0.5] }), [2, 3, 4, 5], [2, 3, 4, 5]],
      ['Sequential of nothing', new nn.Sequential(), [2, 3], [2, 3]],
      ['mlp', models.mlp({ inputs: 12, hidden: [4], classes: 3 }), [5, 3, 2, 2], [5, 3]],
      ['mlp without hidden layers', models.mlp({ inputs: 12, hidden: [], classes: 3 }), [5, 12], [5, 3]],
      ['lenet', models.lenet({ dense: 20 }), [2, 1, 28, 28], [2, 10]],
      [
        'lenet for other images',
        models.lenet({ channels: 3, height: 20, width: 33, dense: 20, classes: 4 }),
        [2, 3, 20, 33],
        [2, 4],
      ],
    ];
    for (const [what, layer, from, to] of shapes)
      t.deepEqual(layer.forward(uniform(from, { seed: 1 })).shape, to, what);
    t.deepEqual(
      new nn.Conv2d(4, 6, { kernel: [3, 1], groups: 2 }).weight.shape,
      [6, 2, 3, 1],
      'the weight of a grouped convolution',
    );
    t.deepEqual(Object.keys(new nn.Linear(3, 1, { bias: false }).stateDict()), ['weight'], 'no bias, no name');
  });
  t.end();
});

test('Normalize: each channel by its own numbers, and the gradient with them', (t) => {
  scope(() => {
    const two = new nn.Normalize({ mean: [1, 2], std: [2, 4] });
    const one = new nn.Normalize({ mean: [1], std: [2] });
    const x = tensor([
      [
        [1, 3],
        [2, 6],
      ],
    ]);
    t.deepEqual(two.forward(x).toArray(), [
      [
        [0, 1],
        [0, 1],
      ],
    ]);
    t.deepEqual(one.forward(tensor([[3], [5]], { dtype: 'float64' })).toArray(), [[1], [2]], 'one for all, in float64');
    t.deepEqual(Object.keys(two.stateDict()), [], 'nothing learns');
    const { pullback } = vjp((input: Tensor) => two.forward(input), x);
    t.deepEqual(pullback(full([1, 2, 2], 1)).toArray(), [
      [
        [0.5, 0.5],
        [0.25, 0.25],
      ],
    ]);
    const step = planned((input: Tensor) => [two.forward(input)]);
    for (const scale of [1, 3]) {
      const input = mul(x, scale);
      t.deepEqual(step.sync(input)[0]!.toArray(), two.forward(input).toArray(), 'in a plan');
    }
    step.dispose();
    const net = models
      .cifarNet({ channels: [2, 3], dense: [4], normalize: { mean: [0.5], std: [0.5] }, seed: 1 })
      .eval();
    const plain = models.cifarNet({ channels: [2, 3], dense: [4], seed: 1 }).eval();
    const image = uniform([1, 3, 32, 32], { seed: 1 });
    t.deepEqual(net.forward(image).toArray(), plain.forward(mul(sub(image, 0.5), 2)).toArray(), 'cifarNet with it');
  });
  t.end();
});

test('layers: what they refuse', async (t) => {
  await refused(
    t,
    'Linear of no outputs',
    () => new nn.Linear(3, 0),
    'INVALID_ARGUMENT',
    'Linear: outputs: expected a whole number of at least 1, received 0',
  );
  const misspelt: [() => unknown, string, string][] = [
    [() => new nn.Linear(2, 2, { sead: 1 } as object), 'Linear', 'seed'],
    [() => new nn.Conv2d(1, 1, { kernel: 3, paddin: 1 } as { kernel: number }), 'Conv2d', 'padding'],
    [() => new nn.Conv2d(1, 1, { kernal: 3 } as unknown as { kernel: number }), 'Conv2d', 'kernel'],
    [() => new nn.MaxPool2d({ kernel: 2, strid: 2 } as { kernel: number }), 'MaxPool2d', 'stride'],
    [() => new nn.AvgPool2d({ kernel: 2, Padding: 2 } as { kernel: number }), 'AvgPool2d', 'padding'],
    [() => new nn.Dropout({ rat: 0.1 } as object), 'Dropout', 'rate'],
    [() => new nn.Normalize({ mean: [0], sdt: [1] } as never), 'Normalize', 'std'],
    [() => schedules.cosine({ finl: 0.1 } as object), 'schedules.cosine', 'final'],
    [() => schedules.steps({ at: [], facter: 0.1 } as { at: number[] }), 'schedules.steps', 'factor'],
  ];
  for (const [call, name, meant] of misspelt) {
    const said = `(did you mean '${meant}'?)`;
    await refused(t, `${name}: a misspelt option`, call, 'INVALID_ARGUMENT', `${name}: unknown option`, said);
  }
  const impossible: [() => unknown, string][] = [
    [() => new nn.Linear(2, 2, { seed: 1.5 }), 'Linear: seed: expected a whole number of at least 0, received 1.5'],
    [() => new nn.Linear(2, 2, { bias: 1 } as object), 'Linear: bias: expected boolean, received 1'],
    [() => new nn.Linear(2, 2, { initializer: { normal: -1 } }), 'Linear: initializer.normal: expected at least 0'],
    [() => new nn.Conv2d(1, 1, { kernel: '3' } as never), 'Conv2d: kernel: expected'],
    [() => new nn.MaxPool2d({} as never), 'MaxPool2d: kernel: expected'],
    [() => new nn.Normalize({ mean: [NaN], std: [1] }), 'Normalize: mean.0: expected number, received NaN'],
    [() => new nn.Normalize({ mean: [], std: [1] }), 'Normalize: mean: expected'],
    [() => models.cifarNet({ normalize: { mean: [0] } as never }), 'cifarNet: normalize'],
    [() => models.cifarNet({ normalize: true as never }), 'cifarNet: normalize: expected'],
    [() => models.cifarNet({ normalize: null as never }), 'cifarNet: normalize: expected'],
    [() => schedules.cosine({ final: NaN }), 'schedules.cosine: final: expected number, received NaN'],
    [() => schedules.steps({ at: [1.5] }), 'schedules.steps: at.0: expected at most 1, received 1.5'],
  ];
  for (const [call, said] of impossible) await refused(t, said, call, 'INVALID_ARGUMENT', said);
  await refused(
    t,
    'Linear of half an input',
    () => new nn.Linear(2.5, 1),
    'INVALID_ARGUMENT',
    'Linear: inputs',
    'received 2.5',
  );
  await refused(
    t,
    'Normalize of no deviation',
    () => new nn.Normalize({ mean: [0], std: [1, 0] }),
    'OUT_OF_RANGE',
    'Normalize: expected positive standard deviations, received 0',
  );
  await refused(
    t,
    'Normalize by what float32 has no inverse of',
    () => new nn.Normalize({ mean: [0], std: [1e-45] }),
    'OUT_OF_RANGE',
    'received 1e-45',
  );
  await refused(
    t,
    'Normalize of three channels and two',
    () => new nn.Normalize({ mean: [0, 0, 0], std: [1, 1] }),
    'SHAPE_MISMATCH',
    'as many standard deviations as means, received 2 and 3',
  );
  await refused(
    t,
    'cifarNet normalised for other channels',
    () => models.cifarNet({ normalize: { mean: [0, 0], std: [1] } }),
    'SHAPE_MISMATCH',
    'cifarNet: normalize: expected numbers of 3 channels or of all, received 2',
  );
  await refused(
    t,
    'Normalize of other channels',
    () => new nn.Normalize({ mean: [0, 0, 0], std: [1, 1, 1] }).forward(uniform([2, 1, 4, 4], { seed: 1 })),
    'SHAPE_MISMATCH',
    'Normalize: expected inputs of 3 channels, received shape [2,1,4,4]',
  );
  await refused(
    t,
    'Conv2d of uneven groups',
    () => new nn.Conv2d(3, 4, { kernel: 3, groups: 2 }),
    'INVALID_ARGUMENT',
    'divisible by 2 groups, received 3 and 4',
  );
  await refused(
    t,
    'Conv2d without a kernel',
    () => new nn.Conv2d(3, 4, { kernel: 0 }),
    'INVALID_ARGUMENT',
    'Conv2d: kernel',
    'received 0',
  );
  for (const rate of [1, -0.1, NaN])
    await refused(
      t,
      `Dropout of ${rate}`,
      () => new nn.Dropout({ rate }),
      'OUT_OF_RANGE',
      `Dropout: expected 0 <= rate < 1, received ${rate}`,
    );
  await refused(
    t,
    'an unknown initializer',
    () => new nn.Linear(2, 2, { initializer: 'heNormale' as 'heNormal' }),
    'INVALID_ARGUMENT',
    'initializer',
    "did you mean 'heNormal'?",
  );
  await refused(
    t,
    'Linear on another width',
    () => new nn.Linear(3, 2).forward(zeros([1, 4])),
    'SHAPE_MISMATCH',
    'linear: weight expects 3 inputs, received 4',
  );
  await refused(
    t,
    'Conv2d on other channels',
    () => new nn.Conv2d(3, 2, { kernel: 3 }).forward(zeros([1, 4, 8, 8])),
    'SHAPE_MISMATCH',
    'conv2d: weight',
    '[1,4,8,8]',
    '[2,3,3,3]',
  );
  await refused(
    t,
    'a network of float32 on float64',
    () => new nn.Linear(3, 2).forward(zeros([1, 3], { dtype: 'float64' })),
    'DTYPE_MISMATCH',
    'linear',
    'float32',
    'float64',
  );
  await refused(
    t,
    'a misspelt option',
    () => models.mlp({ hiden: [3] } as object),
    'INVALID_ARGUMENT',
    'mlp: unknown option',
    "did you mean 'hidden'?",
  );
  await refused(t, 'a hidden layer of nothing', () => models.mlp({ hidden: [0] }), 'INVALID_ARGUMENT', 'mlp: hidden.0');
  await refused(
    t,
    'an unknown activation',
    () => models.lenet({ activation: 'relo' as 'relu' }),
    'INVALID_ARGUMENT',
    "lenet: activation: expected one of relu, tanh, received 'relo'",
    "did you mean 'relu'?",
  );
  await refused(
    t,
    'images that are too small',
    () => models.lenet({ height: 15 }),
    'INVALID_ARGUMENT',
    'lenet: expected images of at least 16x16, received 15x28',
  );
  await refused(
    t,
    'images of another size',
    () => models.mlp({ inputs: 10, hidden: [], classes: 2 }).forward(zeros([2, 1, 3, 3])),
    'SHAPE_MISMATCH',
    'mlp: expected inputs [B, ...] of 10 numbers each, received shape [2,1,3,3]',
  );
});

test('layers: dropout', (t) => {
  scope(() => {
    const layer = new nn.Dropout({ rate: 0.25 });
    const x = uniform([40, 50], { seed: 1, low: 1, high: 2 });
    const [out, given] = [layer.forward(x).data(), x.data()];
    const kept = out.filter((value) => value !== 0).length / out.length;
    t.ok(Math.abs(kept - 0.75) < 0.04, `keeps ${kept}`);
    t.ok(
      out.every((value, i) => value === 0 || Math.abs(value - given[i]! / 0.75) < 1e-6),
      'and scales what it keeps',
    );
    t.notOk(identical(layer.forward(x), layer.forward(x)), 'each use draws anew');
    t.ok(identical(layer.eval().forward(x), x), 'in evaluation mode it does nothing');
    t.ok(identical(new nn.Dropout({ rate: 0 }).forward(x), x), 'nor at rate 0');
    t.deepEqual(Object.keys(layer.stateDict()), [], 'it has no parameters');
    t.deepEqual(
      Object.keys(models.lenet({ dropout: 0.5, dense: 5 }).stateDict()).at(-1),
      '10.bias',
      'and takes a place in names',
    );
  });
  t.end();
});

test('layers: how weights start', (t) => {
  const [inputs, outputs] = [40, 60];
  const spreads: [nn.Initializer, { most?: number; deviation: number }][] = [
    ['default', { most: 1 / Math.sqrt(inputs), deviation: 1 / Math.sqrt(3 * inputs) }],
    ['xavierUniform', { most: Math.sqrt(6 / 100), deviation: Math.sqrt(2 / 100) }],
    ['xavierNormal', { deviation: Math.sqrt(2 / 100) }],
    ['heUniform', { most: Math.sqrt(6 / inputs), deviation: Math.sqrt(2 / inputs) }],
    ['heNormal', { deviation: Math.sqrt(2 / inputs) }],
    [{ uniform: 0.3 }, { most: 0.3, deviation: 0.3 / Math.sqrt(3) }],
    [{ normal: 0.01 }, { deviation: 0.01 }],
  ];
  scope(() => {
    for (const [initializer, { most, deviation }] of spreads) {
      const layers: [string, Tensor, Tensor][] = [
        [
          'Linear',
          new nn.Linear(inputs, outputs, { initializer, seed: 1 }).weight,
          new nn.Linear(inputs, outputs, { initializer, seed: 1 }).bias!,
        ],
        [
          'Conv2d',
          new nn.Conv2d(10, 15, { kernel: 2, initializer, seed: 1 }).weight,
          new nn.Conv2d(10, 15, { kernel: 2, initializer, seed: 1 }).bias!,
        ],
      ];
      for (const [kind, weight, bias] of layers) {
        const found = Math.sqrt(mean(square(weight)).item());
        const rows = weight.size;
        t.ok(
          Math.abs(found / deviation - 1) < 3 / Math.sqrt(rows),
          `${kind}, ${JSON.stringify(initializer)}: deviation ${found} for ${deviation}`,
        );
        if (most !== undefined)
          t.ok(
            weight.data().every((value) => Math.abs(value) <= most * (1 + 1e-6)),
            'within its bounds',
          );
        const largest = Math.max(...Array.from(bias.data(), Math.abs));
        if (initializer === 'default') t.ok(largest > 0 && largest <= most!, 'biases as weights');
        else t.equal(largest, 0, 'biases at 0');
      }
    }
  });
  t.end();
});

test('layers: parameters made in a scope outlive it', (t) => {
  const before = memory().tensors;
  let model: nn.Module | undefined;
  scope(() => {
    model = new nn.Sequential(new nn.Linear(2, 2), new nn.Conv2d(1, 1, { kernel: 1 }));
    void tensor([1]);
  });
  t.ok(
    model!.parameters().every((value) => !value.disposed),
    'they live',
  );
  t.equal(memory().tensors - before, 4, 'and nothing else');
  model!.dispose();
  t.equal(memory().tensors, before, 'until they are disposed');
  const outside = new nn.Linear(2, 2);
  t.equal(memory().tensors - before, 2, 'a layer made outside a scope is its parameters, too');
  outside.dispose();
  t.end();
});

test('layers: a max pool after ReLU gives what the layers give one by one', (t) => {
  scope(() => {
    /** Falls where its input rises, for all that it is derived from one that does not. */
    class Mirrored extends nn.ReLU {
      override forward(x: Tensor): Tensor {
        return mul(super.forward(x), -1);
      }
    }
    const pool = new nn.MaxPool2d({ kernel: 2 });
    const overlapping = new nn.MaxPool2d({ kernel: 3, stride: 2, padding: 1 });
    const networks: [string, nn.Module[], number][] = [
      ['ReLU', [new nn.ReLU(), pool], 0],
      ['windows that overlap', [new nn.ReLU(), overlapping], 4e-16],
      ['pools after one another', [new nn.Tanh(), new nn.ReLU(), pool, overlapping, new nn.ReLU()], 4e-16],
      ['tanh', [new nn.Tanh(), overlapping], 0],
      ['an activation that falls', [new Mirrored(), pool], 0],
    ];
    const drawn = uniform([2, 3, 9, 8], { low: -2, high: 2, dtype: 'float64', seed: 3 });
    // Windows where all are negative, where one is 0, and one that is not a number.
    const x = where(less(drawn, -1.9), NaN, where(less(abs(drawn), 0.2), 0, drawn));
    for (const [what, layers, tolerance] of networks) {
      const whole = vjp((input: Tensor) => new nn.Sequential(...layers).forward(input), x);
      const parts = vjp((input: Tensor) => layers.reduce((value, layer) => layer.forward(value), input), x);
      t.deepEqual(whole.value.toArray(), parts.value.toArray(), `${what}: outputs`);
      const cotangent = uniform(whole.value.shape, { dtype: 'float64', seed: 4 });
      const [gradient, expected] = [whole.pullback(cotangent).data(), parts.pullback(cotangent).data()];
      const apart = gradient.map((value, place) => (Object.is(value, expected[place]) ? 0 : value - expected[place]!));
      t.ok(Math.max(...apart.map(Math.abs)) <= tolerance, `${what}: gradients`);
    }
  });
  t.end();
});
