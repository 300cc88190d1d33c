/** The training loop that all methods share. */
import * as v from 'valibot';
import { batches, type Dataset } from '../data/dataset.js';
import { SparringError } from '../errors.js';
import { Module } from '../nn/module.js';
import { Adam, SGD, type AdamOptions, type Optimizer, type SgdOptions } from '../nn/optimizers.js';
import { forRows, withRandomness } from '../nn/randomness.js';
import * as schedules from '../nn/schedules.js';
import type { Schedule } from '../nn/schedules.js';
import { oneOf, parseOptions, shown, wholeFrom } from '../options.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { accuracy } from './accuracy.js';
import { AverageWeights } from './average.js';
import { BestWeights, type Best } from './best.js';
import { augmented, augmentSchema, type AugmentOptions } from './augment.js';
import { CarriedPerturbations } from './carried.js';
import { contentsOf, describeSchedule, identityOf, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { Examples, guardData } from './examples.js';
import type { Method } from './method.js';
import * as methods from './methods.js';
import { normal } from './normal.js';
import { learn } from './step.js';

const optimizers = {
  sgd: (parameters: Tensor[], options: SgdOptions) => new SGD(parameters, options),
  adam: (parameters: Tensor[], options: AdamOptions) => new Adam(parameters, options),
};

/** The optimizer of a training, by name, with its settings. */
export type OptimizerChoice = ({ name: 'sgd' } & SgdOptions) | ({ name: 'adam' } & AdamOptions);

/** Options of {@link train}. */
export interface TrainOptions {
  /** How the network learns: a method, or the name of one with its default settings; `normal` by default. */
  method?: Method | keyof typeof methods;
  /** Passes over the data, 1 by default. */
  epochs?: number;
  /**
   * How many of the epochs, the first, learn from the examples as they are, like `normal`; 0 by default. A deep network
   * that knows nothing yet may learn nothing from an adversary's examples.
   */
  warmUp?: number;
  /** Examples a step, 128 by default. */
  batchSize?: number;
  /** SGD at rate .1 with momentum .9 by default. */
  optimizer?: OptimizerChoice;
  /** What the rate is multiplied by at each step; half a cosine by default. */
  schedule?: Schedule;
  /** How images are varied each time they are learned from; not at all by default. */
  augment?: AugmentOptions;
  /** Examples without labels, for a method that takes them (`vat`): as many of them a step as of the others. */
  unlabelled?: Dataset;
  /** Of the order of the examples and of all that is random; 0 by default. */
  seed?: number;
  /** Examples to measure the accuracy on after each epoch. */
  validation?: Dataset;
  /**
   * Early stopping: what an epoch's network is worth on the validation examples, the accuracy that an attack leaves for
   * instance. The training ends with the weights of the epoch that is worth most, the first of equals.
   */
  keepBest?: (model: Module, validation: Dataset) => number | Promise<number>;
  /**
   * The network ends with an exponential moving average of the weights instead of the last ones, which withstands more as
   * a rule: how much of the average is kept at each step, .999 for instance. It is the average that is measured after each
   * epoch, by `validation` and `keepBest` and by whoever looks at the network then.
   */
  averageWeights?: number;
  /** A file that keeps the state after each epoch; a training that finds it there goes on from it. */
  checkpoint?: string;
  /** Stops the training between two steps; the iteration throws the signal's reason. */
  signal?: AbortSignal;
}

/** One update has been made. */
export interface StepEvent {
  type: 'step';
  /** Updates made, and to be made in all. */
  step: number;
  steps: number;
  epoch: number;
  /** The batch's mean loss. */
  loss: number;
  /** The learning rate. */
  rate: number;
}

/** One pass over the data is done. */
export interface EpochEvent {
  type: 'epoch';
  epoch: number;
  epochs: number;
  /** The mean loss of the epoch's examples. */
  loss: number;
  /** The fraction of the validation examples classified rightly, where there are some. */
  validation: number | undefined;
  /** What `keepBest` says the network is worth, where there is one. */
  worth?: number;
  seconds: number;
}

/** The training has ended. */
export interface SummaryEvent {
  type: 'summary';
  method: string;
  epochs: number;
  steps: number;
  /** The last epoch's. */
  loss: number;
  validation: number | undefined;
  /** The epoch whose weights the network has, where `keepBest` chose one. */
  best?: Best;
  /** Of this run: a resumed training's earlier epochs do not count. */
  seconds: number;
}

/** What a training tells of itself. */
export type TrainEvent = StepEvent | EpochEvent | SummaryEvent;

const dataset = v.custom<Dataset>(
  (value) => typeof value === 'object' && value !== null && 'rows' in value,
  'expected a data set',
);

const schema = v.strictObject({
  method: v.optional(
    v.custom<Method | string>(
      (value) => typeof value === 'string' || (typeof value === 'object' && value !== null && 'prepare' in value),
      'expected a method or its name',
    ),
    'normal',
  ),
  epochs: v.optional(wholeFrom(1), 1),
  warmUp: v.optional(wholeFrom(0), 0),
  batchSize: v.optional(wholeFrom(1), 128),
  optimizer: v.optional(v.looseObject({ name: v.picklist(['sgd', 'adam']) }), {
    name: 'sgd',
    rate: 0.1,
    momentum: 0.9,
  }),
  schedule: v.optional(
    v.custom<Schedule>((value) => typeof value === 'function', 'expected a function of step and total'),
  ),
  seed: v.optional(wholeFrom(0), 0),
  augment: v.optional(augmentSchema),
  unlabelled: v.optional(dataset),
  validation: v.optional(dataset),
  keepBest: v.optional(
    v.custom<NonNullable<TrainOptions['keepBest']>>((value) => typeof value === 'function', 'expected a function'),
  ),
  averageWeights: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (decay) => decay >= 0 && decay < 1,
        ({ input }) => `expected a share of 0 to less than 1, received ${input}`,
      ),
    ),
  ),
  checkpoint: v.optional(v.string()),
  signal: v.optional(v.instance(AbortSignal)),
});

