/** Propositions 2.1 and 2.2 and the likelihood's direction in plain float64, one example at a time. */
import type { NormName } from '../../src/index.js';
import { argmaxOf, dual, length, minus } from './networks.js';

/** What the smallest perturbation that lets a class win in the linearised network is like. */
export interface Smallest {
  /** The class. */
  target: number;
  length: number;
  /** Of length 1 in the norm. */
  direction: number[];
}

/** The r of length 1 with the largest inner product with u. */
export function steepest(u: readonly number[], norm: NormName): number[] {
  if (norm === 'l2') return u.map((value) => value / length.l2(u));
  if (norm === 'linf') return u.map(Math.sign);
  const winner = argmaxOf(u.map(Math.abs));
  return u.map((value, i) => (i === winner ? Math.sign(value) : 0));
}

/** Σ over k ≠ `own` of e^{z_k - m} (Z_k - Z_own), with m the largest of those z_k. */
function mixture(logits: readonly number[], rows: readonly number[][], own: number): number[] {
  const others = logits.map((_, k) => k).filter((k) => k !== own);
  const most = Math.max(...others.map((k) => logits[k]!));
  return rows[0]!.map((_, i) =>
    others.reduce((sum, k) => sum + Math.exp(logits[k]! - most) * (rows[k]![i]! - rows[own]![i]!), 0),
  );
}

/** The way the loss of a label grows fastest: -T_y up to a factor. */
export const ascentOf = (logits: readonly number[], rows: readonly number[][], label: number): number[] =>
  mixture(logits, rows, label);

/**
 * For every class but the predicted one the smallest perturbation (Proposition 2.1): with α_k = α_J e^{z_k - z_J} and
 * everything divided by e^{m - z_J},
 *
 *     T_j - T_J = α_j D_j + (α_J - α_j) Σ_k α_k D_k,   α_J - α_j = α_J (1 - e^{z_j - z_J}).
 *
 * `log` lengths are the logarithms: they are finite however confident the network is.
 */
export function perClass(
  logits: readonly number[],
  rows: readonly number[][],
  norm: NormName,
): (Smallest & { log: number })[] {
  const top = argmaxOf(logits);
  const most = Math.max(...logits.filter((_, k) => k !== top));
  const total = logits.reduce((sum, z) => sum + Math.exp(z - logits[top]!), 0);
  const mixed = mixture(logits, rows, top).map((value) => value / total); // Σ α_k D_k / e^{m - z_J}
  return logits.flatMap((z, target) => {
    if (target === top) return [];
    const gap = -Math.expm1(z - logits[top]!);
    const toward = minus(rows[target]!, rows[top]!);
    const difference = toward.map((value, i) => Math.exp(z - most) * value + gap * mixed[i]!);
    const log = Math.log(gap) - Math.log(dual[norm](difference)) - (most - logits[top]!);
    return [{ target, length: Math.exp(log), log, direction: steepest(difference, norm) }];
  });
}

/** The same for the linearised logits. */
export function perClassOfLogits(logits: readonly number[], rows: readonly number[][], norm: NormName): Smallest[] {
  const top = argmaxOf(logits);
  return logits.flatMap((z, target) => {
    if (target === top) return [];
    const toward = minus(rows[target]!, rows[top]!);
    return [{ target, length: (logits[top]! - z) / dual[norm](toward), direction: steepest(toward, norm) }];
  });
}

/** The shortest (Proposition 2.2). */
export const shortest = <S extends Smallest>(all: readonly S[]): S =>
  all.reduce((best, each) => (each.length < best.length ? each : best));
