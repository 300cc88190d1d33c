/** Networks taken apart: a Sequential, and those inside it, as one row of layers with the names of the state dict. */
import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { Sequential } from './layers.js';
import type { Module } from './module.js';

/** A layer in its place. */
export interface Layer {
  /** Its name in the state dict, `2` or `1.0`, before the names of those it is the first layer of. */
  names: string[];
  module: Module;
  forward(x: Tensor): Tensor;
}

/** A part of a network. */
export interface Part {
  forward(x: Tensor): Tensor;
}

/** The layers of a network in the order in which they act, those of a Sequential inside it among them. */
export function layersOf(model: Module, names: string[] = []): Layer[] {
  // A class with a function of its own may do more than its layers in turn.
  if (!(model instanceof Sequential) || Reflect.get(model, 'forward') !== Reflect.get(Sequential.prototype, 'forward'))
    return [{ names, module: model, forward: (x) => model.forward(x) }];
  const layers = model.children().flatMap(([name, child], place) => {
    const path = [names[0], name].filter(Boolean).join('.');
    return layersOf(child, place === 0 ? [path, ...names] : [path]);
  });
  return layers.map((layer, place) =>
    place === 0 ? { ...layer, forward: (x) => layer.forward(model.enter(x)) } : layer,
  );
}

const inTurn = (layers: readonly Layer[]): Part => ({
  forward: (x) => layers.reduce((value, layer) => layer.forward(value), x),
});

/**
 * Splits a network in two: the layers before the named one, and the rest, which begins with it. One after the other they
 * are the network; the parameters are shared. Split before the first layer, the part below does nothing.
 *
 * @param model - A Sequential; one inside it is entered with a dot, `1.0`.
 * @param layer - The layer's name, as in the state dict but for the `.weight`.
 * @returns `below` and `above`.
 * @throws SparringError `INVALID_ARGUMENT` for a name that is none, listing those there are.
 *
 * @example
 * ```ts
 * import { models, nn, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 4, hidden: [6], classes: 3, seed: 1 }).eval();
 * const { below, above } = nn.split(model, '2');
 * const hidden = below.forward(uniform([5, 4], { seed: 2 }));
 * console.log(hidden.shape, above.forward(hidden).shape); // [5, 6] [5, 3]
 * ```
 */
export function split(model: Module, layer: string): { below: Part; above: Part } {
  const layers = layersOf(model);
  const place = layers.findIndex(({ names }) => names.includes(layer));
  if (place < 0) {
    const names = layers.flatMap(({ names: [name] }) => name ?? []);
    const fault =
      names.length === 0 ? 'expected a Sequential, received another module' : `layer: ${oneOf(layer, names)}`;
    throw new SparringError('INVALID_ARGUMENT', `split: ${fault}`);
  }
  return { below: inTurn(layers.slice(0, place)), above: inTurn(layers.slice(place)) };
}
