/**
 * What the attacks share that look for the shortest perturbation: the search goes from state to state, the shortest
 * adversarial input that it came by is kept for each example, and what became of it is measured at the end.
 */
import * as v from 'valibot';
import { SparringError, type ErrorCode } from '../errors.js';
import * as ops from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { Tensor, tensor } from '../tensor/tensor.js';
import {
  atLeastOne,
  attackEntries,
  defineAttack,
  epsilonEntry,
  finite,
  reached,
  targetsEntry,
  type DefinedAttack,
  type AttackContext,
  type AttackOptions,
  type AttackResult,
  type Labels,
} from './attack.js';
import { leader, ranked } from './boundary.js';
import { asRows, type Norm } from './norms.js';

/** Options of every attack that looks for the shortest perturbation. */
export interface DistanceOptions extends AttackOptions {
  /** The most that an input may be moved; no limit by default. What lies farther counts as not found. */
  epsilon?: number;
}

/** Options of those that can be led to a class. */
export interface TargetedOptions extends DistanceOptions {
  /** The class that each input is to be taken for. Without them any class but the label will do. */
  targets?: Labels;
}

/** Options of those that can also be led to one class after the other. */
export interface LedOptions extends DistanceOptions {
  /**
   * A number leads to so many classes one after the other, those with the largest logits besides the label's, and keeps the
   * nearest adversarial input that this brings, whatever it is taken for: dearer by as much, and seldom caught in a corner
   * that is not the nearest. One class for each input leads the inputs there, and only that is a success. Without them any
   * class but the label will do.
   */
  targets?: number | Labels;
}

/** What an attack gives that looks for the shortest perturbation. An input for which it found none comes back as it was. */
export interface DistanceResult extends AttackResult {
  /** 1 where the attacked input is misclassified, or, where a target was given for it, taken for that; int32 [B]. */
  success: Tensor;
  /** How far each input was moved, in the attack's norm; float64 [B]. 0 where nothing was found. */
  norms: Tensor;
  /** How far the adversarial input is that was found; float64 [B]. As `norms`, but Infinity where nothing was found. */
  distance: Tensor;
  /** 1 where the search came upon logits that are not finite, which ended it with nothing found; int32 [B]. */
  failed: Tensor;
}

/** The options of every attack that looks for the shortest perturbation. */
export const distanceEntries = { ...attackEntries, epsilon: v.optional(epsilonEntry) };

/** The option of {@link LedOptions}. */
export const ledEntry = v.optional(
  v.union([atLeastOne, targetsEntry.wrapped], 'expected a whole number of at least 1, or a class for each input'),
);

/** A number in a range. */
export const between = (low: number, high: number): v.GenericSchema<number> =>
  v.pipe(
    v.number(),
    v.check(
      (value) => value >= low && value <= high,
      ({ input }) => `expected ${low} to ${high}, received ${input}`,
    ),
  );

/** Tensors by name. */
export type Named = Readonly<Record<string, Tensor>>;

/** What is known of a batch before the search. */
export interface Given extends Named {
  x: Tensor;
  /** The class to leave, or with targets the one to reach; int32 [B]. */
  aim: Tensor;
  rows: Tensor;
  /** The logits of the inputs. */
  logits: Tensor;
}

/** The state of a search; attacks add what is theirs. */
export interface Found extends Named {
  /** The shortest adversarial inputs so far; the inputs themselves where there are none. */
  adversarial: Tensor;
  /** Their distance, float64 [B]; Infinity where there are none, 0 where there is nothing to search for. */
  distance: Tensor;
  /** How often the network was evaluated for each input, and how many rows were pulled back; int32 [B]. */
  queries: Tensor;
  backwards: Tensor;
}

/** What a search is built with. */
export interface SearchContext extends AttackContext {
  /** Whether the aim is a class to reach. */
  targeted: boolean;
  /** 1 where logits [B, K] are what the attack wants, or not finite, which ends a search too; int32 [B]. */
  fooled: (logits: Tensor, aim: Tensor) => Tensor;
  /** By how much logits [B, K] miss it, [B, 1], and the classes, int32 [B], that lead and that are to lead. */
  margin: (logits: Tensor, aim: Tensor) => { value: Tensor; from: Tensor; to: Tensor };
  /** Throws with the attack's name. */
  refuse: (code: ErrorCode, what: string) => never;
  /** A tensor program of named tensors, planned. */
  program: <A extends Named, R extends Named>(run: (named: A) => R) => (named: A) => Promise<R>;
  /**
   * Goes from state to state, `count` times; the program is told the `tick`, int32 []. It ends early when `until`, asked
   * after each step, says so.
   */
  iterate: <G extends Named, S extends Named>(
    given: G,
    state: S,
    count: number,
    step: (named: G & S & { tick: Tensor }) => Promise<S>,
    until?: (state: S, tick: number) => boolean,
  ) => Promise<S>;
}

