import { SparringError } from '../errors.js';
import * as ops from '../tensor/ops.js';
import type { Conv2dOptions, Pair, PoolOptions } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { initialize, type InitialOptions } from './initializers.js';
import { Module } from './module.js';
import { nextRandomness } from './randomness.js';

function positive(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 1) {
    throw new SparringError('INVALID_ARGUMENT', `${what}: expected a whole number of at least 1, received ${value}`);
  }
  return value;
}

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
  weight: Tensor;
  bias: Tensor | undefined;

  constructor(inputs: number, outputs: number, { bias = true, ...initial }: InitialOptions & { bias?: boolean } = {}) {
    super();
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
  weight: Tensor;
  bias: Tensor | undefined;
  readonly options: Conv2dOptions;

  constructor(
    channels: number,
    filters: number,
    {
      kernel,
      bias = true,
      initializer,
      seed,
      stream,
      ...options
    }: Conv2dOptions & InitialOptions & { kernel: Pair; bias?: boolean },
  ) {
    super();
    const [high, wide] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const groups = positive(options.groups ?? 1, 'Conv2d: groups');
    if (positive(channels, 'Conv2d: channels') % groups !== 0 || positive(filters, 'Conv2d: filters') % groups !== 0) {
      throw new SparringError(
        'INVALID_ARGUMENT',
        `Conv2d: expected channels and filters divisible by ${groups} groups, received ${channels} and ${filters}`,
      );
    }
    const shape = [filters, channels / groups, positive(high, 'Conv2d: kernel'), positive(wide, 'Conv2d: kernel')];
    const initial = {
      ...(initializer && { initializer }),
      ...(seed !== undefined && { seed }),
      ...(stream !== undefined && { stream }),
    };
    ({ weight: this.weight, bias: this.bias } = initialize(shape, bias, initial));
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return ops.conv2d(x, this.weight, { ...this.options, ...(this.bias && { bias: this.bias }) });
  }
}

/** The largest element of each window, `new MaxPool2d({ kernel: 2 })`. */
export class MaxPool2d extends Module {
  constructor(readonly options: PoolOptions) {
    super();
  }

  forward(x: Tensor): Tensor {
    return ops.maxPool2d(x, this.options);
  }
}

/** The mean of each window, `new AvgPool2d({ kernel: 2 })`. */
export class AvgPool2d extends Module {
  constructor(readonly options: PoolOptions) {
    super();
  }

  forward(x: Tensor): Tensor {
    return ops.averagePool2d(x, this.options);
  }
}

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return ops.relu(x);
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return ops.tanh(x);
  }
}

/** While it trains, zeroes each element with probability `rate` (0.5) and scales the others by 1 / (1 - rate). */
export class Dropout extends Module {
  readonly rate: number;

  constructor({ rate = 0.5 }: { rate?: number } = {}) {
    super();
    if (!(rate >= 0 && rate < 1))
      throw new SparringError('OUT_OF_RANGE', `Dropout: expected 0 <= rate < 1, received ${rate}`);
    this.rate = rate;
  }

  forward(x: Tensor): Tensor {
    return this.training && this.rate > 0 ? ops.dropout(x, { rate: this.rate, ...nextRandomness() }) : x;
  }
}

/** [B, ...] to [B, all the rest]. */
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
    return this.layers.reduce((value, layer) => layer.forward(value), this.enter(x));
  }
}
