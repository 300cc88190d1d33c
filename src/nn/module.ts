/// <reference lib="esnext.disposable" preserve="true" />
import { SparringError } from '../errors.js';
import { keep } from '../tensor/scope.js';
import { Tensor, tensor } from '../tensor/tensor.js';
import { loadTensors } from './stateDict.js';

/**
 * A part of a network: a function of a tensor with parameters. Its parameters are its fields that are tensors, its
 * children the fields that are modules; they are named as PyTorch names them, so that weights move both ways.
 *
 * @example
 * ```ts
 * import { add, nn } from 'sparring';
 *
 * class Residual extends nn.Module {
 *   inner = new nn.Linear(4, 4, { seed: 1 });
 *   forward(x) {
 *     return add(x, this.inner.forward(x));
 *   }
 * }
 * console.log(Object.keys(new Residual().stateDict())); // ['inner.weight', 'inner.bias']
 * ```
 */
export abstract class Module {
  /** Whether dropout is at work. A new module trains, as PyTorch's do; attacks refuse it until {@link Module.eval}. */
  training = true;

  /** The module's function. */
  abstract forward(x: Tensor): Tensor;

  /** The modules that this one is made of, by name. */
  children(): [string, Module][] {
    return Object.entries(this).filter((entry): entry is [string, Module] => entry[1] instanceof Module);
  }

  /** All parameters, the children's among them, by name. */
  namedParameters(): [string, Tensor][] {
    const own = Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
    const inherited = this.children().flatMap(([name, child]) =>
      child.namedParameters().map(([inner, value]): [string, Tensor] => [`${name}.${inner}`, value]),
    );
    return [...own, ...inherited];
  }

  /** All parameters, one that goes by several names once. */
  parameters(): Tensor[] {
    return [...new Set(this.namedParameters().map(([, value]) => value))];
  }

  /** The parameters by name: the live tensors, not copies. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(this.namedParameters());
  }

  /**
   * Takes over the numbers of a state dict, in place; float64 is rounded to the parameter's dtype.
   *
   * @throws SparringError `INVALID_ARGUMENT` for missing or unknown names, `SHAPE_MISMATCH` for another shape; nothing
   * is changed then.
   */
  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    loadTensors(this.namedParameters(), state);
  }

  /** Turns training behaviour on (or off), here and in all children. */
  train(on = true): this {
    this.training = on;
    for (const [, child] of this.children()) child.train(on);
    return this;
  }

  /** Turns training behaviour off. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Makes all parameters float64, for checks, or float32 again. One that several modules share stays shared.
   *
   * @throws SparringError `DTYPE_MISMATCH` for another dtype.
   */
  to(dtype: 'float32' | 'float64'): this {
    if (!['float32', 'float64'].includes(dtype))
      throw new SparringError('DTYPE_MISMATCH', `to: expected float32 or float64, received '${dtype}'`);
    const converted = new Map<Tensor, Tensor>();
    for (const parameter of this.parameters()) {
      if (parameter.dtype === dtype) continue;
      converted.set(parameter, keep(tensor(parameter.data(), { shape: parameter.shape, dtype })));
    }
    this.#replace(converted);
    for (const before of converted.keys()) before.dispose();
    return this;
  }

  /** Puts tensors in the place of others, here and in all children. */
  #replace(others: ReadonlyMap<Tensor, Tensor>): void {
    const fields = this as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(this))
      if (value instanceof Tensor) fields[name] = others.get(value) ?? value;
    for (const [, child] of this.children()) child.#replace(others);
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