/** [B] or [B, 1] stretched so that it broadcasts with inputs [B, ...]. */
export const asColumn = (values: Tensor, like: Tensor): Tensor =>
  ops.reshape(values, [values.shape[0]!, ...like.shape.slice(1).map(() => 1)]);

/** The length of what leads from one input to another, float64 [B]. */
export const distanceOf = (norm: Norm, x: Tensor, to: Tensor): Tensor =>
  ops.cast(norm.length(asRows(ops.sub(to, x), x.shape.slice(1))), 'float64');

/** A quantity that goes from one value to another over the steps, in half a cosine; float64 []. */
export function cosine(tick: Tensor, steps: number, first: number, last: number): Tensor {
  const half = ops.affine(ops.cos(ops.affine(ops.cast(tick, 'float64'), Math.PI / steps)), 0.5, 0.5);
  return ops.affine(half, first - last, last);
}

/** How far each input is from the farthest corner of the box, [B]; Infinity without one. */
export function farthestInside(x: Tensor, norm: Norm, clip: readonly [number, number] | undefined): Tensor {
  if (clip === undefined) return ops.full([x.shape[0]!], Infinity, { dtype: x.dtype });
  const most = ops.maximum(ops.affine(x, 1, -clip[0]), ops.affine(x, -1, clip[1]));
  return norm.length(asRows(most, x.shape.slice(1)));
}

/** The cotangent of one logit's lead over another, [B, K]. */
export function leads(logits: Tensor, from: Tensor, to: Tensor): Tensor {
  const dtype = logits.dtype === 'float64' ? 'float64' : 'float32';
  const unit = (index: Tensor): Tensor => ops.oneHot(index, { classes: logits.shape[1]!, dtype });
  return ops.sub(unit(to), unit(from));
}

/** What was found, with new points where they are adversarial and nearer. */
export function nearer(
  norm: Norm,
  x: Tensor,
  { adversarial, distance }: Pick<Found, 'adversarial' | 'distance'>,
  point: Tensor,
  fooled: Tensor,
): { adversarial: Tensor; distance: Tensor } {
  const size = distanceOf(norm, x, point);
  const better = ops.mul(ops.cast(fooled, 'float64'), ops.less(size, distance));
  return {
    adversarial: ops.where(asColumn(better, x), point, adversarial),
    distance: ops.where(better, size, distance),
  };
}

/** The costs with so many more evaluations and backward rows, where there is something to search for. */
export function spent(
  { distance, queries, backwards }: Pick<Found, 'distance' | 'queries' | 'backwards'>,
  more: { queries: number; backwards: number },
  active: Tensor = ops.greater(distance, 0),
): { queries: Tensor; backwards: Tensor } {
  const mask = ops.cast(active, 'int32');
  return {
    queries: ops.add(queries, ops.mul(mask, more.queries)),
    backwards: ops.add(backwards, ops.mul(mask, more.backwards)),
  };
}

/** What of a state every search has. */
export const onlyFound = ({ adversarial, distance, queries, backwards }: Found): Found => ({
  adversarial,
  distance,
  queries,
  backwards,
});

/** Frees the tensors of a state that the next one does not hold. */
function release(state: Named, next: Named): void {
  const kept = new Set(Object.values(next));
  for (const each of Object.values(state)) if (!kept.has(each)) each.dispose();
}

type DistanceSchema = Parameters<typeof defineAttack>[1];

/**
 * Makes an attack of a search for the shortest perturbation. Inputs that are misclassified, or with targets those that
 * are taken for theirs, are left as they are, at distance 0.
 *
 * @param name - What it is called in messages.
 * @param schema - Its options: {@link distanceEntries} and its own.
 * @param build - Given the options, the search on a batch: from what is known and the state before to the state after.
 * @param traits - `leads`: whether the search itself goes to a number of classes one after the other, where that is asked.
 */
