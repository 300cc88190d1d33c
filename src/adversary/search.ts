/**
 * What all iterative attacks share: an attack is a planned step from one record of tensors to the next, and this is what
 * surrounds it. The best point of each example is kept, evaluations are counted, and examples that are settled are put
 * aside so that they cost no more time. Nothing here depends on which examples stand beside which.
 */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import { withRandomness } from '../nn/randomness.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import {
  atLeastOne,
  attackEntries,
  defineAttack,
  epsilonEntry,
  finite,
  guardFinite,
  measured,
  reached,
  seedEntry,
  targetsEntry,
  type DefinedAttack,
  type AttackContext,
  type AttackOptions,
  type AttackResult,
  type Labels,
  type Target,
} from './attack.js';
import type { Region } from './ball.js';
import { lead, losses, type AttackLoss, type Goal, type LossName } from './losses.js';
import { asRows } from './norms.js';
import { streams } from './randomPoints.js';

/** Options of every iterative attack. */
export interface SearchOptions extends AttackOptions {
  /** The length of the perturbations, in the norm and the units of the inputs. */
  epsilon: number;
  /** The classes to lead to, one an example, other than the labels; without them any wrong class will do. */
  targets?: Labels;
  /** Of the random numbers, 0 by default. */
  seed?: number;
}

/** The options of every iterative attack. */
export const searchEntries = {
  ...attackEntries,
  epsilon: epsilonEntry,
  targets: targetsEntry,
  seed: seedEntry,
};

/** Over how many evaluations of a randomised network gradients are averaged. */
export const eotEntry = v.optional(atLeastOne, 1);

/** What an iterative attack gives. */
export interface SearchResult extends AttackResult {
  /** 1 where the network gave logits that are not finite during the attack: the example was left at its best point before; int32 [B]. */
  failed: Tensor;
}

/** Tensors under names. */
export type Named = Readonly<Record<string, Tensor>>;

/** The examples under attack: inputs, labels, the class each is to reach (or else to leave), and their numbers. */
export interface Examples extends Record<string, Tensor> {
  x: Tensor;
  y: Tensor;
  goal: Tensor;
  rows: Tensor;
}

/** What is known of each example so far. */
export interface Standing extends Record<string, Tensor> {
  /** The first point that succeeded, or else the one where a wrong class came nearest to it. */
  best: Tensor;
  /** By how much the wrong class was ahead there; infinite where it succeeded. */
  value: Tensor;
  /** 1 while the search goes on. */
  active: Tensor;
  failed: Tensor;
  queries: Tensor;
  backwards: Tensor;
}

/** What is known of examples, without what else a state holds. */
export const standingOf = ({ best, value, active, failed, queries, backwards }: Standing): Standing => ({
  ...{ best, value, active },
  ...{ failed, queries, backwards },
});

/** A whole number for a program. */
export const whole = (value: number): Tensor => tensor(value, { dtype: 'int32' });

/** A program on records of tensors, run as a plan. */
export function onRecords<R extends Named>(
  plan: AttackContext['plan'],
  program: (given: Record<string, Tensor>) => R,
): (given: Named) => Promise<R> {
  let names: string[] = [];
  const run = plan((...tensors: Tensor[]) =>
    program(Object.fromEntries(names.map((name, at) => [name, tensors[at]!]))),
  );
  return (given) => {
    names = Object.keys(given).sort();
    return run(...names.map((name) => given[name]!));
  };
}

/** How a network is looked at: what is to grow, over how many evaluations, and the seed of a network that acts at random. */
export interface Look {
  loss: LossName;
  eot?: number;
  seed: number;
}

/** What a network says of some points. */
export interface View {
  logits: Tensor;
  /** The loss, [B]. */
  value: Tensor;
  /** Its gradient by the points up to a positive factor, [B, D]. */
  gradient: Tensor;
  /** Evaluations it took. */
  evaluations: number;
}

const mean = (all: readonly Tensor[]): Tensor =>
  all.length === 1 ? all[0]! : ops.affine(all.reduce(ops.add), 1 / all.length);

/**
 * Looks at points [B, ...], the `tick`-th time: logits, loss and its gradient; with `eot` the means over as many
 * evaluations, which differ where the network acts at random.
 */
