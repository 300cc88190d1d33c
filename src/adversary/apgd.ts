/** Auto-PGD: gradient steps whose length each example adapts by itself; and its targeted form. */
import * as v from 'valibot';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { tensor } from '../tensor/tensor.js';
import { atLeastOne, type DefinedAttack } from './attack.js';
import { project, type Region } from './ball.js';
import { guardClasses, largest, losses, without, type LossName } from './losses.js';
import { asRows, total } from './norms.js';
import { randomDirection, streams } from './randomPoints.js';
import {
  defineSearch,
  eotEntry,
  iterate,
  judged,
  look,
  onRecords,
  overPoints,
  searchEntries,
  standingOf,
  whole,
  type Examples,
  type SearchContext,
  type SearchOptions,
  type SearchResult,
  type Standing,
} from './search.js';

/** Options of {@link apgd}. */
export interface ApgdOptions extends SearchOptions {
  /** How many steps, 100 by default. */
  steps?: number;
  /** How often to start, 1 by default: again only for what has withstood so far. */
  restarts?: number;
  /** What the steps make grow, the cross-entropy by default. `dlr` needs 3 classes, with targets 4. */
  loss?: 'crossEntropy' | 'dlr';
  /** Over how many evaluations of a network that acts at random each gradient is averaged; 1 by default. */
  eot?: number;
}

/** Options of {@link apgdT}. */
export interface ApgdTOptions extends Omit<ApgdOptions, 'loss' | 'targets'> {
  /** How many classes to lead to, the likeliest wrong ones; 9 by default, or all there are. */
  classes?: number;
}

/** After how many steps the length of steps is looked at: gaps of 22 % of the steps, each 3 % less than the last, at least 6 %. */
export function checkpoints(steps: number): number[] {
  const part = (percent: number): number => Math.max(Math.floor((percent * steps) / 100), 1);
  const found: number[] = [];
  let gap = part(22);
  for (let at = gap; at <= steps; at += gap) {
    found.push(at);
    gap = Math.max(gap - part(3), part(6));
  }
  return found;
}

/** Radii as multiples of epsilon, and how many steps are taken in each: l1 shrinks its ball on the way. */
function stages(norm: Region['norm'], steps: number): { factor: number; steps: number }[] {
  const part = Math.ceil(0.3 * steps);
  if (norm.name !== 'l1' || steps <= 2 * part) return [{ factor: 1, steps }];
  return [3, 2, 1].map((factor) => ({ factor, steps: factor === 1 ? steps - 2 * part : part }));
}

const entriesMoved = (at: Tensor, x: Tensor): Tensor =>
  ops.sum(ops.notEqual(asRows(ops.sub(at, x), x.shape.slice(1)), 0), { axes: [-1] });

/** The rows with all but about the `counts` [B, 1] largest entries of each set to 0. */
function keepLargest(rows: Tensor, counts: Tensor): Tensor {
  const sizes = ops.abs(rows);
  let low = ops.zeros([rows.shape[0]!, 1], { dtype: rows.dtype });
  let high = ops.max(sizes, { axes: [-1], keepDims: true });
  const wanted = ops.cast(counts, rows.dtype);
  // The largest threshold that as many entries reach as are wanted, by halving.
  for (let round = 0; round < 32; round++) {
    const middle = ops.affine(ops.add(low, high), 0.5);
    const enough = ops.greaterEqual(total(ops.greaterEqual(sizes, middle)), wanted);
    low = ops.where(enough, middle, low);
    high = ops.where(enough, high, middle);
  }
  return ops.where(ops.greaterEqual(sizes, low), rows, 0);
}

/** What a run knows of each example besides its standing. */
interface Run extends Standing {
  /** Where it is, what the loss is there, and its gradient [B, D]. */
  at: Tensor;
  height: Tensor;
  gradient: Tensor;
  /** Where it was before. */
  before: Tensor;
  /** The highest point of this run. */
  top: Tensor;
  topHeight: Tensor;
  topGradient: Tensor;
  /** The length of the next step, [B]. */
  length: Tensor;
}

const ofExamples = new Set(['x', 'y', 'goal', 'aim', 'rows', 'tick', 'gap']);

/** What is a run's own of what a program is given. */
const runOf = (given: Run): Run =>
  Object.fromEntries(Object.entries(given).filter(([name]) => !ofExamples.has(name))) as Run;

