/** How much a network can stretch a change of its input, as far as its layers are known. */
import { SparringError } from '../errors.js';
import { shown } from '../options.js';
import * as ops from '../tensor/ops.js';
import { whileRows } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Normalize, ReLU, Sequential, Tanh } from './layers.js';
import { Mlp } from './mlp.js';
import { Module } from './module.js';

/** What float32 products may be off by, generously. */
const slack = 1 + 1e-4;

/**
 * Upper bounds of the spectral norms of matrices [..., M, N], float64 [...]. With G = A Aᵀ (or Aᵀ A, whichever is smaller) all
 * singular values of A to the eighth are in G⁴, so ‖A‖₂ ≤ ‖G⁴‖_F^{1/8}: a few hundredths too much where some directions
 * stand out, as in a trained layer, and M^{1/16} times at the very worst.
 *
 * @param copies - How often each singular value is known to occur, 1 by default.
 */
export function spectralBound(matrices: Tensor, { copies = 1 }: { copies?: number } = {}): Tensor {
  const largest = ops.norm(matrices, { order: 'linf', axes: [-2, -1], keepDims: true });
  const a = ops.div(matrices, ops.where(ops.greater(largest, 0), largest, 1));
  const wide = a.shape.at(-2)! <= a.shape.at(-1)!;
  const gram = ops.matmul(a, a, wide ? { transposeB: true } : { transposeA: true });
  // Brought to a size of 1 again: the eighth power of a small number would be none.
  const size = ops.norm(gram, { axes: [-2, -1], keepDims: true });
  const unit = ops.div(gram, ops.where(ops.greater(size, 0), size, 1));
  const square = ops.matmul(unit, unit);
  const fourth = ops.norm(ops.matmul(square, square), { axes: [-2, -1] });
  const wideOf = (x: Tensor): Tensor => ops.reshape(ops.cast(x, 'float64'), fourth.shape);
  const root = ops.pow(ops.affine(wideOf(fourth), copies ** -0.5), 1 / 8);
  return ops.affine(ops.mul(ops.mul(root, ops.sqrt(wideOf(size))), wideOf(largest)), slack);
}

/**
 * The same of a convolution, on images of any size. It is at most the largest spectral norm of its symbol Σ W_pq e^{i(pω₁ +
 * qω₂)}. Along each axis u*·symbol·v is a function of exponential type (k - 1) / 2, but for a turn, and near its maximum M such
 * a function is M cos(t (k - 1) / 2) at least, at a distance t (Duffin and Schaeffer 1938); of N frequencies one is within
 * π / N of it. The weights are real, so half of the frequencies say it all. Strides leave outputs out, and dilation stretches
 * the frequencies.
 */
function convolutionBound(weight: Tensor): Tensor {
  const [filters, channels, height, width] = weight.shape as [number, number, number, number];
  const frequencies = 4 * Math.max(height, width);
  const half = frequencies / 2 + 1;
  const count = half * frequencies;
  const dtype = weight.dtype === 'float64' ? 'float64' : 'float32';
  const place = (length: number, at: number): Tensor =>
    ops.reshape(ops.cast(ops.range(length), dtype), at === 0 ? [length, 1, 1, 1] : [1, length, 1, 1]);
  const angle = (length: number, at: number): Tensor =>
    ops.affine(
      ops.reshape(ops.cast(ops.range(length), dtype), at === 0 ? [1, 1, length, 1] : [1, 1, 1, length]),
      (2 * Math.PI) / frequencies,
    );
  const phases = ops.reshape(
    ops.add(ops.mul(place(height, 0), angle(half, 0)), ops.mul(place(width, 1), angle(frequencies, 1))),
    [height * width, count],
  );
  const taps = ops.reshape(weight, [filters * channels, height * width]);
  const part = (wave: Tensor): Tensor =>
    ops.reshape(ops.permute(ops.matmul(taps, wave), [1, 0]), [count, filters, channels]);
  const [real, imaginary] = [part(ops.cos(phases)), part(ops.sin(phases))];
  // As a matrix of real numbers, which has each singular value twice.
  const symbol = ops.concat(
    [ops.concat([real, ops.neg(imaginary)], { axis: 2 }), ops.concat([imaginary, real], { axis: 2 })],
    { axis: 1 },
  );
  const between = (length: number): number => Math.cos((Math.PI * (length - 1)) / (2 * frequencies));
  return ops.affine(ops.max(spectralBound(symbol, { copies: 2 })), 1 / (between(height) * between(width)));
}

