import * as v from 'valibot';
import { norms, perturbed } from '../adversary/norms.js';
import { directions } from '../adversary/perturbations.js';
import { crossEntropyLoss } from '../nn/losses.js';
import type { Module } from '../nn/module.js';
import { layersOf, split } from '../nn/split.js';
import { mul } from '../tensor/ops.js';
import { defineMethod, evaluating, lengthEntries } from './method.js';

const schema = v.strictObject({
  layer: v.optional(v.string()),
  ...lengthEntries,
  perturbation: v.optional(v.picklist(['loss', 'alpha']), 'loss'),
});

/** Settings of {@link lwaRep}. */
export type LwaRepOptions = v.InferInput<typeof schema>;

/** The second layer with parameters: what is below it is the smallest representation that is learned. */
function usualLayer(model: Module): string | undefined {
  return layersOf(model).filter(({ module }) => module.parameters().length > 0)[1]?.names[0];
}

/**
 * Learning with adversary at a representation (paper, Algorithm 3): the network is split in two, and the output of the
 * part below is moved, as {@link lwa} moves inputs, against the part above. The network learns through both parts, the
 * perturbation held fixed.
 *
 * `layer` is the first layer of the part above, by its name in the state dict (`'2'`; `'1.0'` in a Sequential inside);
 * by default the second layer with parameters. With the first layer it is {@link lwa}. `epsilon` (1.5) is a length in the
 * representation, `norm` (l2) the norm there.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible options; when training begins, for a layer that the
 * network does not have, listing those it has.
 *
 * @example
 * ```ts
 * import { datasets, methods, models, train } from 'sparring';
 *
 * const { train: examples } = await datasets.sample();
 * const model = models.mlp({ hidden: [16, 16], seed: 1 });
 * const method = methods.lwaRep({ layer: '4', epsilon: 0.5 });
 * for await (const event of train(model, examples, { method })) {
 *   if (event.type === 'summary') console.log(event.method); // lwaRep
 * }
 * ```
 */
export const lwaRep = defineMethod('lwaRep', schema, ({ layer, epsilon, norm: name, perturbation }) => {
  const [norm, rule] = [norms[name], directions[perturbation]];
  return ({ model, x, y }) => {
    const { below, above } = split(model, layer ?? usualLayer(model) ?? '');
    const r = evaluating(model, () => mul(rule(above, below.forward(x), y, norm).direction, epsilon));
    return () => crossEntropyLoss(above.forward(perturbed(below.forward(x), r, { norm })), y);
  };
});
