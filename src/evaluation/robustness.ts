/** Robustness as the mean length of minimal perturbations relative to that of the inputs. */
import { asRows, norms } from '../adversary/norms.js';
import { SparringError } from '../errors.js';
import type { NormName } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * The robustness ρ = E‖r_min‖ / E‖x‖ (Fawzi et al. 2015; Moosavi-Dezfooli et al. 2016 take the mean of the ratios instead) of
 * the inputs for which a perturbation was found. Distances are those of an attack that looks for the shortest perturbation: misclassified
 * inputs count with 0.
 *
 * @param x - Inputs [B, ...].
 * @param distance - `distance` of such an attack, float64 [B]; Infinity where it found nothing.
 * @param options - The norm of the distances, `l2` by default.
 * @returns ρ, and of how many inputs. NaN of none.
 * @throws SparringError `SHAPE_MISMATCH` when there is not one distance for each input.
 *
 * @example
 * ```ts
 * import { robustness, tensor } from 'sparring';
 *
 * console.log(robustness(tensor([[3, 4], [0, 5]]), tensor([1, 2]))); // { rho: 0.3, examples: 2 }
 * ```
 */
export function robustness(
  x: Tensor,
  distance: Tensor,
  { norm = 'l2' }: { norm?: NormName } = {},
): { rho: number; examples: number } {
  if (distance.shape.join() !== String(x.shape[0]))
    throw new SparringError(
      'SHAPE_MISMATCH',
      `robustness: expected distances [${x.shape[0]}], received [${distance.shape.join(',')}]`,
    );
  const lengths = scope(() => norms[norm].length(asRows(x, x.shape.slice(1))).data());
  const found = Array.from(distance.data(), (size, i) => [size, lengths[i]!] as const).filter(
    ([size]) => size < Infinity,
  );
  const total = (at: 0 | 1): number => found.reduce((sum, pair) => sum + pair[at], 0);
  return { rho: total(0) / total(1), examples: found.length };
}
