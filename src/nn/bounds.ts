/** How much a network can stretch a change of its input, as far as its layers are known. */
import { SparringError } from '../errors.js';
import { shown } from '../options.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tanh } from './layers.js';
import { Mlp } from './mlp.js';
import { Module } from './module.js';

/** What float32 products may be off by, generously. */
const slack = 1 + 1e-4;

/**
 * Upper bounds of the spectral norms of matrices [..., M, N], float64 [...]. With G = A Aᵀ (or Aᵀ A, whichever is smaller) all
 * singular values of A to the fourth are in G², so ‖A‖₂ ≤ ‖G²‖_F^{1/4}: at most a few tenths too much where some
 * directions stand out, as in a trained layer, and M^{1/8} times at the very worst.
 */
export function spectralBound(matrices: Tensor): Tensor {
  const largest = ops.norm(matrices, { order: 'linf', axes: [-2, -1], keepDims: true });
  const a = ops.div(matrices, ops.where(ops.greater(largest, 0), largest, 1));
  const wide = a.shape.at(-2)! <= a.shape.at(-1)!;
  const gram = ops.matmul(a, a, wide ? { transposeB: true } : { transposeA: true });
  const fourth = ops.cast(ops.norm(ops.matmul(gram, gram), { axes: [-2, -1] }), 'float64');
  const scale = ops.cast(ops.reshape(largest, fourth.shape), 'float64');
  return ops.affine(ops.mul(ops.sqrt(ops.sqrt(fourth)), scale), slack);
}

/**
 * The same of a convolution, on images of any size. It is at most the largest spectral norm of its symbol Σ W_pq e^{i(pω₁ +
 * qω₂)}, a trigonometric polynomial, which between N by N frequencies exceeds their maximum by at most
 * (1 - (k - 1) / N)⁻¹ along each axis (Pfister and Liang 2018). Strides leave outputs out, and dilation stretches the frequencies.
 */
function convolutionBound(weight: Tensor): Tensor {
  const [filters, channels, height, width] = weight.shape as [number, number, number, number];
  const frequencies = 4 * Math.max(height, width);
  const count = frequencies * frequencies;
  const place = (length: number, at: number): Tensor =>
    ops.reshape(ops.cast(ops.range(length), 'float32'), at === 0 ? [length, 1, 1, 1] : [1, length, 1, 1]);
  const angle = (at: number): Tensor =>
    ops.affine(
      ops.reshape(
        ops.cast(ops.range(frequencies), 'float32'),
        at === 0 ? [1, 1, frequencies, 1] : [1, 1, 1, frequencies],
      ),
      (2 * Math.PI) / frequencies,
    );
  const phases = ops.reshape(ops.add(ops.mul(place(height, 0), angle(0)), ops.mul(place(width, 1), angle(1))), [
    height * width,
    count,
  ]);
  const taps = ops.reshape(weight, [filters * channels, height * width]);
  const part = (wave: Tensor): Tensor =>
    ops.reshape(ops.permute(ops.matmul(taps, wave), [1, 0]), [count, filters, channels]);
  const [real, imaginary] = [part(ops.cos(phases)), part(ops.sin(phases))];
  const symbol = ops.concat(
    [ops.concat([real, ops.neg(imaginary)], { axis: 2 }), ops.concat([imaginary, real], { axis: 2 })],
    { axis: 1 },
  );
  const between = (1 - (height - 1) / frequencies) * (1 - (width - 1) / frequencies);
  return ops.affine(ops.max(spectralBound(symbol)), 1 / between);
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

type Bound = (module: never) => Tensor | undefined;

const gains = new Map<unknown, Bound>([
  [Linear, ({ weight }: Linear) => spectralBound(weight)],
  [Conv2d, ({ weight, options }: Conv2d) => ((options.groups ?? 1) === 1 ? convolutionBound(weight) : undefined)],
  [ReLU, () => constant(1)],
  [Tanh, () => constant(1)],
  [Flatten, () => constant(1)],
  [Dropout, ({ training }: Dropout) => (training ? undefined : constant(1))],
  [MaxPool2d, ({ options }: MaxPool2d) => constant(Math.sqrt(windows(options).overlap))],
  [AvgPool2d, ({ options }: AvgPool2d) => constant(Math.sqrt(windows(options).overlap / windows(options).size))],
  [Sequential, (module: Sequential) => entersPlainly(module) && product(module.layers.map(gainBound))],
]);

const reaches = new Map<unknown, Bound>([
  [Linear, ({ weight }: Linear) => rowDistances(weight)],
  [Sequential, (module: Sequential) => entersPlainly(module) && reachOfLayers(module.layers)],
]);

/** What a table says of a module, by the class whose `forward` it runs: a class that has one of its own is not known by its parent's. */
function known(table: ReadonlyMap<unknown, Bound>, module: Module): Tensor | undefined {
  const owner = ownerOf(module, 'forward');
  return owner === module ? undefined : table.get(owner.constructor)?.(module as never);
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

function reachOfLayers(layers: readonly Module[]): Tensor | undefined {
  const reach = layers.length > 0 ? reachBound(layers.at(-1)!) : undefined;
  return reach && product([...layers.slice(0, -1).map(gainBound), reach]);
}

/**
 * An upper bound of the spectral norm of a module's Jacobian by its input, at any input: float64 []; undefined for modules that
 * are not known. That of layers in a row is the product of theirs.
 */
export function gainBound(module: Module): Tensor | undefined {
  return scope(() => known(gains, module));
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
  return scope(() => known(reaches, module));
}
