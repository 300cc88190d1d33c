/** Derivatives of functions of tensors, by reverse mode. */
import { SparringError } from '../errors.js';
import { native } from '../native.js';
import {
  crossEntropyGrad,
  broadcastTo,
  mul,
  neg,
  ones,
  oneHot,
  permute,
  range,
  reshape,
  softmax,
} from '../tensor/ops.js';
import { differentiation } from '../tensor/differentiation.js';
import { scope } from '../tensor/scope.js';
import { Tensor, idOf } from '../tensor/tensor.js';

/** What a function is differentiated by: a tensor, or an array or record of tensors. */
export type Differentiable = Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;

function leaves(name: string, tree: Differentiable | null | undefined): Tensor[] {
  const found: Tensor[] = tree instanceof Tensor ? [tree] : Object.values<Tensor>(tree ?? []);
  if (found.length === 0)
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${name}: expected at least one tensor to differentiate by, received none`,
    );
  for (const leaf of found) {
    idOf(leaf, name);
    if (leaf.dtype !== 'float32' && leaf.dtype !== 'float64') {
      throw new SparringError(
        'DTYPE_MISMATCH',
        `${name}: expected float32 or float64 to differentiate by, received ${leaf.dtype}`,
      );
    }
  }
  return found;
}

function rebuild<T extends Differentiable>(tree: T, next: () => Tensor): T {
  if (tree instanceof Tensor) return next() as T;
  if (Array.isArray(tree)) return tree.map(next) as unknown as T;
  return Object.fromEntries(Object.keys(tree).map((key) => [key, next()])) as unknown as T;
}

const detach = (value: Tensor): Tensor => new Tensor(native.detach(value.id));

function pull(
  name: string,
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  inputs: readonly Tensor[],
  release: boolean,
): Tensor[] {
  const ids = (values: readonly Tensor[]): number[] => values.map((value) => idOf(value, name));
  return native
    .pullback(
      ids(outputs),
      ids(cotangents),
      ids(inputs),
      differentiation.depth > 0,
      release && differentiation.depth === 0,
    )
    .map((made) => new Tensor(made));
}

/** The value of a function, computed with one more differentiation under way. */
function differentiating(name: string, f: () => Tensor): Tensor {
  differentiation.depth++;
  try {
    const value: unknown = scope(f);
    if (value instanceof Tensor) return value;
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${name}: expected a function that returns a tensor, received ${typeof value}`,
    );
  } finally {
    differentiation.depth--;
  }
}

/** The result of {@link vjp}. */
export interface Vjp<X extends Differentiable> {
  /** f(x). */
  value: Tensor;
  /**
   * Pulls a cotangent of the value's shape back to x. With K axes' worth in front, [K, ...value], all are pulled back in
   * one pass and the results have that axis in front too.
   */
  pullback: (cotangent: Tensor) => X;
  /**
   * Pulls cotangents of some examples back, for a function that works example by example along the first axis: `rows`,
   * int32 [R], numbers them, each as often as it has cotangents, and a cotangent has R rows in place of the examples. The
   * result cannot be differentiated again.
   */
  pullbackRows: (cotangent: Tensor, rows: Tensor) => X;
}

/**
 * The value of f at x and its vector-Jacobian product. The tape that it needs lives until the value and the pullback
 * are gone; call it in a {@link scope}.
 *
 * @param f - A function of x built of ops.
 * @param x - A tensor, or an array or record of tensors.
 * @throws SparringError `DTYPE_MISMATCH` for tensors that are not of floats; the pullback `SHAPE_MISMATCH` for a cotangent of
 * another shape than the value's.
 *
 * @example
 * ```ts
 * import { mul, tensor, vjp } from 'sparring';
 *
 * const { value, pullback } = vjp((x) => mul(x, x), tensor([1, 2, 3]));
 * console.log(value.toArray()); // [1, 4, 9]
 * console.log(pullback(tensor([1, 1, 1])).toArray()); // [2, 4, 6]
 * console.log(pullback(tensor([[1, 0, 0], [0, 1, 0]])).toArray()); // [[2, 0, 0], [0, 4, 0]]
 * ```
 */
