/** What all attacks share: what they take and give, what they refuse, and how they run batch by batch. */
import * as v from 'valibot';
import type { Classifier } from '../autodiff/autodiff.js';
import { SparringError } from '../errors.js';
import { Module } from '../nn/module.js';
import { parseOptions, shown, wholeFrom } from '../options.js';
import {
  add,
  affine,
  argmax,
  cast,
  concat,
  equal,
  full,
  max,
  min,
  mul,
  notEqual,
  slice,
  sub,
  sum,
} from '../tensor/ops.js';
import type { NormName } from '../tensor/ops.js';
import { planned, type PlanOutputs } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { idOf, Tensor, tensor } from '../tensor/tensor.js';
import { asRows, longest, norms, type Norm } from './norms.js';

/** A network under attack: logits [B, K] of inputs [B, ...], and whether it is in training mode. */
export interface Target extends Classifier {
  readonly training?: boolean;
}

/** Labels: int32 [B], or plain numbers. */
export type Labels = Tensor | readonly number[] | Int32Array | Uint8Array;

/** What an attack gives. All tensors are the caller's, to dispose or to leave to a scope. */
export interface AttackResult {
  /** The attacked inputs, shaped as the inputs. */
  adversarial: Tensor;
  /**
   * 1 where the attacked input is misclassified, else 0; int32 [B]. Inputs that were misclassified before count. Of a
   * targeted attack: 1 where it is taken for the target.
   */
  success: Tensor;
  /** How far each input was moved, in the attack's norm; float64 [B]. Never more than epsilon. */
  norms: Tensor;
  /** How often the network was evaluated for each input; int32 [B]. */
  queries: Tensor;
  /** How many rows were pulled back through the network for each input; int32 [B]. 0 for an attack that needs no gradient. */
  backwards: Tensor;
  /** 1 where the network gave logits that are not finite during the attack, so that the rest tells little; int32 [B]. */
  failed?: Tensor;
  /**
   * Of an attack that is made of several: 1 where one without gradients succeeded on what all those with gradients had left;
   * int32 [B].
   */
  blackBoxOnly?: Tensor;
}

const range = v.pipe(
  v.tuple([v.number(), v.number()]),
  v.check(
    ([low, high]) => low < high,
    ({ input: [low, high] }) => `expected [low, high] with low < high, received [${low}, ${high}]`,
  ),
);

/** A count. */
export const atLeastOne = v.pipe(
  v.number(),
  v.check(
    (count) => Number.isSafeInteger(count) && count >= 1,
    ({ input }) => `expected a whole number of at least 1, received ${input}`,
  ),
);

/** The options of every attack. */
export const attackEntries = {
  norm: v.optional(v.picklist(['l1', 'l2', 'linf']), 'l2' as NormName),
  clip: v.optional(range),
  batchSize: v.optional(atLeastOne, 500),
  rows: v.optional(v.instance(Int32Array)),
  signal: v.optional(v.instance(AbortSignal)),
  onProgress: v.optional(
    v.custom<(done: number, total: number) => void>((value) => typeof value === 'function', 'expected a function'),
  ),
};

/** The length of a fixed-budget attack's perturbations. */
export const epsilonEntry = v.pipe(
  v.number(),
  v.check(
    (length) => length >= 0 && length <= longest,
    ({ input }) => `expected a length of 0 to ${longest}, received ${input}`,
  ),
);

/** A seed of random numbers. */
export const seedEntry = v.optional(wholeFrom(0), 0);

/** The classes that targeted attacks lead to. */
export const targetsEntry = v.optional(
  v.custom<Labels>(
    (value) =>
      value instanceof Tensor || Array.isArray(value) || value instanceof Int32Array || value instanceof Uint8Array,
    'expected labels: int32 [B] or whole numbers',
  ),
);

/** Options of every attack. */
export interface AttackOptions {
  /** The norm that perturbations are measured in; `l2` by default. */
  norm?: 'l1' | 'l2' | 'linf';
  /** The valid range of inputs, [low, high]: adversarial inputs are kept inside. Without it they are not clipped. */
  clip?: [number, number];
  /** How many examples are worked on at once, 500 by default. The results do not depend on it. */
  batchSize?: number;
  /**
   * The numbers of the examples, which random numbers are keyed by and messages name: 0, 1, ... by default. An example
   * keeps its result when it is attacked in other company under the same number.
   */
  rows?: Int32Array;
  /** Stops the attack between batches: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Told after each batch how many examples are done. */
  onProgress?: (done: number, total: number) => void;
}

