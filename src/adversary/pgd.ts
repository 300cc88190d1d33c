/** Projected gradient ascent and its relatives: PGD, the iterative fast gradient method, and the one with momentum. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne, type DefinedAttack } from './attack.js';
import { project } from './ball.js';
import { guardClasses, lossNames, type LossName } from './losses.js';
import { asRows, norms, unit } from './norms.js';
import { randomInBall, streams } from './randomPoints.js';
import {
  defineSearch,
  eotEntry,
  glance,
  iterate,
  judged,
  look,
  onRecords,
  searchEntries,
  standingOf,
  whole,
  type Search,
  type SearchContext,
  type SearchOptions,
  type SearchResult,
  type Standing,
} from './search.js';

/** Options of the attacks that climb by gradient steps of a given length. */
export interface GradientStepsOptions extends SearchOptions {
  /** How many steps: 40 for pgd, 10 for the others. */
  steps?: number;
  /** The length of a step in the norm: 2.5 epsilon / steps for pgd, epsilon / steps for the others. */
  stepSize?: number;
  /** What the steps make grow, the cross-entropy by default. `dlr` needs 3 classes, with targets 4. */
  loss?: LossName;
  /** Over how many evaluations of a network that acts at random the gradient of each step is averaged; 1 by default. */
  eot?: number;
}

/** Options of {@link pgd}. */
export interface PgdOptions extends GradientStepsOptions {
  /** Whether to start at a random point of the ball (default) or at the input. */
  randomStart?: boolean;
  /** How often to start, 1 by default: again only for what has withstood so far. */
  restarts?: number;
}

/** Options of {@link momentum}. */
export interface MomentumOptions extends GradientStepsOptions {
  /** How much of the sum of the gradients before is kept at each step, 1 by default. */
  decay?: number;
}

const stepSize = v.pipe(
  v.number(),
  v.check(
    (length) => length > 0 && Number.isFinite(length),
    ({ input }) => `expected a length of more than 0, received ${input}`,
  ),
);

const gradientEntries = {
  ...searchEntries,
  stepSize: v.optional(stepSize),
  loss: v.optional(v.picklist(lossNames), 'crossEntropy'),
  eot: eotEntry,
};

/** What remains of a gradient where the range still lets the points follow it. */
function followable(gradient: Tensor, points: Tensor, clip: readonly [number, number] | undefined): Tensor {
  if (clip === undefined) return gradient;
  const rows = asRows(points, points.shape.slice(1));
  const room = ops.where(ops.greater(gradient, 0), ops.less(rows, clip[1]), ops.greater(rows, clip[0]));
  return ops.where(room, gradient, 0);
}

/** The numbers in which these attacks differ. */
interface Steps {
  steps: number;
  stepSize: number;
  loss: LossName;
  eot: number;
  seed: number;
  restarts?: number;
  randomStart?: boolean;
  /** Without it each step takes the direction of its own gradient. */
  decay?: number;
}

/** The search by gradient steps: a step, with forward pass, backward pass and update, is one plan. */
function climb(
  name: string,
  { steps, stepSize, loss, eot, seed, restarts = 1, randomStart = false, decay }: Steps,
  { model, norm, plan, region, goalOf, isTargeted, signal }: SearchContext,
): Search {
  const begin = onRecords(plan, ({ x, rows, tick }) => {
    const shape = [x!.shape[0]!, x!.size / x!.shape[0]!] as [number, number];
    const dtype = x!.dtype as 'float32' | 'float64';
    const source = { seed, rows: rows!, tick: tick!, dtype, stream: streams.start };
    const away = ops.affine(randomInBall(shape, norm, source), region.epsilon);
    return {
      at: randomStart ? project(x!, away, region) : ops.affine(x!, 1),
      ...(decay !== undefined && { velocity: ops.zeros(shape, { dtype }) }),
    };
  });
  const step = onRecords(plan, ({ x, y, goal, rows, tick, at, velocity, ...standing }) => {
    const sought = goalOf({ y: y!, goal: goal! });
    const seen = look(model, { loss, eot, seed }, at!, sought, { rows: rows!, tick: tick! });
    const uphill = velocity ? ops.add(ops.affine(velocity, decay!), unit(seen.gradient, norms.l1)) : seen.gradient;
    // An l1 step moves one entry only: if that one could not move any further, none would.
    const direction = norm.steepest(norm.name === 'l1' ? followable(uphill, at!, region.clip) : uphill);
    const moved = ops.add(asRows(ops.sub(at!, x!), x!.shape.slice(1)), ops.affine(direction, stepSize));
    return {
      ...judged(standing as Standing, at!, seen, sought),
      at: project(x!, moved, region),
      ...(velocity && { velocity: uphill }),
    };
  });
  const last = onRecords(plan, ({ y, goal, rows, tick, at, ...standing }) => {
    const seen = glance(model, { eot, seed }, at!, { rows: rows!, tick: tick! });
    return judged(standing as Standing, at!, seen, goalOf({ y: y!, goal: goal! }));
  });
  return async (examples, standing, logits) => {
    guardClasses(name, loss, logits.shape[1]!, isTargeted);
    let known = standing;
    for (let restart = 0; restart < restarts; restart++) {
      const begun = await begin({ x: examples.x, rows: examples.rows, tick: whole(restart) });
      const ended = await iterate<Standing>(
        examples,
        { ...known, ...begun },
        steps + 1,
        (here, now, at) => {
          const tick = whole(restart * (steps + 1) + at);
          return at < steps
            ? step({ ...here, ...now, tick })
            : last({ ...here, ...standingOf(now), at: now.at!, tick });
        },
        signal,
      );
      known = standingOf(ended);
    }
    return known;
  };
}

