/** What is wrong with the result of an attack, whichever it is. */
import type { AttackOptions, AttackResult, Target, Tensor } from '../../src/index.js';
import { sameBits } from '../tensor/numbers.js';
import { length, moves, predictions, rowsOf } from './networks.js';

/** Labels that the network gets right, but for the inputs whose number is divisible by `wrongEvery`. */
export const labelsFor = (model: Target, x: Tensor, classes: number, wrongEvery = 5): number[] =>
  predictions(model, x).map((label, i) => (i % wrongEvery === 0 ? (label + 1) % classes : label));

/** What of a result is not as it must be. */
export function faults(
  model: Target,
  x: Tensor,
  y: number[],
  result: AttackResult,
  { norm = 'l2', epsilon, clip }: AttackOptions & { epsilon: number },
): string[] {
  const found: string[] = [];
  const [before, after] = [predictions(model, x), predictions(model, result.adversarial)];
  const [success, norms, queries] = [result.success, result.norms, result.queries].map((each) =>
    Array.from(each.data()),
  );
  const [old, made] = [rowsOf(x), rowsOf(result.adversarial)];
  const expected: Record<'adversarial' | 'success' | 'norms' | 'queries', string> = {
    adversarial: `${x.dtype} ${x.shape.join()}`,
    success: `int32 ${y.length}`,
    norms: `float64 ${y.length}`,
    queries: `int32 ${y.length}`,
  };
  for (const [key, what] of Object.entries(expected)) {
    const { dtype, shape } = result[key as keyof typeof expected];
    if (`${dtype} ${shape.join()}` !== what) found.push(`${key}: ${dtype} [${shape.join()}]`);
  }
  moves(x, result.adversarial).forEach((move, i) => {
    const size = length[norm](move);
    if (!made[i]!.every(Number.isFinite)) found.push(`input ${i}: not finite`);
    if (!(size <= epsilon)) found.push(`input ${i}: moved ${size}`);
    if (!(norms![i]! <= epsilon) || !(Math.abs(norms![i]! - size) <= 2e-7 * size))
      found.push(`input ${i}: norm ${norms![i]} for ${size}`);
    if (success![i] !== (after[i] === y[i] ? 0 : 1)) found.push(`input ${i}: success ${success![i]}`);
    if (!(queries![i]! >= 1)) found.push(`input ${i}: ${queries![i]} queries`);
    if (
      before[i] !== y[i] &&
      !(
        size === 0 &&
        norms![i] === 0 &&
        success![i] === 1 &&
        sameBits(Float64Array.from(old[i]!), Float64Array.from(made[i]!))
      )
    )
      found.push(`input ${i}: a wrong one was moved`);
    if (epsilon === 0 && (success![i] !== (before[i] === y[i] ? 0 : 1) || size !== 0))
      found.push(`input ${i}: moved by epsilon 0`);
    if (clip !== undefined) {
      const [low, high] = x.dtype === 'float32' ? clip.map(Math.fround) : clip;
      if (!made[i]!.every((value) => value >= low! && value <= high!)) found.push(`input ${i}: outside the range`);
    }
  });
  return found;
}
