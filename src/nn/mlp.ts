import { SparringError } from '../errors.js';
import { reshape } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { Sequential } from './layers.js';
import type { Module } from './module.js';

/** A network of dense layers; images are read as one row of numbers. */
export class Mlp extends Sequential {
  constructor(
    private readonly inputs: number,
    ...layers: Module[]
  ) {
    super(...layers);
  }

  override enter(x: Tensor): Tensor {
    const size = x.size / (x.shape[0] ?? 1);
    if (x.shape.length < 2 || (x.shape[0] !== 0 && size !== this.inputs)) {
      throw new SparringError(
        'SHAPE_MISMATCH',
        `mlp: expected inputs [B, ...] of ${this.inputs} numbers each, received shape [${x.shape.join(',')}]`,
      );
    }
    return x.shape.length === 2 ? x : reshape(x, [x.shape[0]!, this.inputs]);
  }
}