export function look(
  model: Target,
  { loss, eot = 1, seed }: Look,
  points: Tensor,
  goal: Goal,
  { rows, tick }: Record<string, Tensor>,
): View {
  const source = { seed, rows: rows!, tick: tick!, stream: streams.network };
  const seen = withRandomness(source, () =>
    Array.from({ length: eot }, () => {
      const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), points);
      return { logits, pullback, ...(losses[loss] as AttackLoss).at(logits, goal) };
    }),
  );
  const most = seen.map(({ weight }) => weight).reduce((a, b) => a && b && ops.maximum(a, b));
  const gradients = seen.map(({ pullback, cotangent, weight }) => {
    // Of one evaluation any positive factor will do; of several, the weights must be those of one sum.
    const scaled =
      eot > 1 && weight && most
        ? ops.mul(cotangent, ops.reshape(ops.exp(ops.sub(weight, most)), [points.shape[0]!, 1]))
        : cotangent;
    return asRows(pullback(scaled), points.shape.slice(1));
  });
  return {
    logits: mean(seen.map(({ logits }) => logits)),
    value: mean(seen.map(({ value }) => value)),
    gradient: mean(gradients),
    evaluations: eot,
  };
}

/** The logits of points [B, ...], the `tick`-th time; with `eot` the means over as many evaluations. */
export const glance = (
  model: Target,
  { eot = 1, seed }: Omit<Look, 'loss'>,
  points: Tensor,
  { rows, tick }: Record<string, Tensor>,
): Pick<View, 'logits' | 'evaluations'> => ({
  logits: withRandomness({ seed, rows: rows!, tick: tick!, stream: streams.network }, () =>
    mean(Array.from({ length: eot }, () => model.forward(points))),
  ),
  evaluations: eot,
});

/** Marks [B] as masks of points [B, ...]. */
export const overPoints = (mask: Tensor, points: Tensor): Tensor =>
  ops.reshape(mask, [points.shape[0]!, ...points.shape.slice(1).map(() => 1)]);

/** What is known once points have been seen: kept are those that succeed, or else come nearer to it than any before. */
export function judged(
  { best, value, active, failed, queries, backwards }: Standing,
  points: Tensor,
  { logits, gradient, evaluations }: Pick<View, 'logits' | 'evaluations'> & { gradient?: Tensor },
  goal: Goal,
): Standing {
  const numbers = gradient === undefined ? logits : ops.concat([logits, gradient], { axis: 1 });
  const sound = ops.mul(active, finite(numbers));
  const hit = ops.mul(sound, reached(logits, goal.y, goal.targets));
  const ahead = lead(logits, goal);
  const better = ops.maximum(hit, ops.mul(sound, ops.cast(ops.greater(ahead, value), 'int32')));
  const cost = ops.mul(active, evaluations);
  return {
    best: ops.where(overPoints(better, best), points, best),
    value: ops.where(hit, Infinity, ops.where(better, ahead, value)),
    active: ops.sub(sound, hit),
    failed: ops.add(failed, ops.sub(active, sound)),
    queries: ops.add(queries, cost),
    backwards: gradient === undefined ? backwards : ops.add(backwards, cost),
  };
}

const picked = <T extends Named>(given: T, indices: Int32Array): T =>
  scope(() => {
    const at = tensor(indices);
    return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, ops.gather(value, at)])) as T;
  });

/** How often settled examples are looked for. */
const every = 10;

/**
 * Runs steps on the state of some examples. Before the first and after every tenth those that are no longer active are
 * put aside; in the end all are together again, in their order.
 *
 * @param state - To begin with; what else a step adds to it is not among what is given in the end.
 * @param step - From examples, state and tick to the next state.
 * @param steps - How many; the tick runs from 0.
 */