function methodOf(method: Method | string): Method {
  if (typeof method !== 'string') return method;
  const make = (methods as Record<string, (() => Method) | undefined>)[method];
  if (make === undefined)
    throw new SparringError('INVALID_ARGUMENT', `train: method: ${oneOf(method, Object.keys(methods))}`);
  return make();
}

/** The parameters that a training under way changes: two at once would undo each other's steps. */
const inTraining = new WeakSet<Tensor>();

const refuse = (what: string): never => {
  throw new SparringError('INVALID_ARGUMENT', `train: ${what}`);
};

/** Refuses options that do not suit the examples or the method. */
function check(
  { shape }: Dataset,
  method: Method,
  { augment, unlabelled }: { augment: AugmentOptions | undefined; unlabelled: Dataset | undefined },
): void {
  const [, height, width] = shape as [number, number, number];
  if (augment !== undefined && shape.length !== 3)
    refuse(`augment: expected images [channels, height, width], received inputs of shape [${shape.join(', ')}]`);
  if (augment?.crop !== undefined && augment.crop >= Math.min(height, width))
    refuse(`augment: crop: expected less than the images' ${height}x${width} pixels, received ${augment.crop}`);
  if (unlabelled === undefined) return;
  if (method.takesUnlabelled !== true)
    refuse(`unlabelled: expected with a method that takes examples without labels, received with ${method.name}`);
  if (unlabelled.shape.join() !== shape.join())
    refuse(`unlabelled: expected inputs of shape [${shape.join(', ')}], received [${unlabelled.shape.join(', ')}]`);
}

/** The rows of one batch after the other, pass after pass, from a step on. */
function* endless(data: Dataset, options: { size: number; seed: number; step: number }): Generator<Int32Array, never> {
  const { seed, step } = options;
  const size = Math.min(options.size, data.rows.length);
  const perPass = Math.floor(data.rows.length / size);
  for (let at = step; ;) {
    const pass = [...batches(data, { size, seed, epoch: Math.floor(at / perPass), dropLast: true })];
    for (const rows of pass.slice(at % perPass)) {
      at++;
      yield rows;
    }
  }
}

