import * as v from 'valibot';
import { atLeastOne } from '../adversary/attack.js';
import { asRows, norms, perturbed } from '../adversary/norms.js';
import { grad, vjp } from '../autodiff/autodiff.js';
import { crossEntropyLoss, klDivergence } from '../nn/losses.js';
import type { Module } from '../nn/module.js';
import { forRows, nextRandomness } from '../nn/randomness.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { balanced, divergenceCotangent, topOf } from './divergence.js';
import { defineMethod, evaluating, lengthEntries, weightEntry } from './method.js';

const schema = v.strictObject({
  ...lengthEntries,
  weight: v.optional(weightEntry, 1),
  iterations: v.optional(atLeastOne, 1),
  hessian: v.optional(v.picklist(['difference', 'exact']), 'difference'),
  xi: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (length) => length > 0 && Number.isFinite(length),
        ({ input }) => `expected a length above 0, received ${input}`,
      ),
    ),
    0.01,
  ),
});

/** Settings of {@link vat}. */
export type VatOptions = v.InferInput<typeof schema>;
type Settings = v.InferOutput<typeof schema>;

/**
 * The Hessian of the divergence by the input, at the input, times a direction [B, D], up to a positive factor. With J the
 * Jacobian of the logits it is Jᵀ (diag p - p pᵀ) J: at the input the divergence has no slope, and J's own curvature no
 * part in it.
 */
const curvatures = {
  // For that reason the gradient a little aside is the Hessian times that little.
  difference: (model: Module, x: Tensor, logits: Tensor, d: Tensor, xi: number): Tensor => {
    const { value, pullback } = vjp((input: Tensor) => model.forward(input), ops.add(x, ops.mul(d, xi)));
    return pullback(divergenceCotangent(logits, value));
  },
  // J d is the slope of <Jᵀ u, d> by u.
  exact: (model: Module, x: Tensor, logits: Tensor, d: Tensor): Tensor => {
    const { pullback } = vjp((input: Tensor) => model.forward(input), x);
    const along = grad((u: Tensor) => ops.sum(ops.mul(pullback(u), d)))(logits);
    const top = topOf(logits);
    const totals = { axes: [-1], keepDims: true };
    const others = ops.sub(along, ops.sum(ops.mul(along, top), totals));
    const p = ops.softmax(logits);
    return pullback(balanced(ops.mul(p, ops.sub(others, ops.sum(ops.mul(p, others), totals))), top));
  },
};

/** The logits of inputs, and the inputs moved to where the network's answer changes most: both to be held fixed. */
function farthest(model: Module, x: Tensor, settings: Settings): { logits: Tensor; adversarial: Tensor } {
  const { epsilon, norm: name, iterations, hessian, xi } = settings;
  const [norm, dtype] = [norms[name], x.dtype === 'float64' ? 'float64' : 'float32'] as const;
  const example = x.shape.slice(1);
  return evaluating(model, () => {
    const logits = model.forward(x);
    let d = norms.l2.steepest(asRows(ops.normal(x.shape, { dtype, ...nextRandomness() }), example));
    for (let i = 0; i < iterations; i++)
      d = norms.l2.steepest(asRows(curvatures[hessian](model, x, logits, ops.reshape(d, x.shape), xi), example));
    return { logits, adversarial: perturbed(x, ops.mul(norm.steepest(d), epsilon), { norm }) };
  });
}

/**
 * Virtual adversarial training (Miyato et al. 2015, distributional smoothing): to the loss of the clean batch comes, times
 * `weight` (1), the divergence KL(p(x) ‖ p(x + r)) of the network's answers, p(x) held fixed. r, of length `epsilon` (1.5)
 * in the `norm` (l2), is the direction in which the answers change most: the first eigenvector of the divergence's
 * Hessian, approached from a random direction by `iterations` (1) of the power method. The Hessian is multiplied by the
 * `difference` of gradients at a distance `xi` (.01), or `exact`ly, by differentiating twice.
 *
 * The divergence needs no labels: examples without any may be given to {@link train} as `unlabelled`; then it is the mean
 * over both.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { datasets, methods, models, split, train } from 'sparring';
 *
 * const { train: examples } = await datasets.sample();
 * const [labelled, unlabelled] = split(examples, { sizes: [50, 450], seed: 1 });
 * const model = models.mlp({ hidden: [16], seed: 1 });
 * const method = methods.vat({ epsilon: 1 });
 * for await (const event of train(model, labelled, { method, unlabelled })) {
 *   if (event.type === 'summary') console.log(event.method); // vat
 * }
 * ```
 */
export const vat = defineMethod(
  'vat',
  schema,
  (settings) =>
    ({ model, x, y, unlabelled }) => {
      const own = farthest(model, x, settings);
      const others = unlabelled && forRows(unlabelled.rows, () => farthest(model, unlabelled.x, settings));
      const changes = ({ logits, adversarial }: typeof own): Tensor => klDivergence(logits, model.forward(adversarial));
      return () => {
        const loss = crossEntropyLoss(model.forward(x), y);
        const all = [changes(own), ...(unlabelled ? [forRows(unlabelled.rows, () => changes(others!))] : [])];
        return ops.add(loss, ops.affine(ops.mean(ops.concat(all)), settings.weight));
      };
    },
  { takesUnlabelled: true },
);
