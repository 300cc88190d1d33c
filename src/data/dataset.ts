import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { elementCount } from '../io/bytes.js';
import { parseOptions } from '../options.js';
import { purposes, shuffled } from './random.js';

/**
 * Labelled examples as plain arrays. A split is a view: other `rows` of the same arrays, so that 60,000 images stand in
 * memory once, as bytes, and become floats a batch at a time.
 */
export interface Dataset {
  /** What messages and results call it. */
  readonly name: string;
  /** The stored values, row-major [total, ...shape]. */
  readonly inputs: Uint8Array | Float32Array;
  /** The class of each stored example, [total]. */
  readonly labels: Uint8Array | Int32Array;
  /** The shape of one example, [channels, height, width] for images. */
  readonly shape: readonly number[];
  /** How many classes there are; labels run from 0. */
  readonly classes: number;
  /** What the classes are called, by label. */
  readonly classNames?: readonly string[];
  /** A value is its stored number times this: 1/256 for MNIST as in the paper, 1/255 for CIFAR-10, 1 for floats. */
  readonly scale: number;
  /** The range that values may take, after scaling. */
  readonly range: readonly [low: number, high: number];
  /** The examples that belong to this data set, as indices into `inputs` and `labels`. */
  readonly rows: Int32Array;
}

const wholeNumber = (least: number) =>
  v.pipe(
    v.number(),
    v.check(
      (value) => Number.isSafeInteger(value) && value >= least,
      (issue) => `expected an integer of at least ${least}, received ${String(issue.input)}`,
    ),
  );

const positive = v.pipe(
  v.number(),
  v.check(
    (value) => Number.isFinite(value) && value > 0,
    (issue) => `expected a positive number, received ${String(issue.input)}`,
  ),
);

const rising = v.pipe(
  v.tuple([v.number(), v.number()]),
  v.check(
    ([low, high]) => Number.isFinite(low) && Number.isFinite(high) && low < high,
    (issue) => `expected [low, high] with low < high, received [${String(issue.input)}]`,
  ),
);

const arraysSchema = v.strictObject({
  name: v.optional(v.string(), 'data'),
  inputs: v.union([v.instance(Uint8Array), v.instance(Float32Array)]),
  labels: v.union([v.instance(Uint8Array), v.instance(Int32Array)]),
  shape: v.pipe(v.array(wholeNumber(1)), v.minLength(1, 'expected at least one dimension, received none')),
  classes: wholeNumber(2),
  scale: v.optional(positive),
  range: v.optional(rising, [0, 1]),
  classNames: v.optional(v.array(v.string())),
});

/** What `fromArrays` takes. */
export interface ArraysOptions extends Pick<Dataset, 'inputs' | 'labels' | 'shape' | 'classes'> {
  /** `'data'` unless said. */
  readonly name?: string;
  /** 1/255 for bytes and 1 for floats unless said. */
  readonly scale?: number;
  /** [0, 1] unless said. */
  readonly range?: readonly [low: number, high: number];
  readonly classNames?: readonly string[];
}

function checkLabels(labels: Dataset['labels'], classes: number): void {
  const row = labels.findIndex((label) => label < 0 || label >= classes);
  if (row < 0) return;
  throw new SparringError(
    'OUT_OF_RANGE',
    `fromArrays: labels: expected 0 to ${classes - 1}, received ${labels[row]} at row ${row}`,
  );
}

function checkInputs(inputs: Dataset['inputs'], size: number, scale: number, [low, high]: Dataset['range']): void {
  // No byte can be outside when the extreme ones are not.
  if (inputs instanceof Uint8Array && low <= 0 && 255 * scale <= high) return;
  // In float32, as a stored 0.1 is a little more than the number 0.1 that bounds it.
  const [least, most] = [Math.fround(low), Math.fround(high)];
  for (let i = 0; i < inputs.length; i++) {
    const value = Math.fround(inputs[i]! * scale);
    if (value >= least && value <= most) continue;
    const at = `received ${inputs[i]! * scale} at row ${Math.floor(i / size)}`;
    if (!Number.isFinite(inputs[i]))
      throw new SparringError('NOT_FINITE', `fromArrays: inputs: expected finite values, ${at}`);
    throw new SparringError(
      'OUT_OF_RANGE',
      `fromArrays: inputs: expected values of ${low} to ${high} after scaling, ${at}`,
    );
  }
}