/**
 * Trains a network, and tells of every step and epoch as it goes. Each step runs as a plan, off the main thread. The
 * network is in evaluation mode when the training ends, also early. The same seed gives bit-identical weights on the
 * same machine.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K].
 * @param data - The examples.
 * @param options - See {@link TrainOptions}.
 * @returns An iterable of events; the last one is the summary. Breaking out of the loop stops the training.
 * @throws SparringError for unknown or impossible options, inputs that do not fit, a loss that is no longer finite, a
 * checkpoint of another training; `BUSY` for a network, or a part of one, that another training is changing.
 *
 * @example
 * ```ts
 * import { datasets, methods, models, train } from 'sparring';
 *
 * const { train: examples, test } = await datasets.sample();
 * const model = models.mlp({ hidden: [32], seed: 1 });
 * const method = methods.lwa({ epsilon: 0.5 });
 * for await (const event of train(model, examples, { method, epochs: 2, validation: test })) {
 *   if (event.type === 'epoch') console.log(`epoch ${event.epoch}: loss ${event.loss.toFixed(2)}`);
 * }
 * ```
 */
export async function* train(
  model: Module,
  data: Dataset,
  options: TrainOptions = {},
): AsyncGenerator<TrainEvent, SummaryEvent, undefined> {
  const parsed = parseOptions(schema, options, 'train');
  const {
    epochs,
    warmUp,
    batchSize,
    seed,
    signal,
    augment,
    unlabelled,
    validation,
    keepBest,
    averageWeights,
    checkpoint,
    ...rest
  } = parsed;
  const method = methodOf(rest.method);
  guardData('train', data);
  check(data, method, { augment, unlabelled });
  const schedule = rest.schedule ?? schedules.cosine();
  const { name, ...settings } = rest.optimizer;
  if (warmUp >= epochs) refuse(`warmUp: expected fewer than the ${epochs} epochs, received ${warmUp}`);
  if (keepBest !== undefined && validation === undefined)
    refuse('keepBest: expected with validation, received without');
  if (!((model as unknown) instanceof Module))
    throw new SparringError('INVALID_ARGUMENT', `train: expected a module to train, received ${shown(model)}`);
  const parameters = model.parameters();
  if (parameters.length === 0) refuse('expected a network with parameters, received none');
  if (parameters.some((parameter) => inTraining.has(parameter)))
    throw new SparringError(
      'BUSY',
      'train: expected a network that no training is changing, received one whose training is under way; let that one end, or leave its loop',
    );
  const optimizer: Optimizer = optimizers[name](parameters, settings);
  const examples = new Examples(data);
  const others = unlabelled && new Examples(unlabelled);
  const average = averageWeights === undefined ? undefined : new AverageWeights(model, averageWeights);
  const size = Math.min(batchSize, data.rows.length);
  const perEpoch = Math.ceil(data.rows.length / size);
  const steps = epochs * perEpoch;
  const carried = method.carries === true ? new CarriedPerturbations(size, data.shape) : undefined;
  const varied = (x: Tensor): Tensor => (augment === undefined ? x : augmented(x, augment));
  // A plan is made at its first call: without a warm-up there is one.
  const updateBy = (by: Method) =>
    planned((rows: Tensor, rate: Tensor, tick: Tensor, more?: Tensor) =>
      withRandomness({ seed, rows, tick }, () => {
        const { x, y } = examples.batch(rows);
        const batch = { model, x: varied(x), y, ...(carried && { carried: carried.first(rows.size) }) };
        const unlabelled = more &&
          by.takesUnlabelled && { x: forRows(more, () => varied(others!.batch(more).x)), rows: more };
        const plain = warmUp * perEpoch;
        const made = learn(by, unlabelled ? { ...batch, unlabelled } : batch, optimizer, { rate, tick, plain });
        average?.follow(tick);
        return made;
      }),
    );
  const plainly = updateBy(normal());
  const update = updateBy(method);
  const step = async (rows: Int32Array, rate: number, more?: Int32Array): Promise<number> => {
    const made = await (optimizer.steps < warmUp * perEpoch ? plainly : update)(
      tensor(rows),
      tensor(rate, { dtype: 'float64' }),
      tensor(optimizer.steps, { dtype: 'int32' }),
      ...(more === undefined ? [] : [tensor(more)]),
    );
    const loss = made.loss.item();
    const found = [
      ['a finite loss', loss],
      ['finite gradients', made.check.item()],
    ] as const;
    const bad = found.find(([, received]) => !Number.isFinite(received));
    if (bad !== undefined) {
      throw new SparringError(
        'NOT_FINITE',
        `train: expected ${bad[0]}, received ${bad[1]} at step ${optimizer.steps + 1}; a lower rate than ${rate.toPrecision(3)} may help`,
      );
    }
    optimizer.steps++;
    return loss;
  };
  const started = performance.now();
  let figures: Pick<EpochEvent, 'loss' | 'validation'> = { loss: NaN, validation: undefined };

  const best = new BestWeights(model);
  for (const parameter of parameters) inTraining.add(parameter);
  try {
    const state = { model, optimizer, best, ...(average && { average }), ...(carried && { carried }) };
    const identity =
      checkpoint === undefined
        ? {}
        : identityOf(model, data, {
            method: method.name,
            ...Object.fromEntries(Object.entries(method.settings).map(([key, value]) => [`method.${key}`, value])),
            optimizer: rest.optimizer,
            epochs,
            ...(warmUp > 0 && { warmUp }),
            batchSize,
            seed,
            schedule: describeSchedule(schedule, steps),
            augment,
            keepBest: keepBest && true,
            ...(averageWeights !== undefined && { averageWeights }),
            ...(unlabelled && {
              unlabelled: unlabelled.name,
              'contents of the unlabelled examples': contentsOf(unlabelled),
            }),
          });
    const before = checkpoint === undefined ? undefined : await readCheckpoint(checkpoint, state, identity);
    if (before !== undefined) figures = { loss: before.loss, validation: before.validation };
    const more = unlabelled && endless(unlabelled, { size, seed, step: optimizer.steps });
    for (let epoch = before?.epoch ?? 0; epoch < epochs; epoch++) {
      const epochStarted = performance.now();
      let total = 0;
      // Its memory is the method's now.
      if (epoch === warmUp) plainly.dispose();
      for (const rows of batches(data, { size, seed, epoch })) {
        signal?.throwIfAborted();
        // Before each step: whoever attacks the network between two puts it in evaluation mode.
        model.train();
        const factor: unknown = schedule(optimizer.steps, steps);
        if (!Number.isFinite(factor)) {
          throw new SparringError(
            'NOT_FINITE',
            `train: schedule: expected a finite factor, received ${shown(factor)} at step ${optimizer.steps + 1}`,
          );
        }
        const rate = optimizer.rate * (factor as number);
        const loss = await scope(() => step(rows, rate, more?.next().value));
        total += loss * rows.length;
        yield { type: 'step', step: optimizer.steps, steps, epoch: epoch + 1, loss, rate };
      }
      model.eval();
      average?.swap();
      const measured = validation && (await accuracy(model, validation, { ...(signal && { signal }) }));
      const worth = keepBest && (await keepBest(model, validation!));
      if (worth !== undefined) best.offer({ epoch: epoch + 1, worth });
      const seconds = (performance.now() - epochStarted) / 1000;
      figures = { loss: total / data.rows.length, validation: measured && measured.correct / measured.total };
      average?.swap();
      if (checkpoint !== undefined)
        await writeCheckpoint(checkpoint, state, { settings: identity, epoch: epoch + 1, ...figures });
      average?.swap();
      yield {
        type: 'epoch',
        epoch: epoch + 1,
        epochs,
        ...figures,
        ...(worth !== undefined && { worth }),
        seconds,
      };
      average?.swap();
    }
    average?.swap();
    best.restore();
  } finally {
    for (const parameter of parameters) inTraining.delete(parameter);
    model.eval();
    plainly.dispose();
    update.dispose();
    examples.dispose();
    others?.dispose();
    optimizer.dispose();
    best.dispose();
    average?.dispose();
    carried?.dispose();
  }
  const summary: SummaryEvent = {
    type: 'summary',
    method: method.name,
    epochs,
    steps,
    loss: figures.loss,
    validation: figures.validation,
    ...(best.chosen && { best: best.chosen }),
    seconds: (performance.now() - started) / 1000,
  };
  yield summary;
  return summary;
}
