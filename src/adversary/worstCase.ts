/** Several attacks as one: the worst case of each input. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { parseOptions } from '../options.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import {
  labelled,
  numbered,
  targetClasses,
  type Attack,
  type AttackOptions,
  type AttackResult,
  type Labels,
} from './attack.js';

/** An attack with options of its own, which go before those that all share. */
export interface Member {
  /** What it is called. */
  name: string;
  attack: Attack<never>;
  options?: Readonly<Record<string, unknown>>;
}

/** What {@link worstCase} gives. */
export interface WorstCaseResult extends AttackResult {
  /** Which of the attacks, counted from 0, was the first to succeed; -1 where none did, -2 where none was needed; int32 [B]. */
  by: Tensor;
  /** How often each of the attacks evaluated the network for each input, in their order; int32 [B, attacks]. */
  queriesBy: Tensor;
  /** 1 where the network gave logits that are not finite during an attack that reports it; int32 [B]. */
  failed: Tensor;
  /**
   * 1 where an attack that pulled nothing back succeeded on what all those that did had left, so that the gradients may
   * mislead; int32 [B].
   */
  blackBoxOnly: Tensor;
}

/** How the attacks follow one another. */
export interface WorstCaseOptions {
  /** Whether an attack sees only what has withstood those before (default), or everything. */
  survivorsOnly?: boolean;
}

const schema = v.strictObject({ survivorsOnly: v.optional(v.boolean(), true) });

/** What is known of all inputs, in memory of our own: results are put together row by row. */
interface Tally {
  success: Int32Array;
  by: Int32Array;
  queries: Int32Array;
  queriesBy: Int32Array;
  backwards: Int32Array;
  failed: Int32Array;
  blackBoxOnly: Int32Array;
  lengths: Float64Array;
}

/**
 * Makes one attack of several: an input counts as broken when one of them breaks it, and keeps the adversarial input of
 * the first that does; where none does, that of the last that moved it. Each attack sees only the survivors of those
 * before it, or all inputs when asked; inputs keep their numbers, so that their company changes nothing. Queries and
 * backwards are those of all the attacks together.
 *
 * @param members - The attacks in their order, with options of their own.
 * @param options - `survivorsOnly` (true).
 * @returns An attack. Its options are given to every member, and are overruled by a member's own.
 * @throws SparringError when there is no attack, and whatever the attacks refuse.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform, worstCase } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const both = worstCase([
 *   { name: 'fgsm', attack: attacks.fgsm },
 *   { name: 'pgd', attack: attacks.pgd, options: { steps: 10, restarts: 2 } },
 * ]);
 * const { by } = await both(model, uniform([4, 8], { seed: 2 }), [0, 1, 2, 0], { epsilon: 0.1, norm: 'linf' });
 * console.log(by.shape); // [4]
 * ```
 */
export function worstCase(
  members: readonly Member[],
  options?: WorstCaseOptions,
): Attack<AttackOptions & Record<string, unknown>, WorstCaseResult> {
  const { survivorsOnly } = parseOptions(schema, options, 'worstCase');
  if (members.length === 0)
    throw new SparringError('INVALID_ARGUMENT', 'worstCase: expected at least one attack, received none');
  return (model, x, labels, given = {}) =>
    scope(async () => {
      const total = x.shape[0] ?? 0;
      const { rows: asked, onProgress, ...shared } = given as AttackOptions & { targets?: Labels | number };
      const rows = asked ?? numbered(total);
      const y = labelled('worstCase', labels);
      const targets = targetClasses('worstCase', shared.targets);
      const whole = (value: number): Int32Array => new Int32Array(total).fill(value);
      const tally: Tally = {
        ...{ success: whole(0), by: whole(-1), queries: whole(0) },
        queriesBy: new Int32Array(total * members.length),
        ...{ backwards: whole(0), failed: whole(0), blackBoxOnly: whole(0), lengths: new Float64Array(total) },
      };
      // Of an attack that was not needed nobody knows.
      const usesGradients = members.map(() => true);
      let adversarial = x;
      for (const [index, { attack, options: own }] of members.entries()) {
        const all = numbered(total);
        // The first attack sees them all, and with them what needs no attack.
        const places = survivorsOnly ? all.filter((place) => tally.success[place] === 0) : all;
        if (places.length === 0) break;
        adversarial = await scope(async () => {
          const at = tensor(places);
          const part = (of: Tensor): Tensor => (places.length === total ? of : ops.gather(of, at));
          const run = attack as unknown as Attack<AttackOptions & Record<string, unknown>>;
          const result = await run(model, part(x), part(y), {
            ...shared,
            ...own,
            rows: Int32Array.from(places, (place) => rows[place]!),
            ...(targets && { targets: part(targets) }),
            onProgress: (done: number, of: number) =>
              onProgress?.(Math.floor(((index + done / of) * total) / members.length), total),
          });
          usesGradients[index] = result.backwards.data().some((rows) => rows > 0);
          const better = note(tally, places, index, result);
          // Of places that an attack has changed, its own rows; of the others those that were there.
          const from = Int32Array.from(all);
          places.forEach((place, row) => {
            if (better[row] === 1) from[place] = total + row;
          });
          return ops.gather(ops.concat([adversarial, result.adversarial]), tensor(from));
        });
      }
      onProgress?.(total, total);
      const last = usesGradients.lastIndexOf(true);
      tally.by.forEach((by, place) => {
        if (by < last) tally.blackBoxOnly[place] = 0;
        else if (by > last && last >= 0) tally.blackBoxOnly[place] = 1;
      });
      const { lengths, queriesBy, ...counts } = tally;
      return {
        adversarial,
        norms: tensor(lengths),
        queriesBy: tensor(queriesBy, { shape: [total, members.length] }),
        ...(Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, tensor(value)])) as Omit<
          WorstCaseResult,
          'adversarial' | 'norms' | 'queriesBy'
        >),
      };
    });
}

/** Notes what an attack gave for some inputs; which of its adversarial inputs are to be kept. */
function note(tally: Tally, places: Int32Array, index: number, result: AttackResult): Uint8Array {
  const [success, norms] = [result.success.data(), result.norms.data()];
  const [queries, backwards, failed] = [result.queries.data(), result.backwards.data(), result.failed?.data()];
  const blackBoxOnly = result.blackBoxOnly?.data();
  const kept = new Uint8Array(places.length);
  places.forEach((place, row) => {
    tally.queries[place]! += queries[row]!;
    tally.queriesBy[(place * tally.queriesBy.length) / tally.queries.length + index] = queries[row]!;
    tally.backwards[place]! += backwards[row]!;
    tally.failed[place] = Math.max(tally.failed[place]!, failed?.[row] ?? 0);
    if (tally.success[place] === 1 || (success[row] !== 1 && norms[row] === 0)) return;
    kept[row] = 1;
    tally.lengths[place] = norms[row]!;
    if (success[row] !== 1) return;
    tally.success[place] = 1;
    tally.by[place] = norms[row] === 0 ? -2 : index;
    tally.blackBoxOnly[place] = blackBoxOnly?.[row] ?? 0;
  });
  return kept;
}