/** How a run decides, example by example, to take other steps. */
interface Control {
  /** After how many steps it does. */
  checkpoints: number[];
  /** What it starts with, besides the length of the steps. */
  begin(at: Tensor, x: Tensor, isFresh: boolean): { length: Tensor; [more: string]: Tensor };
  /** The direction of a step, [B, D]. */
  direction(state: Run): Tensor;
  /** Counts a step that has led from one height to another. */
  count(state: Run, height: Tensor): Record<string, Tensor>;
  /** What becomes of the counts, and which examples go back to their highest point. */
  check(state: Run, x: Tensor, gap: Tensor): { back: Tensor; length: Tensor; [more: string]: Tensor };
}

/** For linf and l2: half the length where too few steps went up, or where nothing was gained since the last time. */
const halving = ({ norm, epsilon }: Region, steps: number): Control => ({
  checkpoints: checkpoints(steps),
  begin: (at) => {
    const each = (value: number): Tensor => ops.full([at.shape[0]!], value, { dtype: at.dtype });
    return { length: each(2 * epsilon), rises: each(0), halved: each(1), topBefore: each(0) };
  },
  direction: ({ gradient }) => (norm.name === 'linf' ? ops.sign(gradient) : norm.steepest(gradient)),
  count: ({ rises, height: before }, height) => ({ rises: ops.add(rises!, ops.greater(height, before)) }),
  check: ({ rises, halved, topBefore, topHeight, length }, _, gap) => {
    const few = ops.lessEqual(rises!, ops.affine(gap, 0.75));
    const idle = ops.mul(ops.affine(halved!, -1, 1), ops.greaterEqual(topBefore!, topHeight));
    const back = ops.maximum(few, idle);
    return {
      back,
      length: ops.where(back, ops.affine(length, 0.5), length),
      rises: ops.affine(rises!, 0),
      halved: back,
      topBefore: topHeight,
    };
  },
});

/**
 * For l1 (Croce and Hein 2021): a step moves the entries of the largest gradients by the same amount, as many of them as
 * two thirds of those that the best point has moved. Where that number has just fallen the steps are long again, else
 * they grow shorter.
 */
const sparse = ({ epsilon }: Region, steps: number): Control => {
  const gap = Math.max(Math.floor((4 * steps) / 100), 1);
  return {
    checkpoints: Array.from({ length: Math.floor(steps / gap) }, (_, index) => (index + 1) * gap),
    begin: (at, x, isFresh) => {
      const width = x.size / x.shape[0]!;
      const all = ops.full([x.shape[0]!], width, { dtype: x.dtype });
      const moved = entriesMoved(at, x);
      return {
        length: ops.affine(all, 0, epsilon),
        support: isFresh ? all : moved,
        spread: isFresh ? ops.affine(all, 0.2) : ops.affine(moved, 1 / 1.5),
      };
    },
    direction: ({ gradient, spread }) => {
      // As the reference rounds: up to whole entries, at least one.
      const counts = ops.maximum(ops.neg(ops.floor(ops.neg(spread!))), 1);
      const chosen = ops.sign(keepLargest(gradient, ops.reshape(counts, [-1, 1])));
      const entries = ops.sum(ops.abs(chosen), { axes: [-1], keepDims: true });
      return ops.div(chosen, ops.maximum(entries, 1));
    },
    count: () => ({}),
    check: ({ top, support, length }, x) => {
      const moved = entriesMoved(top, x);
      const back = ops.less(moved, ops.affine(support!, 0.95));
      return {
        back,
        length: ops.where(back, epsilon, ops.maximum(ops.affine(length, 1 / 1.5), epsilon / 10)),
        support: moved,
        spread: ops.affine(moved, 1 / 1.5),
      };
    },
  };
};

interface Settings {
  steps: number;
  restarts: number;
  loss: LossName;
  eot: number;
  seed: number;
}

/** An ascent towards a loss; `aim` is a class for each example that the loss leads to, where the attack itself has none. */
type Ascent = (examples: Examples, standing: Standing, first: number) => Promise<Standing>;

