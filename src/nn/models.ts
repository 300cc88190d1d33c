/** The networks of the paper's experiments. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { parseOptions, wholeFrom } from '../options.js';
import { Conv2d, Dropout, Flatten, Linear, MaxPool2d, Normalize, ReLU, Sequential, Tanh } from './layers.js';
import { initialEntries } from './initializers.js';
import { Mlp } from './mlp.js';
import type { Module } from './module.js';

const count = wholeFrom(1);
const shared = {
  classes: v.optional(count, 10),
  activation: v.optional(v.picklist(['relu', 'tanh']), 'relu'),
  dropout: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(0.999)), 0),
  initializer: initialEntries.initializer,
  seed: v.optional(wholeFrom(0), 0),
};

const activations = { relu: () => new ReLU(), tanh: () => new Tanh() };
const dropouts = (rate: number): Module[] => (rate > 0 ? [new Dropout({ rate })] : []);

const mlpOptions = v.strictObject({
  inputs: v.optional(count, 784),
  hidden: v.optional(v.array(count), [1000, 1000]),
  ...shared,
});

/** What {@link mlp} is made of. */
export type MlpOptions = v.InferInput<typeof mlpOptions>;

/**
 * A network of dense layers, by default the paper's 784-1000-1000-10 with ReLU. Inputs [B, ...] of `inputs` numbers
 * each. Dropout, where asked for, follows every hidden layer. Parameters are named `0.weight`, `0.bias`, `2.weight`, ...
 * as those of the same PyTorch Sequential.
 *
 * @example
 * ```ts
 * import { models, zeros } from 'sparring';
 *
 * const model = models.mlp({ inputs: 784, hidden: [100], classes: 10, seed: 1 });
 * console.log(model.forward(zeros([2, 1, 28, 28])).shape); // [2, 10]
 * ```
 */
export function mlp(options: MlpOptions = {}): Sequential {
  const { inputs, hidden, classes, activation, dropout, initializer, seed } = parseOptions(mlpOptions, options, 'mlp');
  const widths = [inputs, ...hidden];
  const layers = hidden.flatMap((width, index) => [
    new Linear(widths[index]!, width, { initializer, seed, stream: index }),
    activations[activation](),
    ...dropouts(dropout),
  ]);
  const last = new Linear(widths.at(-1)!, classes, { initializer, seed, stream: hidden.length });
  return new Mlp(inputs, ...layers, last);
}

const lenetOptions = v.strictObject({
  channels: v.optional(count, 1),
  height: v.optional(count, 28),
  width: v.optional(count, 28),
  filters: v.optional(v.tuple([count, count]), [20, 50]),
  dense: v.optional(count, 500),
  ...shared,
});

/** What {@link lenet} is made of. */
export type LenetOptions = v.InferInput<typeof lenetOptions>;

/**
 * LeNet: convolution of 20 filters 5x5, pooling, 50 filters 5x5, pooling, dense 500, dense 10; dropout, where asked for,
 * after the dense hidden layer. Inputs [B, channels, height, width]. Parameters are named `0.weight`, `3.weight`,
 * `7.weight`, `9.weight` (with dropout `10.weight`) as those of the same PyTorch Sequential.
 *
 * @example
 * ```ts
 * import { models, zeros } from 'sparring';
 *
 * const model = models.lenet({ activation: 'tanh', dense: 100, seed: 1 });
 * console.log(model.forward(zeros([2, 1, 28, 28])).shape); // [2, 10]
 * ```
 */
export function lenet(options: LenetOptions = {}): Sequential {
  const { channels, height, width, filters, dense, classes, activation, dropout, initializer, seed } = parseOptions(
    lenetOptions,
    options,
    'lenet',
  );
  const pooled = (length: number): number => Math.floor((Math.floor((length - 4) / 2) - 4) / 2);
  if (pooled(height) < 1 || pooled(width) < 1) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `lenet: expected images of at least 16x16, received ${height}x${width}`,
    );
  }
  const initial = (stream: number): { initializer: typeof initializer; seed: number; stream: number } => ({
    initializer,
    seed,
    stream,
  });
  return new Sequential(
    new Conv2d(channels, filters[0], { kernel: 5, ...initial(0) }),
    activations[activation](),
    new MaxPool2d({ kernel: 2 }),
    new Conv2d(filters[0], filters[1], { kernel: 5, ...initial(1) }),
    activations[activation](),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear(filters[1] * pooled(height) * pooled(width), dense, initial(2)),
    activations[activation](),
    ...dropouts(dropout),
    new Linear(dense, classes, initial(3)),
  );
}

