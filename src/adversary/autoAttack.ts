/** AutoAttack: the standard protocol by which robustness is measured. */
import * as v from 'valibot';
import type { Tensor } from '../tensor/tensor.js';
import { apgd, apgdDlr, apgdT } from './apgd.js';
import {
  atLeastOne,
  attackEntries,
  defineAttack,
  epsilonEntry,
  guardFinite,
  seedEntry,
  type AttackOptions,
  type DefinedAttack,
} from './attack.js';
import { fab } from './fab.js';
import type { Norm } from './norms.js';
import { square } from './square.js';
import { worstCase, type Member, type WorstCaseResult } from './worstCase.js';

/** Options of {@link autoAttack}. */
export interface AutoAttackOptions extends AttackOptions {
  /** The length of the perturbations, in the norm and the units of the inputs. */
  epsilon: number;
  /** `standard` (default), or `rand` for networks that act at random. */
  version?: 'standard' | 'rand';
  /** Steps of each run of apgd and fab, 100 by default, as the protocol has it: fewer make another, weaker attack. */
  steps?: number;
  /** Evaluations that square gives an input, 5000 by default, as the protocol has it. Nothing to `rand`. */
  queries?: number;
  /** Of the random numbers, 0 by default. */
  seed?: number;
}

const schema = v.strictObject({
  ...attackEntries,
  epsilon: epsilonEntry,
  version: v.optional(v.picklist(['standard', 'rand']), 'standard'),
  steps: v.optional(atLeastOne, 100),
  queries: v.optional(atLeastOne, 5000),
  seed: seedEntry,
});

type Settings = v.InferOutput<typeof schema>;

/** The attacks in their order. L1, where the ascent is the hardest, starts oftener and leads to fewer classes. */
const protocols: Record<Settings['version'], (settings: Settings, norm: Norm['name']) => Member[]> = {
  standard: ({ steps, queries }, norm) => [
    { name: 'apgd', attack: apgd, options: { steps, restarts: norm === 'l1' ? 5 : 1 } },
    { name: 'apgdT', attack: apgdT, options: { steps, classes: norm === 'l1' ? 5 : 9 } },
    { name: 'fabT', attack: fab, options: { steps, targets: 9 } },
    { name: 'square', attack: square, options: { queries } },
  ],
  rand: ({ steps }) => [
    { name: 'apgd', attack: apgd, options: { steps, eot: 20 } },
    { name: 'apgdDlr', attack: apgdDlr, options: { steps, eot: 20 } },
  ],
};

/**
 * AutoAttack (Croce and Hein 2020; for l1 2021), the standard protocol: apgd with the cross-entropy, apgdT, FAB-T and
 * square, in this order, each on what has withstood those before. 100 steps, one start and 9 targets, 5000 queries of
 * square; for l1 5 starts of apgd and 5 targets of apgdT. `rand`, for networks that act at random: apgd with the
 * cross-entropy and with the difference of logits ratio, each gradient the mean of 20. An input counts as broken when one of
 * the attacks breaks it. Where there are too few classes for a loss another takes its place, which is warned of
 * (`SPARRING_FEW_CLASSES`).
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `version` (standard), `steps` (100), `queries` (5000), `seed` (0), `clip`,
 * `batchSize`, `rows`, `signal`.
 * @returns The result of every attack; `by`, which of the attacks was the first to succeed, counted from 0; `queriesBy`,
 * what each of them cost; and `failed`. See `worstCase`.
 * @throws SparringError as `pgd` does.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Logits 0 and 3 x + 4 y - 5, and two that never win: the origin is 1 away from the boundary.
 * const model = new nn.Linear(2, 4).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4], [0, 0], [0, 0]]), bias: tensor([0, -5, -8, -9]) });
 * const quick = { steps: 10, queries: 20 };
 * const near = await attacks.autoAttack(model, tensor([[0, 0]]), [0], { epsilon: 0.99, ...quick });
 * const far = await attacks.autoAttack(model, tensor([[0, 0]]), [0], { epsilon: 1.01, ...quick });
 * console.log(near.by.item(), far.by.item()); // -1 0
 * ```
 */
export const autoAttack: DefinedAttack<AutoAttackOptions, WorstCaseResult> = defineAttack<
  typeof schema,
  AutoAttackOptions,
  WorstCaseResult
>('autoAttack', schema, (settings, { model, norm, plan, signal }) => {
  const { epsilon, clip, seed, batchSize } = settings;
  const all = worstCase(protocols[settings.version](settings, norm.name));
  const shared = { norm: norm.name, epsilon, seed, batchSize, ...(clip && { clip }), ...(signal && { signal }) };
  const glance = plan((x: Tensor) => ({ logits: model.forward(x) }));
  return async (x, y, examples) => {
    const rows = examples.data() as Int32Array;
    const { logits } = await glance(x);
    // Here, that it be told under this name and not that of the first attack.
    guardFinite('autoAttack', logits, rows);
    return all(model, x, y, { ...shared, rows });
  };
});
