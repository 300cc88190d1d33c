import { reachBound } from '../nn/bounds.js';
import { Module } from '../nn/module.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AttackContext } from './attack.js';

/** Backward rows that finding the bounds costs, about. */
const worthwhile = 4000;

/**
 * What is known of how far a network's logits reach, see {@link reachBound}: where it is asked for, and by default where there
 * are so many examples and classes that it spares more work than it takes.
 */
export async function reachOf(
  { model, examples, classes, plan }: AttackContext,
  wished = examples * (classes - 3) >= worthwhile,
): Promise<Tensor | undefined> {
  if (!wished || !(model instanceof Module)) return undefined;
  const { reach } = await plan((): { reach?: Tensor } => {
    const found = reachBound(model);
    return found === undefined ? {} : { reach: found };
  })();
  return reach;
}
