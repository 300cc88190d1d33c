/** The paper's fixed-budget perturbations (section 3.1) as tensor programs: unit directions, to be scaled by epsilon. */
import { vjp, type Classifier } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { ascentCotangent, minimalOfLinearization } from './linearization.js';
import { asRows, norms, nonZero, type Norm } from './norms.js';

/** Which way to push each example. */
export interface Direction {
  /** The logits of the inputs, [B, K]. */
  logits: Tensor;
  /** [B, D], of length 1 in the norm; 0 where there is no gradient. */
  direction: Tensor;
  /** How many rows were pulled back for each example, int32 [B]. */
  backwards: Tensor;
}

/**
 * A rule that finds directions for a network, inputs [B, ...] and labels int32 [B]. What is known of the network's `reach`,
 * see {@link minimalOfLinearization}, may spare it work.
 */
export type DirectionRule = (model: Classifier, x: Tensor, y: Tensor, norm: Norm, reach?: Tensor) => Direction;

/** The gradient of the loss by the input, up to a positive factor, [B, D], and the logits. */
export function ascent(model: Classifier, x: Tensor, y: Tensor): { logits: Tensor; rows: Tensor; backwards: Tensor } {
  const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), x);
  return {
    logits,
    rows: asRows(pullback(ascentCotangent(logits, y)), x.shape.slice(1)),
    backwards: ops.ones([x.shape[0]!], { dtype: 'int32' }),
  };
}

/** Adv_Loss: the way the linearised likelihood of the label falls fastest; L∞ gives the fast gradient sign. */
export const lossDirection: DirectionRule = (model, x, y, norm) => {
  const { rows, ...found } = ascent(model, x, y);
  return { ...found, direction: norm.steepest(rows) };
};

/** The signs of rows, brought to length 1 in a norm. */
export function signDirection(rows: Tensor, norm: Norm): Tensor {
  const signs = norms.linf.steepest(rows);
  const lengths = norm.length(signs);
  return ops.div(signs, ops.reshape(nonZero(lengths), [...lengths.shape, 1]));
}

/** Adv_Loss_Sign: the sign of the gradient, brought to length 1 in the norm. */
export const lossSignDirection: DirectionRule = (model, x, y, norm) => {
  const { rows, ...found } = ascent(model, x, y);
  return { ...found, direction: signDirection(rows, norm) };
};

/**
 * Adv_Alpha: the way to the nearest class of the linearised network, by Algorithm 1. Misclassified inputs, for which it
 * is not defined, take the Adv_Loss direction.
 */
export const alphaDirection: DirectionRule = (model, x, y, norm, reach) =>
  minimalOfLinearization(model, x, { norm, linearize: 'probabilities', labels: y, reach });

/** The rules by name: the likelihood's, its sign, and the misclassification's. */
export const directions = { loss: lossDirection, lossSign: lossSignDirection, alpha: alphaDirection };
