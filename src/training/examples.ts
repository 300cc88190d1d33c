/** A data set as tensors, read by row number: batches are gathered, the set is never copied. */
import type { Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { shown } from '../options.js';
import { affine, cast, gather } from '../tensor/ops.js';
import { keep } from '../tensor/scope.js';
import { Tensor, tensor } from '../tensor/tensor.js';

/** Refuses what is no data set, or one without examples. */
export function guardData(name: string, data: Dataset): void {
  const rows: unknown = (data as Dataset | undefined)?.rows;
  if (rows instanceof Int32Array && rows.length > 0) return;
  const received = rows instanceof Int32Array ? 'one of none' : shown(data);
  throw new SparringError(
    'INVALID_ARGUMENT',
    `${name}: expected a data set of at least one example, received ${received}`,
  );
}

/** Examples in native memory. */
export class Examples {
  private readonly inputs: Tensor;
  private readonly labels: Tensor;
  private readonly scale: number;

  constructor({ inputs, labels, shape, scale }: Dataset) {
    this.inputs = keep(tensor(inputs, { shape: [labels.length, ...shape] }));
    this.labels = keep(tensor(Int32Array.from(labels)));
    this.scale = scale;
  }

  /** The scaled inputs [B, ...] and labels [B] of some rows, int32 [B]. May be traced. */
  batch(rows: Tensor): { x: Tensor; y: Tensor } {
    const stored = cast(gather(this.inputs, rows), 'float32');
    return { x: this.scale === 1 ? stored : affine(stored, this.scale), y: gather(this.labels, rows) };
  }

  dispose(): void {
    this.inputs.dispose();
    this.labels.dispose();
  }
}