/**
 * A data set over arrays of your own, which are checked but not copied: change them and the data set changes.
 *
 * @param options - `inputs`, row-major [examples, ...shape]; `labels` [examples], of 0 to `classes` - 1; `shape` of one
 * example; `scale` from stored numbers to values in `range`
 * @throws INVALID_ARGUMENT for an option, SHAPE_MISMATCH when lengths disagree, OUT_OF_RANGE or NOT_FINITE for a label or
 * a value, naming the first row that is wrong.
 *
 * @example
 * ```ts
 * import { fromArrays } from 'sparring';
 *
 * const data = fromArrays({
 *   inputs: new Float32Array([0, 0, 0, 1, 1, 0, 1, 1]),
 *   labels: new Uint8Array([0, 1, 1, 0]),
 *   shape: [2],
 *   classes: 2,
 * });
 * console.log(data.rows); // Int32Array(4) [ 0, 1, 2, 3 ]
 * ```
 */
export function fromArrays(options: ArraysOptions): Dataset {
  const parsed = parseOptions(arraysSchema, options, 'fromArrays');
  const { name, inputs, labels, shape, classes, classNames, range } = parsed;
  const { scale = inputs instanceof Uint8Array ? 1 / 255 : 1 } = parsed;
  const size = elementCount(shape);
  if (labels.length === 0 || inputs.length !== labels.length * size) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `fromArrays: inputs: expected ${labels.length} x ${size} values for ${labels.length} labels and shape ` +
        `[${shape.join(', ')}], and at least one example, received ${inputs.length}`,
    );
  }
  if (classNames !== undefined && classNames.length !== classes) {
    throw new SparringError(
      'SHAPE_MISMATCH',
      `fromArrays: classNames: expected ${classes} names, received ${classNames.length}`,
    );
  }
  checkLabels(labels, classes);
  checkInputs(inputs, size, scale, range);
  const rows = Int32Array.from(labels, (_, row) => row);
  return {
    name,
    inputs,
    labels,
    shape,
    classes,
    scale,
    range,
    rows,
    ...(classNames === undefined ? {} : { classNames }),
  };
}

/**
 * The examples at the given rows, in that order. Rows are indices into `inputs`, as `rows` and `batches` give them; a row
 * may come twice, as in a bootstrap.
 *
 * @throws OUT_OF_RANGE for a row that is not in the data set, such as one of its test split's.
 *
 * @example
 * ```ts
 * import { datasets, subset } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const sevens = subset(test, test.rows.filter((row) => test.labels[row] === 7));
 * console.log(sevens.rows.length); // 20
 * ```
 */
export function subset(dataset: Dataset, rows: Int32Array | readonly number[]): Dataset {
  const known = new Uint8Array(dataset.labels.length);
  for (const row of dataset.rows) known[row] = 1;
  const stray = rows.findIndex((row) => known[row] !== 1);
  if (rows.length === 0 || stray >= 0) {
    const received = rows.length === 0 ? 'none' : `${rows[stray]} at ${stray}`;
    throw new SparringError('OUT_OF_RANGE', `subset: rows: expected rows of '${dataset.name}', received ${received}`);
  }
  return { ...dataset, rows: Int32Array.from(rows) };
}

const seedOption = wholeNumber(0);

const splitSchema = v.strictObject({
  sizes: v.pipe(v.array(wholeNumber(1)), v.minLength(1, 'expected at least one size, received none')),
  seed: seedOption,
});

/**
 * Parts of a data set, disjoint and chosen at random. The same seed gives the same parts on every machine; examples
 * beyond the sum of the sizes are in none. The parts are views of the same arrays, in random order.
 *
 * @param options - `sizes`, how many examples each part has; `seed`, an integer of 0 to 2^53 - 1
 * @throws INVALID_ARGUMENT for an option, OUT_OF_RANGE when the sizes add up to more than there is.
 *
 * @example
 * ```ts
 * import { datasets, split } from 'sparring';
 *
 * const { train } = await datasets.sample();
 * const [training, validation] = split(train, { sizes: [400, 100], seed: 1 });
 * console.log(training!.rows.length, validation!.rows.length); // 400 100
 * ```
 */
export function split(
  dataset: Dataset,
  options: { readonly sizes: readonly number[]; readonly seed: number },
): Dataset[] {
  const { sizes, seed } = parseOptions(splitSchema, options, 'split');
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > dataset.rows.length) {
    throw new SparringError(
      'OUT_OF_RANGE',
      `split: sizes: expected at most the ${dataset.rows.length} examples of '${dataset.name}', received ` +
        `${sizes.join(' + ')} = ${total}`,
    );
  }
  const order = shuffled(dataset.rows, { seed, purpose: purposes.split, index: 0 });
  let end = 0;
  return sizes.map((size) => ({ ...dataset, rows: order.slice(end, (end += size)) }));
}

/**
 * The first `n` examples.
 *
 * @throws OUT_OF_RANGE when there are fewer.
 *
 * @example
 * ```ts
 * import { datasets, take } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * console.log(take(test, 10).rows.length); // 10
 * ```
 */