const cifarNetOptions = v.strictObject({
  shape: v.optional(v.tuple([count, count, count]), [3, 32, 32]),
  channels: v.optional(v.tuple([count, count]), [64, 128]),
  dense: v.optional(v.array(count), [2048, 2048]),
  normalize: v.exactOptional(v.strictObject({ mean: v.array(v.number()), std: v.array(v.number()) })),
  ...shared,
  dropout: v.optional(shared.dropout.wrapped, 0.5),
  initializer: v.optional(shared.initializer.wrapped, 'heNormal'),
});

/** What {@link cifarNet} is made of. */
export type CifarNetOptions = v.InferInput<typeof cifarNetOptions>;

/**
 * The paper's authors' network for CIFAR-10: three convolutions 3x3 and pooling 3x3 at stride 2, twice, of 64 and then
 * 128 channels; dense layers of 2048, 2048 and 10, with dropout of .5 after the hidden ones. Inputs [B, channels, height,
 * width] of the given `shape`. Parameters are named as those of the same PyTorch Sequential. With `normalize` a
 * {@link Normalize} comes first; the authors' own inputs went from -1 to 1, which is a mean and a standard deviation of .5.
 * The `initializer` is `heNormal` by default: through so many layers, PyTorch's lets the signal fade before it can learn.
 *
 * @example
 * ```ts
 * import { models, zeros } from 'sparring';
 *
 * const model = models.cifarNet({ channels: [4, 8], dense: [16], seed: 1 });
 * console.log(model.forward(zeros([2, 3, 32, 32])).shape); // [2, 10]
 * ```
 */
export function cifarNet(options: CifarNetOptions = {}): Sequential {
  const { shape, channels, dense, normalize, classes, activation, dropout, initializer, seed } = parseOptions(
    cifarNetOptions,
    options,
    'cifarNet',
  );
  const [colours, height, width] = shape;
  const pooled = (length: number): number => Math.floor((Math.floor((length - 3) / 2 + 1) - 3) / 2 + 1);
  if (pooled(height) < 1 || pooled(width) < 1) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `cifarNet: expected images of at least 7x7, received ${height}x${width}`,
    );
  }
  const first = normalize === undefined ? [] : [new Normalize(normalize)];
  const numbers = Math.max(...first.flatMap(({ mean, std }) => [mean.length, std.length]), 1);
  if (numbers !== 1 && numbers !== colours)
    throw new SparringError(
      'SHAPE_MISMATCH',
      `cifarNet: normalize: expected numbers of ${colours} channels or of all, received ${numbers}`,
    );
  let stream = 0;
  const initial = (): { initializer: typeof initializer; seed: number; stream: number } => ({
    initializer,
    seed,
    stream: stream++,
  });
  const convolutions = (from: number, to: number): Module[] => [
    ...[from, to, to].flatMap((inputs) => [
      new Conv2d(inputs, to, { kernel: 3, padding: 1, ...initial() }),
      activations[activation](),
    ]),
    new MaxPool2d({ kernel: 3, stride: 2 }),
  ];
  const widths = [channels[1] * pooled(height) * pooled(width), ...dense];
  return new Sequential(
    ...first,
    ...convolutions(colours, channels[0]),
    ...convolutions(channels[0], channels[1]),
    new Flatten(),
    ...dense.flatMap((outputs, index) => [
      new Linear(widths[index]!, outputs, initial()),
      activations[activation](),
      ...dropouts(dropout),
    ]),
    new Linear(widths.at(-1)!, classes, initial()),
  );
}