export async function iterate<S extends Standing>(
  examples: Examples,
  state: S,
  steps: number,
  step: (examples: Examples, state: S, tick: number) => Promise<S>,
  signal: AbortSignal | undefined,
): Promise<S> {
  return scope(async () => {
    const total = state.active.size;
    const aside: { at: number[]; state: S }[] = [];
    let [at, here, now] = [Array.from({ length: total }, (_, index) => index), examples, state];
    // What this has made itself is freed as soon as it is replaced.
    const owned = new Set<Tensor>();
    const replace = <T extends Named>(old: T, next: T): T => {
      const still = new Set(Object.values(next));
      for (const value of Object.values(old)) if (!still.has(value) && owned.delete(value)) value.dispose();
      for (const value of Object.values(next)) owned.add(value);
      return next;
    };
    for (let tick = 0; tick < steps; tick++) {
      signal?.throwIfAborted();
      if (tick % every === 0) {
        const active = now.active.data();
        const going = [...active.keys()].filter((place) => active[place] === 1);
        if (going.length === 0) break;
        if (going.length < at.length) {
          const settled = [...active.keys()].filter((place) => active[place] !== 1);
          aside.push({ at: settled.map((place) => at[place]!), state: picked(now, Int32Array.from(settled)) });
          here = replace(here, picked(here, Int32Array.from(going)));
          now = replace(now, picked(now, Int32Array.from(going)));
          at = going.map((place) => at[place]!);
        }
      }
      now = replace(now, await scope(() => step(here, now, tick)));
    }
    if (aside.length === 0) return now;
    const parts = [...aside, { at, state: now }];
    const order = new Int32Array(total);
    parts.flatMap((part) => part.at).forEach((place, index) => (order[place] = index));
    const joined = Object.fromEntries(
      Object.keys(now)
        .filter((name) => name in state)
        .map((name) => [name, ops.concat(parts.map((part) => part.state[name]!))]),
    ) as S;
    return picked(joined, order);
  });
}

/** What a search is built with. */
export interface SearchContext extends AttackContext {
  region: Region;
  isTargeted: boolean;
  /** The goal of examples, for a loss. */
  goalOf: (examples: Record<string, Tensor>) => Goal;
}

/** From the examples of a batch, what is known of them, and the logits of the inputs, [B, K], to what is known then. */
export type Search = (examples: Examples, standing: Standing, logits: Tensor) => Promise<Standing>;

type Schema = v.StrictObjectSchema<Omit<typeof searchEntries, 'targets'> & v.ObjectEntries, undefined>;

/**
 * Makes an iterative attack of its search: inputs that succeed already are left as they are, clean logits that are not
 * finite are refused, and the best points that the search found are measured by one more evaluation.
 *
 * @param name - What it is called in messages.
 * @param schema - Its options: {@link searchEntries} and its own.
 * @param build - Given the options, the search.
 */
export function defineSearch<S extends Schema, Options extends SearchOptions>(
  name: string,
  schema: S,
  build: (options: v.InferOutput<S>, context: SearchContext) => Search,
): DefinedAttack<Options, SearchResult> {
  return defineAttack<S, Options, SearchResult>(name, schema, (options, context) => {
    const { epsilon, clip, targets } = options as v.InferOutput<v.StrictObjectSchema<typeof searchEntries, undefined>>;
    const { model, norm, plan } = context;
    const isTargeted = targets !== undefined;
    const region = { norm, epsilon, clip };
    const goalOf = ({ y, goal }: Record<string, Tensor>): Goal => ({ y: y!, ...(isTargeted && { targets: goal! }) });
    const search = build(options, { ...context, region, isTargeted, goalOf });
    const start = onRecords(plan, (examples) => {
      const logits = model.forward(examples.x!);
      const goal = goalOf(examples);
      const each = (value: number): Tensor => ops.full([logits.shape[0]!], value, { dtype: 'int32' });
      const open = ops.affine(reached(logits, goal.y, goal.targets), -1, 1);
      return {
        ...{ logits, value: lead(logits, goal), active: open },
        ...{ failed: each(0), queries: each(1), backwards: each(0) },
      };
    });
    const finish = onRecords(plan, ({ best, queries, backwards, ...examples }) => {
      const { y, targets } = goalOf(examples);
      return measured(model, {
        ...{ x: examples.x!, y, targets, norm },
        ...{ adversarial: best!, queries: queries!, backwards: backwards! },
      });
    });
    return async (x, y, rows, targets) => {
      const examples: Examples = { x, y, goal: targets ?? y, rows };
      const { logits, ...known } = await start(examples);
      guardFinite(name, logits, rows.data() as Int32Array);
      const { failed, ...found } = await search(examples, { best: x, ...known }, logits);
      const { best, queries, backwards } = found;
      const result = (await finish({ ...examples, best, queries, backwards })) as unknown as AttackResult;
      return { ...result, failed };
    };
  });
}