export function defineDistanceAttack<Options extends DistanceOptions, S extends DistanceSchema = DistanceSchema>(
  name: string,
  schema: S,
  build: (
    options: v.InferOutput<S> & { clip?: [number, number] | undefined; epsilon?: number | undefined },
    context: SearchContext,
  ) => (given: Given, state: Found) => Promise<Found>,
  { leads = false }: { leads?: boolean } = {},
): DefinedAttack<Options, DistanceResult> {
  return defineAttack<S, Options, DistanceResult>(name, schema, (parsed, context) => {
    const options = parsed as v.InferOutput<S> & {
      clip?: [number, number];
      epsilon?: number;
      targets?: Labels | number;
    };
    const { epsilon = Infinity, targets } = options;
    const { model, norm, plan, signal } = context;
    const classes = typeof targets === 'number' && !leads ? targets : undefined;
    const given = targets !== undefined && typeof targets !== 'number';
    const targeted = given || classes !== undefined;
    const wonBy =
      (toward: boolean) =>
      (logits: Tensor, aim: Tensor): Tensor =>
        reached(logits, aim, toward ? aim : undefined);
    const fooledBy =
      (toward: boolean) =>
      (logits: Tensor, aim: Tensor): Tensor =>
        ops.maximum(wonBy(toward)(logits, aim), ops.affine(finite(logits), -1, 1));
    const won = wonBy(given);
    const margin: SearchContext['margin'] = (logits, aim) => {
      const own = ops.takeAlong(logits, ops.reshape(aim, [aim.size, 1]));
      const rival = leader(logits, aim);
      const lead = ops.sub(own, ops.reshape(rival.value, own.shape));
      return targeted
        ? { value: ops.neg(lead), from: rival.index, to: aim }
        : { value: lead, from: aim, to: rival.index };
    };
    const program: SearchContext['program'] = (run) => {
      let names: string[] = [];
      const made = plan((...values: Tensor[]) =>
        run(Object.fromEntries(values.map((value, i) => [names[i]!, value])) as Parameters<typeof run>[0]),
      );
      return (named) => {
        names = Object.keys(named).sort();
        return made(...names.map((key) => named[key]!));
      };
    };
    const iterate: SearchContext['iterate'] = async (given, first, count, step, until) => {
      let state = first;
      for (let tick = 0; tick < count; tick++) {
        signal?.throwIfAborted();
        const at = tensor(tick, { dtype: 'int32' });
        const next = await step({ ...given, ...state, tick: at });
        release({ ...(state === first ? {} : state), at }, next);
        state = next;
        if (until?.(state, tick) === true) break;
      }
      return state;
    };

    const begin = plan((x: Tensor, aim: Tensor) => {
      const logits = model.forward(x);
      const none = ops.zeros([x.shape[0]!], { dtype: 'int32' });
      const done = ops.cast(fooledBy(given)(logits, aim), 'float64');
      return {
        logits,
        adversarial: ops.mul(x, 1),
        distance: ops.where(done, 0, Infinity),
        queries: ops.affine(none, 1, 1),
        backwards: none,
      };
    });
    const finish = plan((x: Tensor, aim: Tensor, adversarial: Tensor, queries: Tensor, backwards: Tensor) => {
      const logits = model.forward(adversarial);
      // In double precision, in which somebody else would judge the length.
      const distance = distanceOf(norm, ops.cast(x, 'float64'), ops.cast(adversarial, 'float64'));
      const found = ops.mul(ops.cast(won(logits, aim), 'float64'), ops.lessEqual(distance, epsilon));
      return {
        adversarial: ops.where(asColumn(found, x), adversarial, x),
        success: ops.cast(found, 'int32'),
        norms: ops.where(found, distance, 0),
        distance: ops.where(found, distance, Infinity),
        queries: ops.affine(queries, 1, 1),
        backwards,
        failed: ops.affine(finite(logits), -1, 1),
      };
    });

    const search = build(options, {
      ...context,
      targeted,
      fooled: fooledBy(targeted),
      margin,
      refuse: (code, what) => {
        throw new SparringError(code, `${name}: ${what}`);
      },
      program,
      iterate,
    });
    // What a search for one class found, beside the best of those before it.
    const best = program(({ x, aim, ...state }: Pick<Given, 'x' | 'aim'> & Found & { point: Tensor; size: Tensor }) => {
      const logits = model.forward(state.point);
      const open = ops.affine(ops.less(state.distance, Infinity), -1, 1);
      const better = ops.mul(ops.cast(won(logits, aim), 'float64'), ops.less(state.size, state.distance));
      // Where nothing has been found yet, logits that are not finite are kept to be told.
      const broken = ops.mul(ops.cast(ops.affine(finite(logits), -1, 1), 'float64'), open);
      return {
        adversarial: ops.where(asColumn(ops.maximum(better, broken), x), state.point, state.adversarial),
        distance: ops.where(better, state.size, state.distance),
        ...spent(state, { queries: 1, backwards: 0 }),
      };
    });
    const searchEach = async (start: Given, found: Found, count: number): Promise<Found> => {
      const { x, aim, logits } = start;
      const toward = ranked(logits, aim, count);
      let state = found;
      for (let at = 0; at < toward.shape[0]!; at++) {
        const { queries, backwards } = state;
        const next = await scope(async () => {
          const one = ops.reshape(ops.slice(toward, [at], [at + 1]), aim.shape);
          const own = await search({ ...start, aim: one }, { ...found, queries, backwards });
          const costs = { queries: own.queries, backwards: own.backwards };
          return best({ x, aim, ...state, ...costs, point: own.adversarial, size: own.distance });
        });
        if (state !== found) release(state, next);
        state = next;
      }
      return state;
    };
    return async (x, y, rows, wished) => {
      const aim = wished ?? y;
      const { logits, ...state } = await begin(x, aim);
      const start = { x, aim, rows, logits };
      const { adversarial, queries, backwards } = await scope(() =>
        classes === undefined ? search(start, state) : searchEach(start, state, classes),
      );
      return { ...(await finish(x, aim, adversarial, queries, backwards)), logits };
    };
  });
}
