import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';
import * as ops from '../tensor/ops.js';
import type { Conv2dOptions, Pair, PoolOptions } from '../tensor/ops.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { initialEntries, initialize, type InitialOptions } from './initializers.js';
import { Module } from './module.js';
import { nextRandomness } from './randomness.js';

function positive(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 1) {
    throw new SparringError('INVALID_ARGUMENT', `${what}: expected a whole number of at least 1, received ${value}`);
  }
  return value;
}

const pair = v.union([v.number(), v.tuple([v.number(), v.number()])]);
const linearOptions = v.strictObject({ bias: v.optional(v.boolean(), true), ...initialEntries });
const convolutionOptions = v.strictObject({
  kernel: pair,
  stride: v.optional(pair, 1),
  padding: v.optional(pair, 0),
  dilation: v.optional(pair, 1),
  groups: v.optional(v.number(), 1),
  ...linearOptions.entries,
});
const poolOptions = v.strictObject({ kernel: pair, stride: v.exactOptional(pair), padding: v.exactOptional(pair) });
const numbers = v.pipe(v.array(v.pipe(v.number(), v.finite())), v.minLength(1));
const normalizeOptions = v.strictObject({ mean: numbers, std: numbers });
const dropoutOptions = v.strictObject({
  rate: v.optional(
    v.custom<number>((value) => typeof value === 'number', 'expected number'),
    0.5,
  ),
});

/**
 * A dense layer: [..., inputs] to [..., outputs]. Parameters `weight` [outputs, inputs] and `bias` [outputs].
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * const layer = new nn.Linear(3, 2, { seed: 1 });
 * console.log(layer.forward(tensor([[1, 2, 3]])).shape); // [1, 2]
 * ```
 */
export class Linear extends Module {
  /** [outputs, inputs]. */
  weight: Tensor;
  /** [outputs]; none with `bias: false`. */
  bias: Tensor | undefined;

  constructor(inputs: number, outputs: number, options: InitialOptions & { bias?: boolean } = {}) {
    super();
    const { bias, ...initial } = parseOptions(linearOptions, options, 'Linear');
    const shape = [positive(outputs, 'Linear: outputs'), positive(inputs, 'Linear: inputs')];
    ({ weight: this.weight, bias: this.bias } = initialize(shape, bias, initial));
  }

  forward(x: Tensor): Tensor {
    return ops.linear(x, this.weight, this.bias);
  }
}

/**
 * A convolution layer: [B, channels, H, W] to [B, filters, oh, ow]. Parameters `weight` [filters, channels / groups, kh,
 * kw] and `bias` [filters].
 *
 * @example
 * ```ts
 * import { nn, zeros } from 'sparring';
 *
 * const layer = new nn.Conv2d(1, 20, { kernel: 5, seed: 1 });
 * console.log(layer.forward(zeros([2, 1, 28, 28])).shape); // [2, 20, 24, 24]
 * ```
 */
export class Conv2d extends Module {
  /** [filters, channels / groups, kh, kw]. */
  weight: Tensor;
  /** [filters]; none with `bias: false`. */
  bias: Tensor | undefined;
  /** How the window moves. */
  readonly options: Conv2dOptions;

  constructor(
    channels: number,
    filters: number,
    options: Conv2dOptions & InitialOptions & { kernel: Pair; bias?: boolean },
  ) {
    super();
    const parsed = parseOptions(convolutionOptions, options, 'Conv2d');
    const { kernel, bias, initializer, seed, stream, ...window } = parsed;
    const [high, wide] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const groups = positive(window.groups, 'Conv2d: groups');
    if (positive(channels, 'Conv2d: channels') % groups !== 0 || positive(filters, 'Conv2d: filters') % groups !== 0) {
      throw new SparringError(
        'INVALID_ARGUMENT',
        `Conv2d: expected channels and filters divisible by ${groups} groups, received ${channels} and ${filters}`,
      );
    }
    const shape = [filters, channels / groups, positive(high, 'Conv2d: kernel'), positive(wide, 'Conv2d: kernel')];
    ({ weight: this.weight, bias: this.bias } = initialize(shape, bias, { initializer, seed, stream }));
    this.options = window;
  }

  forward(x: Tensor): Tensor {
    return ops.conv2d(x, this.weight, { ...this.options, ...(this.bias && { bias: this.bias }) });
  }
}

/**
 * The largest element of each window, [B, C, H, W] to [B, C, oh, ow].
 *
 * @example
 * ```ts
 * import { nn, zeros } from 'sparring';
 *
 * console.log(new nn.MaxPool2d({ kernel: 2 }).forward(zeros([1, 3, 8, 8])).shape); // [1, 3, 4, 4]
 * ```
 */
export class MaxPool2d extends Module {
  /** The window. */
  readonly options: PoolOptions;

  constructor(options: PoolOptions) {
    super();
    this.options = parseOptions(poolOptions, options, 'MaxPool2d');
  }

  forward(x: Tensor): Tensor {
    return ops.maxPool2d(x, this.options);
  }
}

/**
 * The mean of each window, [B, C, H, W] to [B, C, oh, ow].
 *
 * @example
 * ```ts
 * import { nn, zeros } from 'sparring';
 *
 * console.log(new nn.AvgPool2d({ kernel: 2 }).forward(zeros([1, 3, 8, 8])).shape); // [1, 3, 4, 4]
 * ```
 */
export class AvgPool2d extends Module {
  /** The window. */
  readonly options: PoolOptions;

  constructor(options: PoolOptions) {
    super();
    this.options = parseOptions(poolOptions, options, 'AvgPool2d');
  }

  forward(x: Tensor): Tensor {
    return ops.averagePool2d(x, this.options);
  }
}