const pgdSchema = v.strictObject({
  ...gradientEntries,
  steps: v.optional(atLeastOne, 40),
  randomStart: v.optional(v.boolean(), true),
  restarts: v.optional(atLeastOne, 1),
});

/**
 * Projected gradient ascent (Madry et al. 2018): steps of a given length in the direction in which the loss grows
 * fastest, each followed by the projection onto the ball and the range, from a random point of the ball. Of the points
 * on the way the first that succeeds is kept, or else the one that came nearest to it; inputs that succeed already are
 * left as they are, and what is broken costs no more evaluations.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `steps` (40), `stepSize` (2.5 epsilon / steps), `restarts` (1), `randomStart`
 * (true), `loss` (crossEntropy), `targets`, `eot` (1), `seed` (0), `clip`, `batchSize`, `rows`, `signal`.
 * @throws SparringError as every attack does (see `advAlpha`), for a loss that needs more classes, and with `clip` for an
 * epsilon beyond the diameter of the range.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Logits 0 and 3 x + 4 y - 5: the origin is 1 away from the boundary.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const near = await attacks.pgd(model, tensor([[0, 0]]), [0], { epsilon: 0.99 });
 * const far = await attacks.pgd(model, tensor([[0, 0]]), [0], { epsilon: 1.01 });
 * console.log(near.success.item(), far.success.item()); // 0 1
 * ```
 */
export const pgd: DefinedAttack<PgdOptions, SearchResult> = defineSearch<typeof pgdSchema, PgdOptions>(
  'pgd',
  pgdSchema,
  ({ steps, stepSize, epsilon, loss, eot, seed, restarts, randomStart }, context) =>
    climb(
      'pgd',
      { steps, stepSize: stepSize ?? (2.5 * epsilon) / steps, loss, eot, seed, restarts, randomStart },
      context,
    ),
);

const iteratedSchema = v.strictObject({ ...gradientEntries, steps: v.optional(atLeastOne, 10) });

/**
 * The iterative fast gradient method, with linf that of the sign (Kurakin et al. 2017, BIM): {@link pgd} from the input
 * itself, by 10 steps of epsilon / steps. Options and errors are otherwise those of {@link pgd}.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([2, 8], { seed: 2 });
 * const { norms } = await attacks.ifgsm(model, x, [0, 1], { epsilon: 0.1, norm: 'linf' });
 * console.log(norms.data().every((length) => length <= 0.1)); // true
 * ```
 */
export const ifgsm: DefinedAttack<GradientStepsOptions, SearchResult> = defineSearch<
  typeof iteratedSchema,
  GradientStepsOptions
>('ifgsm', iteratedSchema, ({ steps, stepSize, epsilon, loss, eot, seed }, context) =>
  climb('ifgsm', { steps, stepSize: stepSize ?? epsilon / steps, loss, eot, seed }, context),
);

const momentumSchema = v.strictObject({
  ...iteratedSchema.entries,
  decay: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (kept) => kept >= 0 && kept <= 1,
        ({ input }) => `expected 0 to 1, received ${input}`,
      ),
    ),
    1,
  ),
});

/**
 * The iterative fast gradient method with momentum (Dong et al. 2018, MI-FGSM): a step follows the sum of all gradients
 * so far, each of l1 length 1, of which `decay` (1) is kept from step to step. Options and errors are otherwise those of
 * {@link ifgsm}.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 3, seed: 1 }).eval();
 * const x = uniform([2, 8], { seed: 2 });
 * const { failed } = await attacks.momentum(model, x, [0, 1], { epsilon: 0.1, norm: 'linf', decay: 0.9 });
 * console.log(failed.toArray()); // [0, 0]
 * ```
 */
export const momentum: DefinedAttack<MomentumOptions, SearchResult> = defineSearch<
  typeof momentumSchema,
  MomentumOptions
>('momentum', momentumSchema, ({ steps, stepSize, epsilon, loss, eot, seed, decay }, context) =>
  climb('momentum', { steps, stepSize: stepSize ?? epsilon / steps, loss, eot, seed, decay }, context),
);
