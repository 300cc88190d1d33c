/** Random noise: what any attack must beat, and what a network that hides its gradients falls to. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import { atLeastOne, type DefinedAttack } from './attack.js';
import { project } from './ball.js';
import { unit } from './norms.js';
import { randomInBall, streams } from './randomPoints.js';
import {
  defineSearch,
  glance,
  iterate,
  judged,
  onRecords,
  searchEntries,
  standingOf,
  whole,
  type SearchOptions,
  type SearchResult,
  type Standing,
} from './search.js';

/** Options of {@link noise}. */
export interface NoiseOptions extends SearchOptions {
  /** `uniform` (default): uniform in the ball. `gaussian`: normal, brought to length epsilon in the norm. */
  distribution?: 'uniform' | 'gaussian';
  /** How often noise is drawn, 1 by default; the worst counts. */
  repeats?: number;
}

const schema = v.strictObject({
  ...searchEntries,
  distribution: v.optional(v.picklist(['uniform', 'gaussian']), 'uniform'),
  repeats: v.optional(atLeastOne, 1),
});

/**
 * Random noise as a control: uniform in the ball or gaussian of its length, the worst of `repeats` draws. It asks for no
 * gradient; an attack that does not beat it is no attack.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `distribution` (uniform), `repeats` (1), `targets`, `seed` (0), `clip`,
 * `batchSize`, `rows`, `signal`.
 * @throws SparringError as `pgd` does.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([2, 8], { seed: 2 });
 * const { backwards } = await attacks.noise(model, x, [0, 1], { epsilon: 0.1, distribution: 'gaussian', repeats: 5 });
 * console.log(backwards.toArray()); // [0, 0]
 * ```
 */
export const noise: DefinedAttack<NoiseOptions, SearchResult> = defineSearch<typeof schema, NoiseOptions>(
  'noise',
  schema,
  ({ distribution, repeats, seed, epsilon }, { model, norm, plan, region, goalOf, signal }) => {
    const draw = onRecords(plan, ({ x, rows, tick, ...given }) => {
      const shape = [x!.shape[0]!, x!.size / x!.shape[0]!] as [number, number];
      const source = {
        ...{ seed, rows: rows!, tick: tick!, stream: streams.start },
        dtype: x!.dtype as 'float32' | 'float64',
      };
      const drawn =
        distribution === 'uniform' ? randomInBall(shape, norm, source) : unit(ops.normal(shape, source), norm);
      const at = project(x!, ops.affine(drawn, epsilon), region);
      return judged(
        given as unknown as Standing,
        at,
        glance(model, { seed }, at, { rows: rows!, tick: tick! }),
        goalOf(given),
      );
    });
    return async (examples, standing) =>
      standingOf(
        await iterate(
          examples,
          standing,
          repeats,
          (here, now, tick) => draw({ ...here, ...now, tick: whole(tick) }),
          signal,
        ),
      );
  },
);