/**
 * max(x, 0).
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * console.log(new nn.ReLU().forward(tensor([-1, 2])).toArray()); // [0, 2]
 * ```
 */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return ops.relu(x);
  }
}

/**
 * The hyperbolic tangent.
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * console.log(new nn.Tanh().forward(tensor([0, 100])).toArray()); // [0, 1]
 * ```
 */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return ops.tanh(x);
  }
}

/**
 * While it trains, zeroes each element with probability `rate` (0.5) and scales the others by 1 / (1 - rate).
 *
 * @throws SparringError `OUT_OF_RANGE` for a rate that is not 0 to below 1.
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * console.log(new nn.Dropout({ rate: 0.9 }).eval().forward(tensor([1, 2])).toArray()); // [1, 2]
 * ```
 */
export class Dropout extends Module {
  /** The probability. */
  readonly rate: number;

  constructor(options: { rate?: number } = {}) {
    super();
    const { rate } = parseOptions(dropoutOptions, options, 'Dropout');
    if (!(rate >= 0 && rate < 1))
      throw new SparringError('OUT_OF_RANGE', `Dropout: expected 0 <= rate < 1, received ${rate}`);
    this.rate = rate;
  }

  forward(x: Tensor): Tensor {
    return this.training && this.rate > 0 ? ops.dropout(x, { rate: this.rate, ...nextRandomness() }) : x;
  }
}

/**
 * (x - mean) / std for each channel, [B, C, ...] to the same shape, with numbers that are given and do not learn: C of each, or
 * one for all. With it as its first layer a network takes inputs as the data have them, in [0, 1] say, and lengths of
 * perturbations mean what they say.
 *
 * @throws SparringError `OUT_OF_RANGE` for a standard deviation that is not positive, `SHAPE_MISMATCH` for numbers of other
 *   channels than each other's or the inputs'.
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * console.log(new nn.Normalize({ mean: [0.5], std: [0.25] }).forward(tensor([[0, 1]])).toArray()); // [[-2, 2]]
 * ```
 */
export class Normalize extends Module {
  /** Of each channel, or of all. */
  readonly mean: readonly number[];
  /** Of each channel, or of all. */
  readonly std: readonly number[];

  constructor(options: { mean: number[]; std: number[] }) {
    super();
    const { mean, std } = parseOptions(normalizeOptions, options, 'Normalize');
    const wrong = std.find((each) => !(each > 0 && Number.isFinite(Math.fround(1 / each))));
    if (wrong !== undefined)
      throw new SparringError('OUT_OF_RANGE', `Normalize: expected positive standard deviations, received ${wrong}`);
    if (mean.length > 1 && std.length > 1 && mean.length !== std.length)
      throw new SparringError(
        'SHAPE_MISMATCH',
        `Normalize: expected as many standard deviations as means, received ${std.length} and ${mean.length}`,
      );
    this.mean = mean;
    this.std = std;
  }

  forward(x: Tensor): Tensor {
    const dtype = x.dtype === 'float64' ? 'float64' : 'float32';
    const channels = x.shape[1] ?? 0;
    const along = (values: readonly number[]): Tensor => {
      if (values.length !== 1 && values.length !== channels)
        throw new SparringError(
          'SHAPE_MISMATCH',
          `Normalize: expected inputs of ${values.length} channels, received shape [${x.shape.join(',')}]`,
        );
      const shape = [values.length, ...x.shape.slice(2).map(() => 1)];
      return ops.reshape(tensor([...values], { dtype }), shape);
    };
    return ops.mul(ops.sub(x, along(this.mean)), along(this.std.map((each) => 1 / each)));
  }
}

/**
 * [B, ...] to [B, all the rest].
 *
 * @example
 * ```ts
 * import { nn, zeros } from 'sparring';
 *
 * console.log(new nn.Flatten().forward(zeros([2, 3, 4])).shape); // [2, 12]
 * ```
 */
export class Flatten extends Module {
  forward(x: Tensor): Tensor {
    return ops.flatten(x);
  }
}

/**
 * Modules one after the other, named by their places: `0`, `1`, ...
 *
 * @example
 * ```ts
 * import { nn, tensor } from 'sparring';
 *
 * const net = new nn.Sequential(new nn.Linear(2, 8), new nn.ReLU(), new nn.Linear(8, 3));
 * console.log(Object.keys(net.stateDict())); // ['0.weight', '0.bias', '2.weight', '2.bias']
 * console.log(net.forward(tensor([[1, 2]])).shape); // [1, 3]
 * ```
 */
export class Sequential extends Module {
  /** In their order. */
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }

  override children(): [string, Module][] {
    return this.layers.map((layer, place): [string, Module] => [String(place), layer]);
  }

  /** What the first layer receives of the network's input: all of it, unless a class says otherwise. */
  enter(x: Tensor): Tensor {
    return x;
  }

  forward(x: Tensor): Tensor {
    return poolingFirst(this.layers).reduce((value, layer) => layer.forward(value), this.enter(x));
  }
}

/**
 * The layers in the order in which they are computed: a max pool goes before a ReLU, which then has a fraction of the
 * numbers to go through. What comes of it is the same to the bit, but for gradients where windows overlap: there what
 * reaches a number is added up in another order.
 */
function poolingFirst(layers: readonly Module[]): Module[] {
  const order = [...layers];
  for (let at = order.length - 2; at >= 0; at--) {
    const [first, second] = [order[at]!, order[at + 1]!];
    if (does(first, ReLU) && does(second, MaxPool2d)) order.splice(at, 2, second, first);
  }
  return order;
}

/** Whether a module computes what one of that class does: a class derived from it may do something else. */
const does = (module: Module, { prototype }: { prototype: Module }): boolean =>
  Reflect.get(module, 'forward') === Reflect.get(prototype, 'forward');
