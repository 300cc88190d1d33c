import { reachBound } from '../nn/bounds.js';
import { Module } from '../nn/module.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AttackContext } from './attack.js';

/** What is known of how far a network's logits reach, if anything. */
export type ReachOf = (context: AttackContext) => Promise<Tensor | undefined> | undefined;

/** Backward rows that finding the bounds costs, about. */
const worthwhile = 4000;

/** {@link reachBound} of the network, where there are enough examples and classes that it spares more work than it takes. */
export const reachWhereWorthwhile: ReachOf = async ({ model, examples, classes, plan }) => {
  if (!(model instanceof Module) || examples * (classes - 3) < worthwhile) return undefined;
  let known = false;
  const { reach } = await plan((): { reach?: Tensor } => {
    const reach = reachBound(model);
    known = reach !== undefined;
    return known ? { reach: reach! } : {};
  })();
  return reach;
};