/** Whether a network or a part of it is in training mode. */
const trains = (model: Target): boolean =>
  model.training === true || (model instanceof Module && model.children().some(([, child]) => trains(child)));

/** Refuses a network that would not be measured as it is used. */
export function guardEvaluating(name: string, model: Target): void {
  if (typeof (model as Target | undefined)?.forward !== 'function')
    throw new SparringError('INVALID_ARGUMENT', `${name}: expected a network, received ${shown(model)}`);
  if (!trains(model)) return;
  throw new SparringError(
    'TRAINING_MODE',
    `${name}: expected a network in evaluation mode, received one in training mode; call model.eval() first`,
  );
}

/** Refuses what would make a robustness figure wrong in silence. */
function guard(
  name: string,
  model: Target,
  x: Tensor,
  y: Tensor,
  { clip, rows }: { clip?: readonly [number, number] | undefined; rows?: Int32Array | undefined },
): void {
  const refuse = (code: 'SHAPE_MISMATCH' | 'OUT_OF_RANGE' | 'NOT_FINITE' | 'DTYPE_MISMATCH', what: string): never => {
    throw new SparringError(code, `${name}: ${what}`);
  };
  guardEvaluating(name, model);
  idOf(x, name);
  if (x.dtype !== 'float32' && x.dtype !== 'float64')
    refuse('DTYPE_MISMATCH', `expected inputs of float32 or float64, received ${x.dtype}`);
  if (x.shape.length < 2 || x.shape[0] === 0)
    refuse('SHAPE_MISMATCH', `expected a batch of at least one input, received shape [${x.shape.join(',')}]`);
  if (y.dtype !== 'int32' || y.shape.length !== 1 || y.shape[0] !== x.shape[0]) {
    refuse('SHAPE_MISMATCH', `expected int32 labels [${x.shape[0]}], received ${y.dtype} [${y.shape.join(',')}]`);
  }
  if (rows !== undefined && rows.length !== x.shape[0])
    refuse('SHAPE_MISMATCH', `rows: expected ${x.shape[0]}, one an example, received ${rows.length}`);
  const [low, high] = clip ?? [-Infinity, Infinity];
  // Rounded as inputs are: a stored 0.1 is a little more than the number 0.1 that bounds it.
  const round = x.dtype === 'float32' ? Math.fround : Number;
  const fits = (value: number): boolean => Number.isFinite(value) && value >= round(low) && value <= round(high);
  if (scope(() => fits(min(x).item()) && fits(max(x).item()))) return;
  const numbers = x.data();
  const at = numbers.findIndex((value) => !fits(value));
  const index = Math.floor(at / (x.size / x.shape[0]!));
  const place = `input ${rows?.[index] ?? index}`;
  if (!Number.isFinite(numbers[at]))
    refuse('NOT_FINITE', `expected finite inputs, received ${numbers[at]} in ${place}`);
  refuse(
    'OUT_OF_RANGE',
    `expected inputs between ${low} and ${high} (the clip range), received ${numbers[at]} in ${place}`,
  );
}

/** Refuses logits that compare with nothing: they would count as withstanding. `rows` are the inputs' numbers. */
export function guardFinite(name: string, logits: Tensor, rows: Int32Array): void {
  const z = logits.data();
  const bad = z.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new SparringError(
    'NOT_FINITE',
    `${name}: expected finite logits, received ${z[bad]} for input ${rows[Math.floor(bad / logits.shape[1]!)]}`,
  );
}

/** The labels as a tensor. */
export function labelled(name: string, labels: Labels): Tensor {
  if (labels instanceof Tensor) return labels;
  if (!Array.isArray(labels) && !ArrayBuffer.isView(labels))
    throw new SparringError('INVALID_ARGUMENT', `${name}: expected labels, received ${shown(labels)}`);
  const wrong = labels.findIndex((label: unknown) => typeof label !== 'number' || (label | 0) !== label);
  if (wrong >= 0)
    throw new SparringError(
      'OUT_OF_RANGE',
      `${name}: expected labels that are whole numbers, received ${shown(labels[wrong])} for input ${wrong}`,
    );
  return tensor(Int32Array.from(labels));
}

