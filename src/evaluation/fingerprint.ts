/** What tells one network, and one data set, from another: SHA-256 over all that their results depend on. */
import { createHash, type Hash } from 'node:crypto';
import type { Dataset } from '../data/dataset.js';
import { Module } from '../nn/module.js';
import { Tensor } from '../tensor/tensor.js';

const bytesOf = (numbers: ArrayBufferView): Uint8Array =>
  new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);

/** Adds a module: its class, its settings, its parameters, and those it is made of. */
function addModule(hash: Hash, module: Module): void {
  const settings = Object.entries(module).filter(
    ([, value]) => !(value instanceof Tensor) && !(value instanceof Module) && typeof value !== 'function',
  );
  hash.update(
    JSON.stringify([
      module.constructor.name,
      settings.map(([name, value]) => [name, Array.isArray(value) ? value.length : (value as unknown)]),
    ]),
  );
  for (const [name, value] of Object.entries(module))
    if (value instanceof Tensor) {
      hash.update(`${name}${value.dtype}[${value.shape.join()}]`);
      hash.update(bytesOf(value.data()));
    }
  for (const [name, child] of module.children()) {
    hash.update(`${name}(`);
    addModule(hash, child);
    hash.update(')');
  }
}

/**
 * A network's SHA-256: of its layers and weights; one that is not made of modules is known by what it predicts.
 *
 * @param model - The network.
 * @param predictions - The class that it gives each example.
 */
export function modelDigest(model: unknown, predictions: Int32Array): string {
  const hash = createHash('sha256');
  if (model instanceof Module) addModule(hash, model);
  else hash.update(bytesOf(predictions));
  return hash.digest('hex');
}

/** A data set's SHA-256: of its examples in their order, their labels, and how they are read. */
export function dataDigest({ inputs, labels, shape, classes, scale, range, rows }: Dataset): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ kind: inputs.constructor.name, shape, classes, scale, range }));
  const size = shape.reduce((product, length) => product * length, 1);
  for (const row of rows) {
    hash.update(bytesOf(inputs.subarray(row * size, (row + 1) * size)));
    hash.update(bytesOf(Int32Array.of(row, labels[row]!)));
  }
  return hash.digest('hex');
}