function ascent(
  { steps, restarts, loss, eot, seed }: Settings,
  { model, norm, plan, region, goalOf, signal }: SearchContext,
): Ascent {
  const made = stages(norm, steps).map(({ factor, steps }) => {
    const ball = { ...region, epsilon: region.epsilon * factor };
    const control = norm.name === 'l1' ? sparse(ball, steps) : halving(ball, steps);
    const aimed = ({ y, aim, goal }: Record<string, Tensor>): ReturnType<typeof goalOf> =>
      aim ? { y: y!, targets: aim } : goalOf({ y: y!, goal: goal! });
    const looked = (standing: Standing, at: Tensor, given: Record<string, Tensor>) => {
      const seen = look(model, { loss, eot, seed }, at, aimed(given), given);
      const known = judged(standing, at, seen, goalOf(given));
      // Points of a larger ball are none of the result.
      const kept =
        factor === 1
          ? known
          : {
              ...known,
              best: standing.best,
              value: standing.value,
              active: ops.sub(standing.active, ops.sub(known.failed, standing.failed)),
            };
      return { known: kept, height: seen.value, gradient: seen.gradient };
    };
    const begin = (isFresh: boolean) =>
      onRecords(plan, (given) => {
        const { x, rows, tick, top: from, ...rest } = given as Examples & Run;
        const shape = [x.shape[0]!, x.size / x.shape[0]!];
        const dtype = x.dtype as 'float32' | 'float64';
        const source = { seed, rows, tick: tick!, dtype, stream: streams.start };
        const away = isFresh
          ? norm.name === 'l1'
            ? ops.normal(shape, source)
            : ops.affine(randomDirection(shape, norm, source), ball.epsilon)
          : asRows(ops.sub(from, x), x.shape.slice(1));
        const at = project(x, away, ball);
        const { known, height, gradient } = looked(standingOf(rest), at, given);
        const top = { top: at, topHeight: height, topGradient: gradient };
        const begun = control.begin(at, x, isFresh && factor === 1);
        const before = 'topBefore' in begun ? { topBefore: height } : {};
        return { ...known, at, height, gradient, before: at, ...top, ...begun, ...before };
      });
    const step = (isFirst: boolean) =>
      onRecords(plan, (given) => {
        const { x, ...state } = given as Examples & Run;
        const example = x.shape.slice(1);
        const here = asRows(ops.sub(state.at, x), example);
        const move = ops.mul(control.direction(state), ops.reshape(state.length, [-1, 1]));
        let at = project(x, ops.add(here, move), ball);
        if (norm.name !== 'l1' && !isFirst) {
          const momentum = ops.sub(state.at, state.before);
          const mixed = ops.add(ops.add(state.at, ops.affine(ops.sub(at, state.at), 0.75)), ops.affine(momentum, 0.25));
          at = project(x, asRows(ops.sub(mixed, x), example), ball);
        }
        const { known, height, gradient } = looked(standingOf(state), at, given);
        const higher = ops.greater(height, state.topHeight);
        return {
          ...runOf(state),
          ...known,
          ...{ at, height, gradient, before: state.at },
          top: ops.where(overPoints(higher, at), at, state.top),
          topHeight: ops.where(higher, height, state.topHeight),
          topGradient: ops.where(ops.reshape(higher, [-1, 1]), gradient, state.topGradient),
          ...control.count(state, height),
        };
      });
    const check = onRecords(plan, (given) => {
      const { x, gap, ...state } = given as Examples & Run;
      const { back, ...changed } = control.check(state, x, gap!);
      return {
        ...runOf(state),
        ...changed,
        at: ops.where(overPoints(back, x), state.top, state.at),
        gradient: ops.where(ops.reshape(back, [-1, 1]), state.topGradient, state.gradient),
      };
    });
    return { control, steps, fresh: begin(true), onward: begin(false), first: step(true), next: step(false), check };
  });
  const evaluations = steps + made.length;
  return async (examples, standing, first) => {
    let known = standing;
    for (let restart = 0; restart < restarts; restart++) {
      let tick = (first + restart) * evaluations;
      let [top, isFresh] = [examples.x, true];
      for (const { control, steps, fresh, onward, ...go } of made) {
        const gaps = new Map(control.checkpoints.map((at, index, all) => [at, at - (all[index - 1] ?? 0)]));
        const [started, begin] = [tick, isFresh ? fresh : onward];
        const ended = await iterate<Standing>(
          examples,
          { ...known, top },
          steps + 1,
          async (here, now, at) => {
            const run = at === 0 ? begin : at === 1 ? go.first : go.next;
            const moved = await run({ ...here, ...now, tick: whole(started + at) });
            const gap = gaps.get(at);
            return gap === undefined
              ? moved
              : go.check({ ...here, ...moved, gap: tensor(gap, { dtype: here.x.dtype }) });
          },
          signal,
        );
        known = standingOf(ended);
        [top, isFresh] = [ended.top!, false];
        tick += steps + 1;
      }
    }
    return known;
  };
}

const { targets: targetsOption, ...untargetedEntries } = searchEntries;

const entries = {
  ...untargetedEntries,
  steps: v.optional(atLeastOne, 100),
  restarts: v.optional(atLeastOne, 1),
  eot: eotEntry,
};

const schema = v.strictObject({
  ...entries,
  targets: targetsOption,
  loss: v.optional(v.picklist(['crossEntropy', 'dlr']), 'crossEntropy'),
});

