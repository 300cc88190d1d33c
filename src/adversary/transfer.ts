/** Attacks that are made on one network and measured on another. */
import * as v from 'valibot';
import { parseOptions } from '../options.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import * as ops from '../tensor/ops.js';
import {
  guardEvaluating,
  guardFinite,
  labelled,
  measured,
  numbered,
  reached,
  targetClasses,
  type Attack,
  type AttackOptions,
  type AttackResult,
  type Labels,
  type Target,
} from './attack.js';
import { norms } from './norms.js';
import { overPoints } from './search.js';

/** Options of {@link transfer}. */
export interface TransferOptions<Options extends AttackOptions> {
  /** The network that the adversarial inputs are made on. */
  source: Target;
  /** The attack that makes them. */
  attack: Attack<Options>;
}

const schema = v.strictObject({
  source: v.custom<Target>(
    (value) => typeof (value as Target | undefined)?.forward === 'function',
    'expected a network',
  ),
  attack: v.custom<Attack<never>>((value) => typeof value === 'function', 'expected an attack'),
});

/**
 * Makes an attack whose adversarial inputs are made on another network: what succeeds there is tried here. Inputs that
 * the network itself misclassifies are left as they are. Queries are those of the attacked network, two; those of the
 * source cost nothing.
 *
 * @param options - `source`, the network to make adversarial inputs on, and the `attack` that makes them.
 * @returns An attack with the options of the other.
 * @throws SparringError whatever the attack refuses, and for a network in training mode.
 *
 * @example
 * ```ts
 * import { attacks, models, transfer, uniform } from 'sparring';
 *
 * const [source, model] = [1, 2].map((seed) => models.mlp({ inputs: 8, hidden: [16], classes: 3, seed }).eval());
 * const attack = transfer({ source, attack: attacks.pgd });
 * const { queries } = await attack(model, uniform([2, 8], { seed: 2 }), [0, 1], { epsilon: 0.5 });
 * console.log(queries.toArray()); // [2, 2]
 * ```
 */
export function transfer<Options extends AttackOptions>(options: TransferOptions<Options>): Attack<Options> {
  const { source, attack } = parseOptions(schema, options, 'transfer') as unknown as TransferOptions<Options>;
  return (model, x, labels, given) =>
    scope(async (): Promise<AttackResult> => {
      guardEvaluating('transfer', model);
      const made = await attack(source, x, labels, given);
      const { batchSize = 500, norm = 'l2', rows = numbered(x.shape[0]!) } = given ?? {};
      const y = labelled('transfer', labels);
      const targets = targetClasses('transfer', (given as { targets?: Labels | number } | undefined)?.targets);
      const parts: Record<string, Tensor>[] = [];
      for (let start = 0; start < x.shape[0]!; start += batchSize) {
        const end = Math.min(x.shape[0]!, start + batchSize);
        parts.push(
          scope(() => {
            const part = (of: Tensor): Tensor => ops.slice(of, [start], [end]);
            const clean = part(x);
            const logits = model.forward(clean);
            guardFinite('transfer', logits, rows.subarray(start, end));
            const goal = targets === undefined ? {} : { targets: part(targets) };
            const done = reached(logits, part(y), goal.targets);
            const adversarial = ops.where(overPoints(done, clean), clean, part(made.adversarial));
            return measured(model, {
              ...{ x: clean, y: part(y), ...goal, norm: norms[norm] },
              ...{ adversarial, queries: 1, backwards: 0 },
            });
          }),
        );
      }
      return Object.fromEntries(
        Object.keys(parts[0]!).map((key) => [key, ops.concat(parts.map((each) => each[key]!))]),
      ) as unknown as AttackResult;
    });
}
