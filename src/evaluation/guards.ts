/** What an evaluation refuses, so that its figures can be believed. */
import { guardLogits, type AttackResult, type Target } from '../adversary/attack.js';
import type { Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { scope } from '../tensor/scope.js';
import { Tensor, tensor } from '../tensor/tensor.js';
import type { Examples } from '../training/examples.js';

/** Refuses data that no figure could be believed of. */
export function guardValues(
  call: string,
  { rows, labels, classes, inputs, shape, scale, range: [low, high] }: Dataset,
): void {
  const size = shape.reduce((product, length) => product * length, 1);
  const [least, most] = [Math.fround(low), Math.fround(high)];
  for (const row of rows) {
    const label = labels[row];
    if (label === undefined || label < 0 || label >= classes)
      throw new SparringError(
        'OUT_OF_RANGE',
        `${call}: expected labels 0 to ${classes - 1}, received ${label ?? 'none'} for input ${row}`,
      );
    for (let i = row * size; i < (row + 1) * size; i++) {
      const value = Math.fround(inputs[i]! * scale);
      if (value >= least && value <= most) continue;
      throw new SparringError(
        Number.isFinite(value) ? 'OUT_OF_RANGE' : 'NOT_FINITE',
        `${call}: expected inputs between ${low} and ${high} (the range of the data), received ${value} in input ${row}`,
      );
    }
  }
}

/** Whether an error says that numbers are not finite. */
export const isNotFinite = (error: unknown): boolean => error instanceof SparringError && error.code === 'NOT_FINITE';

/** Refuses what is no classifier of the data; single examples whose outputs are not finite are no reason to refuse. */
export function guardModel(model: Target, data: Dataset, examples: Examples): void {
  const { rows, labels } = data;
  const check = (those: Int32Array): void => {
    scope(() => {
      const { x } = examples.batch(tensor(those));
      guardLogits('evaluate', model, x, tensor(Int32Array.from(rows, (row) => labels[row]!)), those);
    });
  };
  try {
    check(rows.slice(0, 16));
  } catch (error) {
    if (!isNotFinite(error)) throw error;
    for (const row of rows.slice(0, 1000)) {
      try {
        check(Int32Array.of(row));
        return;
      } catch (another) {
        if (!isNotFinite(another)) throw another;
      }
    }
    throw error;
  }
}

/** Refuses what a function of the user's own gave, if it is no result of an attack. */
export function checkResult(label: string, result: AttackResult, x: Tensor): void {
  const { adversarial, ...counts } = result as Partial<AttackResult>;
  if (!(adversarial instanceof Tensor) || adversarial.shape.join() !== x.shape.join() || adversarial.dtype !== x.dtype)
    throw new SparringError(
      'SHAPE_MISMATCH',
      `evaluate: ${label}: adversarial: expected ${String(x)}, received ${adversarial instanceof Tensor ? String(adversarial) : typeof adversarial}`,
    );
  for (const name of ['success', 'queries', 'backwards'] as const) {
    const count = counts[name];
    if (count instanceof Tensor && count.shape.length === 1 && count.shape[0] === x.shape[0]) continue;
    const received = count instanceof Tensor ? String(count) : typeof count;
    throw new SparringError(
      'SHAPE_MISMATCH',
      `evaluate: ${label}: ${name}: expected ${x.shape[0]} numbers, received ${received}`,
    );
  }
}