/**
 * Auto-PGD (Croce and Hein 2020): projected gradient ascent with momentum whose step length, 2 epsilon at first, is halved
 * for each example by itself, at checkpoints, where too few steps went up or nothing was gained; it then goes on from the
 * best point so far. Success counts at any point on the way. For l1 (Croce and Hein 2021) steps are sparse, how much so is
 * adapted too, and the ball shrinks from 3 epsilon over 2 to 1, for 30, 30 and 40 % of the steps.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - `epsilon`, `norm` (l2), `steps` (100), `restarts` (1), `loss` (crossEntropy), `targets`, `eot` (1),
 * `seed` (0), `clip`, `batchSize`, `rows`, `signal`.
 * @throws SparringError as `pgd` does.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Logits 0 and 3 x + 4 y - 5: the origin is 1 away from the boundary.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const near = await attacks.apgd(model, tensor([[0, 0]]), [0], { epsilon: 0.999 });
 * const far = await attacks.apgd(model, tensor([[0, 0]]), [0], { epsilon: 1.001 });
 * console.log(near.success.item(), far.success.item()); // 0 1
 * ```
 */
export const apgd: DefinedAttack<ApgdOptions, SearchResult> = defineSearch<typeof schema, ApgdOptions>(
  'apgd',
  schema,
  (settings, context) => {
    guardClasses('apgd', settings.loss, context.classes, context.isTargeted);
    const ascend = ascent(settings, context);
    return (examples, standing) => ascend(examples, standing, 0);
  },
);

const targetedSchema = v.strictObject({ ...entries, classes: v.optional(atLeastOne, 9) });

/**
 * Targeted Auto-PGD (Croce and Hein 2020): {@link apgd} with the targeted difference of logits ratio, led in turn to each
 * of the `classes` (9) wrong classes that the network holds likeliest for the input. Any wrong class counts as success.
 * That loss needs 4 classes; with fewer the lead of the target over the others takes its place, and a warning
 * (`SPARRING_FEW_CLASSES`) is emitted. Options and errors are otherwise those of {@link apgd}.
 *
 * @example
 * ```ts
 * import { attacks, models, uniform } from 'sparring';
 *
 * const model = models.mlp({ inputs: 8, hidden: [16], classes: 5, seed: 1 }).eval();
 * const x = uniform([2, 8], { seed: 2 });
 * const { norms } = await attacks.apgdT(model, x, [0, 1], { epsilon: 0.1, norm: 'linf', steps: 10 });
 * console.log(norms.data().every((length) => length <= 0.1)); // true
 * ```
 */
export const apgdT: DefinedAttack<ApgdTOptions, SearchResult> = defineSearch<typeof targetedSchema, ApgdTOptions>(
  'apgdT',
  targetedSchema,
  ({ classes, ...settings }, context) => {
    const ascend = ascent({ ...settings, loss: dlrOr('apgdT', context.classes, true) }, context);
    return async (examples, standing, logits) => {
      const aims = largest(without(logits, examples.y), Math.min(classes, context.classes - 1));
      let known = standing;
      for (const [index, aim] of aims.entries())
        known = await ascend({ ...examples, aim }, known, index * settings.restarts);
      return known;
    };
  },
);

const ratioSchema = v.strictObject({ ...entries, targets: targetsOption });

/**
 * {@link apgd} with the difference of logits ratio, as the standard protocol runs it on networks that act at random; with
 * fewer than 3 classes the margin takes its place, and that is said as {@link apgdT} does.
 */
export const apgdDlr: DefinedAttack<Omit<ApgdOptions, 'loss'>, SearchResult> = defineSearch<
  typeof ratioSchema,
  Omit<ApgdOptions, 'loss'>
>('apgd', ratioSchema, (settings, context) => {
  const ascend = ascent({ ...settings, loss: dlrOr('apgd', context.classes, context.isTargeted) }, context);
  return (examples, standing) => ascend(examples, standing, 0);
});

const warned = new Set<string>();

/** The difference of logits ratio, or what takes its place with so few classes, said once. */
function dlrOr(name: string, classes: number, isTargeted: boolean): LossName {
  if (classes >= losses.dlr.classes[isTargeted ? 1 : 0]) return 'dlr';
  const message = `${name}: with ${classes} classes the ${isTargeted ? 'targeted ' : ''}dlr is not defined, its place is taken by margin`;
  if (!warned.has(message)) process.emitWarning(message, { code: 'SPARRING_FEW_CLASSES' });
  warned.add(message);
  return 'margin';
}
