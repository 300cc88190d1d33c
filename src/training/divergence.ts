/** The divergence of a network's answers as something to climb: what VAT and TRADES look for. */
import { asRows } from '../adversary/norms.js';
import type { DirectionRule } from '../adversary/perturbations.js';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';

/** 1 for the class that logits [B, K] name. */
export const topOf = (logits: Tensor): Tensor =>
  ops.oneHot(ops.argmax(logits), {
    classes: logits.shape[1]!,
    dtype: logits.dtype === 'float64' ? 'float64' : 'float32',
  });

/** What the class that the network names loses to the others, in its place: exact also where its probability rounds to 1. */
export function balanced(others: Tensor, top: Tensor): Tensor {
  const gained = ops.where(top, 0, others);
  return ops.where(top, ops.neg(ops.sum(gained, { axes: [-1], keepDims: true })), gained);
}

/** The gradient of KL(p ‖ q) by the logits of q. */
export const divergenceCotangent = (p: Tensor, q: Tensor): Tensor =>
  balanced(ops.sub(ops.softmax(q), ops.softmax(p)), topOf(p));

/** The way the answers depart fastest from given ones, the logits of p. */
export const divergenceDirection =
  (p: Tensor): DirectionRule =>
  (model, x, _, norm) => {
    const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), x);
    const rows = asRows(pullback(divergenceCotangent(p, logits)), x.shape.slice(1));
    return { logits, direction: norm.steepest(rows), backwards: ops.ones([x.shape[0]!], { dtype: 'int32' }) };
  };
