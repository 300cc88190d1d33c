/**
 * Algorithm 1 of the paper: the smallest perturbation at which the linearised network names another class. Written so
 * that it is exact however confident the network is; see {@link minimalOfLinearization}.
 */
import { vjp, type Classifier } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { asRows, nonZero, type Norm } from './norms.js';

/**
 * The cotangent of the logits that gives the loss's gradient by the input up to a positive factor, [B, K]. The
 * cross-entropy's own gradient is 1 - α_y times that of log Σ_{k≠y} e^{z_k} - z_y: the factor, which rounds to zero in a
 * confident network, is left out.
 */
export function ascentCotangent(logits: Tensor, labels: Tensor): Tensor {
  const classes = logits.shape[1]!;
  const label = ops.oneHot(labels, { classes, dtype: logits.dtype === 'float64' ? 'float64' : 'float32' });
  return ops.sub(ops.softmax(ops.where(label, -Infinity, logits)), label);
}

/** What is linearised: the probabilities, as in the paper, or the logits, whose lengths are distances. */
export type Linearize = 'probabilities' | 'logits';

/** A perturbation for each example: its direction, of length 1, and how long it is. */
export interface Perturbation {
  /** The logits of the inputs, [B, K]. */
  logits: Tensor;
  /** Unit directions, [B, D]; 0 where no direction leads anywhere. */
  direction: Tensor;
  /** Lengths, float64 [B]; infinite where no direction leads anywhere. They may be astronomic: see `linearize`. */
  length: Tensor;
  /** The class that each leads to, int32 [B]. */
  target: Tensor;
}

/**
 * The class constraints as cotangents of the logits. For class j the constraint (T_j - T_J)·r >= α_J - α_j, divided by
 * its right side, is u_j·r >= 1. With d_k = z_k - z_J and D_k = Z_k - Z_J,
 *
 *     u_j = Σ_{k≠J} α_k D_k + a_j D_j,   a_j = α_j / (α_J - α_j) = e^{d_j} / (1 - e^{d_j}),
 *
 * and multiplied by (1 - e^{d_j}) e^{-m}, m the largest d_k of a runner-up, every weight is between 0 and 1 and nothing
 * cancels: the direction is that of the sum over k of the rows' weights, and ‖r_j‖ = (1 - e^{d_j}) e^{-m} / ‖row_j‖*.
 */
function constraints(
  logits: Tensor,
  predicted: Tensor,
  linearize: Linearize,
): { rows: Tensor; gaps: Tensor; scale: Tensor } {
  const [batch, classes] = logits.shape as [number, number];
  const z = ops.cast(logits, 'float64');
  const top = ops.oneHot(predicted, { classes, dtype: 'float64' });
  const own = ops.takeAlong(z, ops.reshape(predicted, [batch, 1]));
  const d = ops.sub(z, own);
  const each = ops.reshape(ops.oneHot(ops.range(classes), { classes, dtype: 'float64' }), [classes, 1, classes]);
  const toward = ops.sub(each, ops.reshape(top, [1, batch, classes])); // e_j - e_J, [K, B, K]
  if (linearize === 'logits')
    return { rows: toward, gaps: ops.neg(d), scale: ops.zeros([batch, 1], { dtype: 'float64' }) };
  const others = ops.where(top, -Infinity, d);
  const runnerUp = ops.max(others, { axes: [-1], keepDims: true });
  const relative = ops.exp(ops.sub(others, runnerUp)); // e^{d_k - m}, 0 for J
  const total = ops.sum(ops.exp(others), { axes: [-1], keepDims: true });
  const weights = ops.div(relative, ops.affine(total, 1, 1)); // α_k e^{-m}
  const mixed = ops.sub(weights, ops.mul(top, ops.sum(weights, { axes: [-1], keepDims: true }))); // Σ α_k (e_k - e_J) e^{-m}
  const gaps = ops.affine(ops.exp(d), -1, 1); // 1 - e^{d_j}
  const column = (x: Tensor): Tensor => ops.reshape(ops.permute(x, [1, 0]), [classes, batch, 1]);
  const rows = ops.add(
    ops.mul(column(gaps), ops.reshape(mixed, [1, batch, classes])),
    ops.mul(column(relative), toward),
  );
  return { rows, gaps, scale: ops.neg(runnerUp) };
}

/**
 * The minimal perturbation of the linearised network for each example (Propositions 2.1 and 2.2): of the classes j ≠ J
 * the one whose r_j is shortest, by one batched backward pass over all of them. It may be traced into a plan.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param from - The class to leave, int32 [B]; by default the predicted one.
 * @param labels - With labels, int32 [B], misclassified inputs, for which Algorithm 1 is not defined, get the direction in
 * which their loss grows fastest. It is pulled back in the place of class J, whose row no constraint uses.
 */
export function minimalOfLinearization(
  model: Classifier,
  x: Tensor,
  { norm, linearize, from, labels }: { norm: Norm; linearize: Linearize; from?: Tensor; labels?: Tensor },
): Perturbation {
  const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), x);
  const [batch, classes] = logits.shape as [number, number];
  const predicted = from ?? ops.argmax(logits);
  const { rows, gaps, scale } = constraints(logits, predicted, linearize);
  const top = ops.oneHot(predicted, { classes, dtype: 'float64' });
  const own = ops.reshape(ops.permute(top, [1, 0]), [classes, batch, 1]);
  const cotangents =
    labels === undefined ? rows : ops.where(own, ops.cast(ascentCotangent(logits, labels), 'float64'), rows);
  const pulled = asRows(pullback(ops.cast(cotangents, logits.dtype)), x.shape.slice(1)); // [K, B, D]
  const duals = ops.permute(ops.cast(norm.dual(pulled), 'float64'), [1, 0]); // [B, K]
  const reachable = ops.mul(ops.greater(duals, 0), ops.affine(top, -1, 1));
  const lengths = ops.where(reachable, ops.div(gaps, nonZero(duals)), Infinity);
  const nearest = ops.argmin(lengths);
  const target = labels === undefined ? nearest : ops.where(ops.equal(predicted, labels), nearest, predicted);
  const picked = ops.reshape(target, [batch, 1]);
  const places = ops.add(ops.mul(target, batch), ops.range(batch));
  const chosen = ops.gather(ops.reshape(pulled, [classes * batch, pulled.shape[2]!]), places);
  // e^{-m} is capped where float64 would overflow: such a length means only «far».
  const length = ops.mul(ops.takeAlong(lengths, picked), ops.exp(ops.minimum(scale, 700)));
  return { logits, direction: norm.steepest(chosen), length: ops.reshape(length, [batch]), target };
}