export function take(dataset: Dataset, n: number): Dataset {
  if (!Number.isInteger(n) || n < 1 || n > dataset.rows.length) {
    throw new SparringError(
      'OUT_OF_RANGE',
      `take: n: expected an integer of 1 to ${dataset.rows.length}, received ${n}`,
    );
  }
  return { ...dataset, rows: dataset.rows.slice(0, n) };
}

const batchesSchema = v.strictObject({
  size: wholeNumber(1),
  seed: v.optional(seedOption),
  epoch: v.optional(wholeNumber(0), 0),
  shuffle: v.optional(v.boolean()),
  dropLast: v.optional(v.boolean(), false),
});

/** How `batches` cuts a data set. */
export interface BatchesOptions {
  /** How many examples a batch has; the last may have fewer. */
  readonly size: number;
  /** Names the order of a shuffle: an integer of 0 to 2^53 - 1. */
  readonly seed?: number;
  /** Which pass this is, 0 unless said: each has an order of its own, whatever passes came before. */
  readonly epoch?: number;
  /** Whether to shuffle: when there is a seed, unless said. */
  readonly shuffle?: boolean;
  /** Whether to leave out a last batch that is not full; false unless said. */
  readonly dropLast?: boolean;
}

/** The batches of one pass; it can be walked more than once, with the same result. */
export interface Batches extends Iterable<Int32Array> {
  /** How many batches there are. */
  readonly length: number;
}

/**
 * One pass over a data set: the rows of each batch, as indices into `inputs` and `labels`. Nothing of the set is copied.
 *
 * @throws INVALID_ARGUMENT for an option, for a shuffle without a seed, and where `dropLast` would leave nothing.
 *
 * @example
 * ```ts
 * import { batches, datasets } from 'sparring';
 *
 * const { train } = await datasets.sample();
 * const pass = batches(train, { size: 128, seed: 1, epoch: 0 });
 * console.log(pass.length, [...pass].map((rows) => rows.length)); // 4 [ 128, 128, 128, 116 ]
 * ```
 */
export function batches(dataset: Dataset, options: BatchesOptions): Batches {
  const { size, seed, epoch, dropLast, shuffle = seed !== undefined } = parseOptions(batchesSchema, options, 'batches');
  if (shuffle && seed === undefined) {
    throw new SparringError('INVALID_ARGUMENT', 'batches: seed: expected one to shuffle by, received none');
  }
  const total = dataset.rows.length;
  const length = dropLast ? Math.floor(total / size) : Math.ceil(total / size);
  if (length === 0) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `batches: size: expected at most the ${total} examples of '${dataset.name}' with dropLast, received ${size}`,
    );
  }
  return {
    length,
    *[Symbol.iterator]() {
      const stream = shuffle && seed !== undefined && { seed, purpose: purposes.shuffle, index: epoch };
      const order = stream ? shuffled(dataset.rows, stream) : dataset.rows;
      for (let i = 0; i < length; i++) yield order.slice(i * size, (i + 1) * size);
    },
  };
}

/** What a data set is like. */
export interface Description {
  readonly name: string;
  /** How many examples there are. */
  readonly examples: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly classNames?: readonly string[];
  /** How many examples each class has, by label. */
  readonly counts: readonly number[];
  /** The mean of all values after scaling. */
  readonly mean: number;
  /** Their standard deviation (over all values, not a sample's). */
  readonly std: number;
}

/**
 * The size, the balance and the spread of a data set.
 *
 * @example
 * ```ts
 * import { datasets, describe } from 'sparring';
 *
 * const { test } = await datasets.sample();
 * const { examples, counts } = describe(test);
 * console.log(examples, counts[0]); // 200 20
 * ```
 */
export function describe(dataset: Dataset): Description {
  const { name, inputs, labels, shape, classes, classNames, scale, rows } = dataset;
  const size = elementCount(shape);
  const counts = new Array<number>(classes).fill(0);
  let sum = 0;
  for (const row of rows) {
    counts[labels[row]!]! += 1;
    for (let i = row * size; i < (row + 1) * size; i++) sum += inputs[i]!;
  }
  const mean = sum / (rows.length * size);
  // A second walk, since the difference of two large sums would lose the digits that matter.
  let squares = 0;
  for (const row of rows) {
    for (let i = row * size; i < (row + 1) * size; i++) squares += (inputs[i]! - mean) ** 2;
  }
  const std = Math.sqrt(squares / (rows.length * size));
  return {
    name,
    examples: rows.length,
    shape,
    classes,
    ...(classNames === undefined ? {} : { classNames }),
    counts,
    mean: mean * scale,
    std: std * scale,
  };
}
