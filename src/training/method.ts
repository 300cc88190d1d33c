/** What a training method is: how the loss of a batch comes about. Each method is a file of its own. */
import * as v from 'valibot';
import { epsilonEntry } from '../adversary/attack.js';
import type { Module } from '../nn/module.js';
import { parseOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';

/** A batch, as a method sees it: tensors of a plan that is being traced. */
export interface Batch {
  model: Module;
  /** Inputs [B, ...]. */
  x: Tensor;
  /** Labels, int32 [B]. */
  y: Tensor;
  /** Examples without labels, where the training has some: inputs [U, ...] and their numbers int32 [U]. */
  unlabelled?: { x: Tensor; rows: Tensor };
  /** Where the training carries perturbations from batch to batch: those that the last one was left with, [B, ...]. */
  carried?: Tensor;
}

/** A batch that is learned from several times, its inputs moved in between by what each update's gradient tells of them. */
export interface Replay {
  times: number;
  /** The inputs at first. */
  inputs: Tensor;
  /** The loss of the inputs. */
  loss(inputs: Tensor): Tensor;
  /** The next inputs, given these and the loss's gradient by them. */
  next(inputs: Tensor, gradient: Tensor): Tensor;
}

/** A way to train. */
export interface Method {
  /** Its name in tables and files. */
  readonly name: string;
  /** Its settings, for the record. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether it learns from examples without labels too. */
  readonly takesUnlabelled?: boolean;
  /** Whether a {@link Replay} of it begins with the perturbations that the last batch was left with. */
  readonly carries?: boolean;
  /**
   * Prepares a batch and gives its loss as a function. What is done before the function is called (finding a
   * perturbation) is held fixed when the loss is differentiated: Proposition 3.1 of the paper. Or gives a {@link Replay},
   * for several updates by one batch.
   */
  prepare(batch: Batch): (() => Tensor) | Replay;
}

type Schema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

type Prepare = Method['prepare'];

/** A method that is known to give a loss, or a replay. */
type Made<P extends Prepare> = Omit<Method, 'prepare'> & { readonly prepare: P };

/** Makes a method of its options, and tells which options there are. */
export interface MethodMaker<S extends Schema = Schema, P extends Prepare = Prepare> {
  (options?: v.InferInput<S>): Made<P>;
  /** The options, their ranges and defaults; the command line reads off it which of its options go with the method. */
  readonly schema: S;
}

/**
 * Makes a training method of its options and of what it does with a batch.
 *
 * @param name - What it is called in tables, files and messages.
 * @param schema - Its options.
 * @param build - Given the options, {@link Method.prepare}.
 * @param traits - What else there is to know of it.
 * @returns What makes the method; it throws a SparringError `INVALID_ARGUMENT` for unknown or impossible options.
 *
 * @example
 * ```ts
 * import { affine, defineMethod, nn } from 'sparring';
 * import * as v from 'valibot';
 *
 * // Ordinary training with the loss made larger.
 * const schema = v.strictObject({ factor: v.optional(v.number(), 2) });
 * const louder = defineMethod('louder', schema, ({ factor }) => ({ model, x, y }) => {
 *   return () => affine(nn.crossEntropyLoss(model.forward(x), y), factor);
 * });
 * console.log(louder({ factor: 3 }).settings); // { factor: 3 }
 * ```
 */
export function defineMethod<S extends Schema, P extends Prepare>(
  name: string,
  schema: S,
  build: (settings: v.InferOutput<S>) => P,
  traits: Pick<Method, 'takesUnlabelled' | 'carries'> = {},
): MethodMaker<S, P> {
  const make = (options?: v.InferInput<S>): Made<P> => {
    const settings = parseOptions(schema, options, name);
    return { name, settings, ...traits, prepare: build(settings) };
  };
  return Object.assign(make, { schema });
}

/** A share of a loss. */
export const shareEntry = v.pipe(
  v.number(),
  v.check(
    (share) => share >= 0 && share <= 1,
    ({ input }) => `expected a share of 0 to 1, received ${input}`,
  ),
);

/** What a term of a loss is multiplied by. */
export const weightEntry = v.pipe(
  v.number(),
  v.check(
    (weight) => weight >= 0 && Number.isFinite(weight),
    ({ input }) => `expected a weight of at least 0, received ${input}`,
  ),
);

/** The options of a method that moves inputs by a given length. */
export const lengthEntries = {
  epsilon: v.optional(epsilonEntry, 1.5),
  norm: v.optional(v.picklist(['l1', 'l2', 'linf']), 'l2'),
};

/** The same of a method whose adversary walks in a ball. */
export const ballEntries = { ...lengthEntries, norm: v.optional(v.picklist(['l2', 'linf']), 'l2') };

/**
 * Runs fn with the network in evaluation mode: an adversary attacks the network as it will be used. Afterwards every part
 * is in the mode that it was in.
 *
 * @example
 * ```ts
 * import { evaluating, models } from 'sparring';
 *
 * const model = models.mlp({ inputs: 2, hidden: [2], classes: 2 });
 * console.log(evaluating(model, () => model.training), model.training); // false true
 * ```
 */
export function evaluating<T>(model: Module, fn: () => T): T {
  const modes = new Map<Module, boolean>();
  const visit = (module: Module): void => {
    modes.set(module, module.training);
    for (const [, child] of module.children()) visit(child);
  };
  visit(model);
  model.eval();
  try {
    return fn();
  } finally {
    for (const [module, training] of modes) module.training = training;
  }
}