export function vjp<X extends Differentiable>(f: (x: X) => Tensor, x: X): Vjp<X> {
  return vjpFor('vjp', f, x);
}

/** {@link vjp} for a call of another name, which messages give. */
function vjpFor<X extends Differentiable>(name: string, f: (x: X) => Tensor, x: X): Vjp<X> {
  const watched = leaves(name, x).map((leaf) => new Tensor(native.watch(leaf.id)));
  let next = 0;
  const value = differentiating(name, () => f(rebuild(x, () => watched[next++]!)));
  const shaped = (gradients: readonly Tensor[]): X => {
    let at = 0;
    return rebuild(x, () => gradients[at++]!);
  };
  return {
    value: differentiation.depth === 0 ? detach(value) : value,
    pullback: (cotangent) => shaped(pull(name, [value], [cotangent], watched, false)),
    pullbackRows: (cotangent, rows) => {
      const inputs = watched.map(({ id }) => id);
      const made = native.pullback([value.id], [idOf(cotangent, name)], inputs, false, false, idOf(rows, name));
      return shaped(made.map((gradient) => new Tensor(gradient)));
    },
  };
}

function checkScalar(name: string, value: Tensor): void {
  if (value.size !== 1) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: expected a function of one number, received shape [${value.shape.join(',')}]`,
    );
  }
}

/**
 * A function that gives the value of f and its gradient by the first argument, in the shape of that argument. f must
 * return a single number.
 *
 * @throws SparringError `SHAPE_MISMATCH`, from the function that is made, when f returns more than one number.
 *
 * @example
 * ```ts
 * import { square, sum, tensor, valueAndGrad } from 'sparring';
 *
 * const f = valueAndGrad((x) => sum(square(x)));
 * const { value, grad } = f(tensor([1, 2]));
 * console.log(value.item(), grad.toArray()); // 5 [2, 4]
 * ```
 */
export function valueAndGrad<X extends Differentiable, Rest extends unknown[]>(
  f: (x: X, ...rest: Rest) => Tensor,
): (x: X, ...rest: Rest) => { value: Tensor; grad: X } {
  return valueAndGradFor('valueAndGrad', f);
}

function valueAndGradFor<X extends Differentiable, Rest extends unknown[]>(
  name: string,
  f: (x: X, ...rest: Rest) => Tensor,
): (x: X, ...rest: Rest) => { value: Tensor; grad: X } {
  return (x, ...rest) =>
    scope(() => {
      const { value, pullback } = vjpFor(name, (inner: X) => f(inner, ...rest), x);
      checkScalar(name, value);
      return { value, grad: pullback(ones(value.shape, { dtype: value.dtype })) };
    });
}

/**
 * The gradient of f by its first argument; f must return a single number. Gradients of gradients work.
 *
 * @throws SparringError `SHAPE_MISMATCH`, from the function that is made, when f returns more than one number.
 *
 * @example
 * ```ts
 * import { grad, pow, sum, tensor } from 'sparring';
 *
 * const cubed = (x) => sum(pow(x, 3));
 * console.log(grad(cubed)(tensor([1, 2])).toArray()); // [3, 12]
 * const second = grad((x) => sum(grad(cubed)(x)));
 * console.log(second(tensor([1, 2])).toArray()); // [6, 12]
 * ```
 */
export function grad<X extends Differentiable, Rest extends unknown[]>(
  f: (x: X, ...rest: Rest) => Tensor,
): (x: X, ...rest: Rest) => X {
  const both = valueAndGradFor('grad', f);
  return (x, ...rest) => scope(() => both(x, ...rest).grad);
}

/**
 * The value of f, a single number, and its gradients by tensors that f uses without receiving them: a module's
 * parameters.
 *
 * @throws SparringError `SHAPE_MISMATCH` when f returns more than one number, `INVALID_ARGUMENT` for a parameter that is given
 * twice.
 *
 * @example
 * ```ts
 * import { gradients, mul, sum, tensor } from 'sparring';
 *
 * const w = tensor([2, 3]);
 * const { value, grads } = gradients(() => sum(mul(w, w)), [w]);
 * console.log(value.item(), grads[0].toArray()); // 13 [4, 6]
 * ```
 */
export function gradients(f: () => Tensor, parameters: readonly Tensor[]): { value: Tensor; grads: Tensor[] } {
  if (new Set(parameters).size < parameters.length) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      'gradients: expected each parameter once, received the same tensor twice',
    );
  }
  return scope(() => {
    const watched = leaves('gradients', parameters).map((parameter) => new Tensor(native.watch(parameter.id)));
    const before = parameters.map((parameter, index) => parameter.exchange(watched[index]!.id));
    let value: Tensor;
    try {
      value = differentiating('gradients', f);
    } finally {
      parameters.forEach((parameter, index) => parameter.exchange(before[index]!));
    }
    checkScalar('gradients', value);
    const grads = pull('gradients', [value], [ones(value.shape, { dtype: value.dtype })], watched, true);
    return { value: differentiation.depth === 0 ? detach(value) : value, grads };
  });
}

/**
 * The Jacobian of f at x, [...f(x), ...x], in one batched backward pass.
 *
 * @example
 * ```ts
 * import { jacobian, mul, tensor } from 'sparring';
 *
 * console.log(jacobian((x) => mul(x, x), tensor([1, 2])).toArray()); // [[2, 0], [0, 4]]
 * ```
 */
export function jacobian(f: (x: Tensor) => Tensor, x: Tensor): Tensor {
  return scope(() => {
    const { value, pullback } = vjpFor('jacobian', f, x);
    const n = value.size;
    const dtype = value.dtype as 'float32' | 'float64';
    const unit = oneHot(range(n), { classes: n, dtype });
    const rows = pullback(reshape(unit, [n, ...value.shape]));
    return reshape(rows, [...value.shape, ...x.shape]);
  });
}

/** What softmaxJacobian needs of a network: logits [B, K] of a batch. */
export interface Classifier {
  forward(x: Tensor): Tensor;
}

/**
 * The probabilities of a classifier and their Jacobian by the input, T of the paper's section 2, example by example, in
 * one batched backward pass over the K classes. The rows are exact also for a confident network: the cotangent of class
 * k by the logits is α_k (e_k - α), with 1 - α_k summed from the other classes.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @returns `probabilities` [B, K] and `jacobian` [B, K, ...].
 * @throws SparringError `SHAPE_MISMATCH` for a network that does not give [B, K].
 *
 * @example
 * ```ts
 * import { nn, softmaxJacobian, tensor } from 'sparring';
 *
 * const model = new nn.Linear(3, 4, { seed: 1 });
 * const { probabilities, jacobian } = softmaxJacobian(model, tensor([[1, 2, 3], [0, 1, 0]]));
 * console.log(probabilities.shape, jacobian.shape); // [2, 4] [2, 4, 3]
 * ```
 */
export function softmaxJacobian(model: Classifier, x: Tensor): { probabilities: Tensor; jacobian: Tensor } {
  return scope(() => {
    const { value: logits, pullback } = vjpFor('softmaxJacobian', (input: Tensor) => model.forward(input), x);
    if (logits.shape.length !== 2) {
      throw new SparringError(
        'SHAPE_MISMATCH',
        `softmaxJacobian: expected logits [B,K], received [${logits.shape.join(',')}]`,
      );
    }
    const [batch, classes] = logits.shape as [number, number];
    const probabilities = softmax(logits);
    const all = broadcastTo(reshape(logits, [batch, 1, classes]), [batch, classes, classes]);
    const each = range(classes);
    const rows = mul(neg(crossEntropyGrad(all, each)), reshape(probabilities, [batch, classes, 1]));
    const pulled = pullback(permute(rows, [1, 0, 2]));
    const axes = pulled.shape.map((_, axis) => axis);
    return { probabilities, jacobian: permute(pulled, [1, 0, ...axes.slice(2)]) };
  });
}