const pair = (value: ops.Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

/** In how many windows of a pooling an element may be, and how many elements a window has. */
function windows({ kernel, stride = kernel }: ops.PoolOptions): { overlap: number; size: number } {
  const [[high, wide], [down, across]] = [pair(kernel), pair(stride)];
  return { overlap: Math.ceil(high / down) * Math.ceil(wide / across), size: high * wide };
}

const constant = (value: number): Tensor => ops.full([], value, { dtype: 'float64' });
const product = (factors: readonly (Tensor | undefined)[]): Tensor | undefined =>
  factors.reduce((all, factor) => all && factor && ops.mul(all, factor), constant(1));

/** The class of a module's chain that has a property of its own. */
function ownerOf(module: Module, property: string): object {
  let owner: object = module;
  while (!Object.hasOwn(owner, property)) owner = Object.getPrototypeOf(owner) as object;
  return owner;
}

/** Whether what a Sequential does to its input before the first layer is to lay it out anew at most. */
const entersPlainly = (module: Sequential): true | undefined =>
  ([Sequential.prototype, Mlp.prototype] as object[]).includes(ownerOf(module, 'enter')) || undefined;

/**
 * How the bound of a weight's gain is come by: `full` computes it, and a change of the weight changes the gain by `stretch` times its
 * Frobenius norm at most.
 */
type Measure = (weight: Tensor, gain: { full: () => Tensor; stretch: number }) => Tensor;

const anew: Measure = (_, { full }) => full();

/** How far a weight may have moved from where its gain was computed, relative to the gain. */
const farthest = 0.5;

/**
 * A gain that is computed now and then: in a plan, the weight and its gain at the last time are kept from run to run, and what the
 * weight has moved since, whoever moved it, is added: ‖W + dW‖₂ ≤ ‖W‖₂ + ‖dW‖_F. Where that is much it is computed again.
 */
const carried: Measure = (weight, { full, stretch }) => {
  const dtype = weight.dtype === 'float64' ? 'float64' : 'float32';
  const empty = dtype === 'float64' ? new Float64Array(weight.size) : new Float32Array(weight.size);
  const before = tensor(empty, { shape: [1, ...weight.shape], dtype });
  const gain = tensor([-1], { dtype: 'float64' });
  const moved = tensor([0], { dtype: 'float64' });
  const now = ops.reshape(weight, before.shape);
  whileRows(
    () => {
      const only = ops.range(1);
      const change = ops.cast(ops.norm(ops.sub(now, before)), 'float64');
      ops.assignRows(moved, only, ops.reshape(ops.affine(change, stretch * slack), [1]));
      const much = ops.greater(moved, ops.affine(gain, farthest));
      return { rows: [only], count: ops.cast(ops.max(ops.cast(much, 'float32')), 'int32') };
    },
    (only) => {
      ops.assignRows(gain, only, ops.reshape(full(), [1]));
      ops.assignRows(before, only, ops.add(now, 0));
    },
  );
  return ops.reshape(ops.add(gain, moved), []);
};

type Bound = (module: never, measure: Measure) => Tensor | undefined;

const gains = new Map<unknown, Bound>([
  [
    Linear,
    ({ weight }: Linear, measure: Measure) => measure(weight, { full: () => spectralBound(weight), stretch: 1 }),
  ],
  [
    Conv2d,
    ({ weight, options }: Conv2d, measure: Measure) =>
      (options.groups ?? 1) === 1
        ? // A place of the image is in as many windows as the kernel has places, at most.
          measure(weight, {
            full: () => convolutionBound(weight),
            stretch: Math.sqrt(weight.shape[2]! * weight.shape[3]!),
          })
        : undefined,
  ],
  [ReLU, () => constant(1)],
  [Tanh, () => constant(1)],
  [Flatten, () => constant(1)],
  [Normalize, ({ std }: Normalize) => constant(slack / Math.min(...std))],
  [Dropout, ({ training }: Dropout) => (training ? undefined : constant(1))],
  [MaxPool2d, ({ options }: MaxPool2d) => constant(Math.sqrt(windows(options).overlap))],
  [AvgPool2d, ({ options }: AvgPool2d) => constant(Math.sqrt(windows(options).overlap / windows(options).size))],
  [
    Sequential,
    (module: Sequential, measure: Measure): Tensor | undefined =>
      entersPlainly(module) && product(module.layers.map((layer) => known(gains, layer, measure))),
  ],
]);

const reaches = new Map<unknown, Bound>([
  [Linear, ({ weight }: Linear) => rowDistances(weight)],
  [
    Sequential,
    (module: Sequential, measure: Measure): Tensor | undefined =>
      entersPlainly(module) && reachOfLayers(module.layers, measure),
  ],
]);

/** What a table says of a module, by the class whose `forward` it runs: a class that has one of its own is not known by its parent's. */
function known(table: ReadonlyMap<unknown, Bound>, module: Module, measure: Measure): Tensor | undefined {
  const owner = ownerOf(module, 'forward');
  return owner === module ? undefined : table.get(owner.constructor)?.(module as never, measure);
}

/** ‖w_j - w_k‖₂ of the rows of a matrix [K, H], float64 [K, K]. */
function rowDistances(weight: Tensor): Tensor {
  const w = ops.cast(weight, 'float64');
  const squares = ops.sum(ops.square(w), { axes: [1] });
  const classes = squares.shape[0]!;
  const sums = ops.add(ops.reshape(squares, [classes, 1]), ops.reshape(squares, [1, classes]));
  const squared = ops.sub(sums, ops.affine(ops.matmul(w, w, { transposeB: true }), 2));
  return ops.affine(ops.sqrt(ops.maximum(squared, 0)), slack);
}

function reachOfLayers(layers: readonly Module[], measure: Measure): Tensor | undefined {
  const reach = layers.length > 0 ? known(reaches, layers.at(-1)!, measure) : undefined;
  return reach && product([...layers.slice(0, -1).map((layer) => known(gains, layer, measure)), reach]);
}

/**
 * An upper bound of the spectral norm of a module's Jacobian by its input, at any input: float64 []; undefined for modules that
 * are not known. That of layers in a row is the product of theirs.
 */
export function gainBound(module: Module): Tensor | undefined {
  return scope(() => known(gains, module, anew));
}

/**
 * Upper bounds of ‖∂(z_j - z_k)/∂x‖₂ for the logits z of a network, at any input: float64 [K, K]; undefined for networks that
 * hold a module that is not known. The rows of the last layer, a dense one, differ by what is known exactly, and the
 * layers before it stretch that by their {@link gainBound}s at most.
 *
 * @param module - A network from inputs [B, ...] to logits [B, K]. The bounds hold as long as its weights stay.
 * @throws SparringError `INVALID_ARGUMENT` for what is no module.
 *
 * @example
 * ```ts
 * import { adversarialInputs, models, reachBound, uniform, zeros } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 });
 * const [x, y] = [uniform([4, 8], { seed: 2 }), zeros([4], { dtype: 'int32' })];
 * const reach = reachBound(model);
 * console.log(adversarialInputs(model, x, y, { epsilon: 0.5, direction: 'alpha', reach }).shape); // [4, 8]
 * ```
 */
export function reachBound(module: Module): Tensor | undefined {
  if (!((module as unknown) instanceof Module))
    throw new SparringError('INVALID_ARGUMENT', `reachBound: expected a module, received ${shown(module)}`);
  return scope(() => known(reaches, module, anew));
}

/**
 * {@link reachBound} for a plan that runs again and again while the weights change a little: it holds at each run, and the gains of
 * the layers are computed anew only when the weights have moved far.
 */
export function carriedReachBound(module: Module): Tensor | undefined {
  return scope(() => known(reaches, module, carried));
}