/** Refuses labels that are none of the classes. */
function guardLabels(name: string, what: string, labels: Tensor, classes: number, rows: Int32Array): void {
  const numbers = labels.data();
  const wrong = numbers.findIndex((label) => label < 0 || label >= classes);
  if (wrong < 0) return;
  throw new SparringError(
    'OUT_OF_RANGE',
    `${name}: expected ${what} 0 to ${classes - 1}, received ${numbers[wrong]} for input ${rows[wrong]}`,
  );
}

/** The classes that inputs are to be led to, where they are given: a number of targets is the attack's own affair. */
export const targetClasses = (name: string, given: Labels | number | undefined): Tensor | undefined =>
  given === undefined || typeof given === 'number' ? undefined : labelled(`${name}: targets`, given);

/** Refuses targets that are not one an input, or that are the input's label; the targets. */
function targeted(name: string, targets: Tensor, y: Tensor, rows: Int32Array): Tensor {
  if (targets.dtype !== 'int32' || targets.shape.join() !== y.shape.join()) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: targets: expected int32 [${y.shape[0]}], received ${targets.dtype} [${targets.shape.join(',')}]`,
    );
  }
  const [numbers, labels] = [targets.data(), y.data()];
  const own = numbers.findIndex((target, index) => target === labels[index]);
  if (own < 0) return targets;
  throw new SparringError(
    'INVALID_ARGUMENT',
    `${name}: targets: expected other classes than the labels, received ${numbers[own]}, the label of input ${rows[own]}`,
  );
}

/** Refuses a length that reaches from any input of the clip range to any other: it is of another scale. */
function guardScale(
  name: string,
  x: Tensor,
  {
    norm,
    epsilon,
    clip,
  }: { norm: Norm['name']; epsilon?: number | undefined; clip?: readonly [number, number] | undefined },
): void {
  if (clip === undefined || epsilon === undefined) return;
  const numbers = x.size / x.shape[0]!;
  const diameter = (clip[1] - clip[0]) * { l1: numbers, l2: Math.sqrt(numbers), linf: 1 }[norm];
  if (epsilon <= diameter) return;
  const scaled = (epsilon / 255) * (clip[1] - clip[0]);
  const hint = scaled <= diameter ? `; if it counts 255ths of the range, give ${Number(scaled.toPrecision(4))}` : '';
  throw new SparringError(
    'OUT_OF_RANGE',
    `${name}: epsilon: expected at most ${Number(diameter.toPrecision(6))}, the ${norm} diameter of inputs between ${clip[0]} and ${clip[1]}, received ${epsilon}${hint}`,
  );
}

/** The numbers of examples that have no others: 0, 1, ... */
export const numbered = (count: number): Int32Array => Int32Array.from({ length: count }, (_, index) => index);

/**
 * Refuses outputs that attacks would silently misread, judged by those of the first inputs. `rows` are the inputs' numbers.
 *
 * @returns How many classes there are.
 */
export function guardLogits(
  name: string,
  model: Target,
  x: Tensor,
  labels: Tensor,
  rows: Int32Array,
  targets?: Tensor,
): number {
  const some = Math.min(16, x.shape[0]!);
  const logits = model.forward(slice(x, [0], [some]));
  idOf(logits, `${name}: the network's logits`);
  if (logits.shape.length !== 2 || logits.shape[1]! < 2) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: expected a network that gives logits [B, K] with K of at least 2, received [${logits.shape.join(',')}]`,
    );
  }
  if (logits.shape[0] !== some) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `${name}: expected a network that gives a row of logits for each of ${some} inputs, received [${logits.shape.join(',')}]`,
    );
  }
  if (logits.dtype !== 'float32' && logits.dtype !== 'float64')
    throw new SparringError(
      'DTYPE_MISMATCH',
      `${name}: expected logits of float32 or float64, received ${logits.dtype}`,
    );
  const classes = logits.shape[1]!;
  guardFinite(name, logits, rows);
  const z = logits.data();
  const sums = sum(logits, { axes: [-1] }).data();
  if (z.every((value) => value >= 0) && sums.every((total) => Math.abs(total - 1) < 1e-3)) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `${name}: expected logits, received probabilities (no row has a negative entry and each sums to 1); leave the softmax off`,
    );
  }
  guardLabels(name, 'labels', labels, classes, rows);
  if (targets !== undefined) guardLabels(name, 'targets', targets, classes, rows);
  return classes;
}

/** What an attack is built with. */
export interface AttackContext {
  model: Target;
  norm: Norm;
  /** Makes a tensor program of the attack run planned; freed when the attack ends. */
  plan: <A extends readonly Tensor[], R extends PlanOutputs>(
    program: (...inputs: A) => R,
  ) => (...inputs: A) => Promise<R>;
  signal: AbortSignal | undefined;
  /** How many examples are attacked in all, and how many classes there are. */
  examples: number;
  classes: number;
}

/**
 * An attack on one batch: inputs [B, ...], labels [B], the examples' numbers int32 [B], which random numbers are to be
 * keyed by, and for a targeted attack the classes to lead to, int32 [B]. Logits that it gives beside its result are checked to be finite.
 */
export type BatchAttack<R extends AttackResult> = (
  x: Tensor,
  y: Tensor,
  rows: Tensor,
  targets?: Tensor,
) => Promise<R & { logits?: Tensor }>;

/** An attack: any function of this form can be evaluated. */
export type Attack<Options extends AttackOptions = AttackOptions, R extends AttackResult = AttackResult> = (
  model: Target,
  x: Tensor,
  y: Labels,
  options?: Options,
) => Promise<R>;

/** What {@link defineAttack} makes. */
export interface DefinedAttack<
  Options extends AttackOptions = AttackOptions,
  R extends AttackResult = AttackResult,
> extends Attack<Options, R> {
  /** Whether it has to be told a length; the others find short perturbations by themselves. */
  readonly needsEpsilon: boolean;
  /** The norms that it works in. */
  readonly norms: readonly NormName[];
  /** Its options. */
  readonly schema: v.StrictObjectSchema<v.ObjectEntries, undefined>;
}

type Norms = v.OptionalSchema<v.PicklistSchema<NormName[], undefined>, NormName>;
type Schema = v.StrictObjectSchema<Omit<typeof attackEntries, 'norm'> & { norm: Norms } & v.ObjectEntries, undefined>;

/**
 * Makes an attack of what it does to one batch: options are checked against the schema, the network and its inputs are
 * guarded, batches follow one another, and what they gave is joined.
 *
 * @param name - What it is called in messages.
 * @param schema - Its options: {@link attackEntries} and its own.
 * @param build - Given the options, the attack on a batch.
 * @returns The attack, which throws what `advAlpha` does, and a SparringError `INVALID_ARGUMENT` for options that the schema
 * does not know.
 *
 * @example
 * ```ts
 * import { attackEntries, defineAttack, measured, models, neg, uniform } from 'sparring';
 * import * as v from 'valibot';
 *
 * // Turns inputs into their negatives, however far that is.
 * const negated = defineAttack('negated', v.strictObject(attackEntries), (_, { model, norm, plan }) =>
 *   plan((x, y) => measured(model, { x, y, norm, adversarial: neg(x), queries: 0, backwards: 0 })),
 * );
 * const model = models.mlp({ inputs: 3, hidden: [4], classes: 2 }).eval();
 * const { queries } = await negated(model, uniform([2, 3], { seed: 1 }), [0, 1]);
 * console.log(queries.toArray()); // [1, 1]
 * ```
 */
export function defineAttack<S extends Schema, Options extends AttackOptions, R extends AttackResult = AttackResult>(
  name: string,
  schema: S,
  build: (options: v.InferOutput<S>, context: AttackContext) => BatchAttack<R> | Promise<BatchAttack<R>>,
): DefinedAttack<Options, R> {
  const attack: (...call: Parameters<Attack<Options, R>>) => Promise<R> = (model, x, labels, options) =>
    scope(async () => {
      const parsed = parseOptions(schema, options, name);
      const { norm, clip, batchSize, signal, onProgress, ...rest } = parsed as v.InferOutput<
        v.StrictObjectSchema<
          typeof attackEntries & {
            targets: typeof targetsEntry;
            epsilon: v.OptionalSchema<typeof epsilonEntry, undefined>;
          },
          undefined
        >
      >;
      const y = labelled(name, labels);
      guard(name, model, x, y, { clip, rows: rest.rows });
      guardScale(name, x, { norm, clip, epsilon: rest.epsilon });
      const total = x.shape[0]!;
      const rows = rest.rows ?? numbered(total);
      const led = targetClasses(name, rest.targets);
      const targets = led && targeted(name, led, y, rows);
      const classes = scope(() => guardLogits(name, model, x, y, rows, targets));
      const plans: { dispose(): void }[] = [];
      const parts: Record<string, Tensor>[] = [];
      try {
        const attack = await build(parsed, {
          model,
          norm: norms[norm],
          signal,
          examples: total,
          classes,
          plan: (program) => {
            const made = planned(program);
            plans.push(made);
            return made;
          },
        });
        for (let start = 0; start < total; start += batchSize) {
          signal?.throwIfAborted();
          const end = Math.min(total, start + batchSize);
          const part = await scope(async () => {
            const these = rows.subarray(start, end);
            const { logits, ...result } = await attack(
              slice(x, [start], [end]),
              slice(y, [start], [end]),
              tensor(these),
              ...(targets === undefined ? [] : [slice(targets, [start], [end])]),
            );
            if (logits !== undefined) guardFinite(name, logits, these);
            return result as unknown as Record<string, Tensor>;
          });
          parts.push(part);
          onProgress?.(end, total);
        }
      } finally {
        for (const made of plans) made.dispose();
      }
      const whole = (key: string): Tensor =>
        parts.length === 1 ? parts[0]![key]! : concat(parts.map((part) => part[key]!));
      return Object.fromEntries(Object.keys(parts[0]!).map((key) => [key, whole(key)])) as unknown as R;
    });
  const { epsilon, norm } = schema.entries as { epsilon?: v.GenericSchema; norm: Norms };
  return Object.assign(attack, {
    needsEpsilon: epsilon !== undefined && epsilon.type !== 'optional',
    norms: norm.wrapped.options,
    schema,
  });
}

/** Adversarial inputs [B, ...] of inputs and labels, and what they cost an example: whole numbers, or int32 [B]. */
export interface Outcome {
  x: Tensor;
  y: Tensor;
  /** The classes to lead to, where that is asked. */
  targets?: Tensor | undefined;
  norm: Norm;
  adversarial: Tensor;
  queries: Tensor | number;
  backwards: Tensor | number;
}

/** 1 where all numbers of a row are finite; int32 [B]. */
export const finite = (rows: Tensor): Tensor => cast(equal(sum(sub(rows, rows), { axes: [-1] }), 0), 'int32');

/**
 * 1 where logits name another class than the label, or the target where there are targets; int32 [B]. Logits that are not
 * finite name none.
 */
export function reached(logits: Tensor, y: Tensor, targets?: Tensor): Tensor {
  const named = argmax(logits);
  return mul(targets === undefined ? notEqual(named, y) : equal(named, targets), finite(logits));
}

/**
 * The result of an attack: what became of its adversarial inputs is measured by one more evaluation, which counts. For an
 * example see {@link defineAttack}.
 */
export function measured(
  model: Classifier,
  { x, y, targets, norm, adversarial, queries, backwards }: Outcome,
): AttackResult & Record<string, Tensor> {
  const count = (each: Tensor | number): Tensor =>
    each instanceof Tensor ? each : full([x.shape[0]!], each, { dtype: 'int32' });
  const logits = model.forward(adversarial);
  return {
    adversarial,
    success: reached(logits, y, targets),
    norms: cast(norm.length(asRows(sub(adversarial, x), x.shape.slice(1))), 'float64'),
    queries: add(count(queries), 1),
    backwards: count(backwards),
    failed: affine(finite(logits), -1, 1),
  };
}
