/** How weights start: documented, seeded, and by default as PyTorch's layers do. */
import * as v from 'valibot';
import { wholeFrom } from '../options.js';
import { normal, uniform } from '../tensor/ops.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * The distributions that weights are drawn from, fanIn and fanOut being the inputs and outputs of a unit:
 *
 * - `default`: U(±1/√fanIn), PyTorch's for dense and convolution layers;
 * - `xavierUniform`: U(±√(6/(fanIn + fanOut))) (Glorot & Bengio 2010), for tanh;
 * - `xavierNormal`: N(0, 2/(fanIn + fanOut));
 * - `heUniform`: U(±√(6/fanIn)) (He et al. 2015), for ReLU;
 * - `heNormal`: N(0, 2/fanIn);
 * - `{ uniform: a }`: U(±a);
 * - `{ normal: s }`: N(0, s²).
 */
export type Initializer =
  | 'default'
  | 'xavierUniform'
  | 'xavierNormal'
  | 'heUniform'
  | 'heNormal'
  | { readonly uniform: number }
  | { readonly normal: number };

/** Where a layer's first numbers come from. */
export interface InitialOptions {
  /** Of the weights; `default` by default. Biases start at U(±1/√fanIn) with it, and at 0 with every other. */
  initializer?: Initializer;
  /** Layers of one seed and stream start alike. By default each new layer takes a stream of its own of seed 0. */
  seed?: number;
  /** Which of a network's layers this is. */
  stream?: number;
}

const spread = v.pipe(v.number(), v.finite(), v.minValue(0));

/** The options of every layer with weights. */
export const initialEntries = {
  initializer: v.optional(
    v.union([
      v.picklist(['default', 'xavierUniform', 'xavierNormal', 'heUniform', 'heNormal']),
      v.strictObject({ uniform: spread }),
      v.strictObject({ normal: spread }),
    ]),
    'default',
  ),
  seed: v.optional(wholeFrom(0)),
  stream: v.optional(wholeFrom(0)),
};

let nextStream = 0;

interface Fans {
  fanIn: number;
  fanOut: number;
}

const spreads: Record<Extract<Initializer, string>, (fans: Fans) => { uniform: number } | { normal: number }> = {
  default: ({ fanIn }) => ({ uniform: 1 / Math.sqrt(fanIn) }),
  xavierUniform: ({ fanIn, fanOut }) => ({ uniform: Math.sqrt(6 / (fanIn + fanOut)) }),
  xavierNormal: ({ fanIn, fanOut }) => ({ normal: Math.sqrt(2 / (fanIn + fanOut)) }),
  heUniform: ({ fanIn }) => ({ uniform: Math.sqrt(6 / fanIn) }),
  heNormal: ({ fanIn }) => ({ normal: Math.sqrt(2 / fanIn) }),
};

function spreadOf(initializer: Initializer, fans: Fans): { uniform: number } | { normal: number } {
  return typeof initializer === 'string' ? spreads[initializer](fans) : initializer;
}

/** A layer's weight and bias, drawn as its options say; the tensors live until the layer is disposed. */
export function initialize(
  shape: readonly number[],
  biased: boolean,
  {
    initializer,
    seed,
    stream = seed === undefined ? nextStream++ : 0,
  }: v.InferOutput<v.StrictObjectSchema<typeof initialEntries, undefined>>,
): { weight: Tensor; bias: Tensor | undefined } {
  const window = shape.slice(2).reduce((product, length) => product * length, 1);
  const fans = { fanOut: shape[0]! * window, fanIn: shape[1]! * window };
  const draw = (of: readonly number[], spread: { uniform: number } | { normal: number }, part: number): Tensor => {
    const source = { seed: seed ?? 0, stream: 2 * stream + part };
    const drawn = (): Tensor =>
      'uniform' in spread
        ? uniform(of, { low: -spread.uniform, high: spread.uniform, ...source })
        : normal(of, { deviation: spread.normal, ...source });
    return keep(scope(drawn));
  };
  const biasSpread = initializer === 'default' ? spreadOf('default', fans) : { uniform: 0 };
  return {
    weight: draw(shape, spreadOf(initializer, fans), 0),
    bias: biased ? draw([shape[0]!], biasSpread, 1) : undefined,
  };
}
