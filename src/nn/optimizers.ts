/** Optimizers: state beside the parameters, and one fused update in place. Formulas and settings are PyTorch's. */
import * as v from 'valibot';
import { parseOptions } from '../options.js';
import { call, clamp, zeros } from '../tensor/ops.js';
import { keep, scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { loadTensors } from './stateDict.js';

const atLeastZero = v.pipe(v.number(), v.finite(), v.minValue(0));
const aboveZero = v.pipe(
  v.number(),
  v.check(
    (bound) => bound > 0,
    ({ input }) => `expected a number above 0, received ${input}`,
  ),
);
const belowOne = v.pipe(v.number(), v.minValue(0), v.maxValue(0.9999999));

/** Moves parameters against their gradients: what {@link SGD} and {@link Adam} share. */
export abstract class Optimizer {
  /** How many updates there have been. */
  steps = 0;

  constructor(
    /** What it moves, in place. */
    readonly parameters: readonly Tensor[],
    /** The learning rate of {@link Optimizer.step}. */
    public rate: number,
    private readonly slots: Record<string, Tensor[]>,
    private readonly clipGradients?: number,
  ) {}

  /**
   * Updates every parameter in place, at a rate (float64 []) and update number (int32 [], from 1) that a plan may
   * receive anew each time.
   */
  apply(gradients: readonly Tensor[], rate: Tensor, step: Tensor): void {
    const most = this.clipGradients;
    this.update(
      most === undefined ? gradients : gradients.map((each) => clamp(each, { low: -most, high: most })),
      rate,
      step,
    );
  }

  /** The update, of gradients that are clipped. */
  protected abstract update(gradients: readonly Tensor[], rate: Tensor, step: Tensor): void;

  /** One update at the optimizer's own rate. */
  step(gradients: readonly Tensor[]): void {
    this.steps++;
    scope(() => {
      this.apply(gradients, tensor(this.rate, { dtype: 'float64' }), tensor(this.steps, { dtype: 'int32' }));
    });
  }

  /** Its state by name, `velocity.0`, ...: live tensors. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(
      Object.entries(this.slots).flatMap(([slot, tensors]) =>
        tensors.map((value, index) => [`${slot}.${index}`, value]),
      ),
    );
  }

  /**
   * Takes over the numbers of a state dict, in place.
   *
   * @throws SparringError as a module's does; nothing is changed then.
   */
  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    loadTensors(Object.entries(this.stateDict()), state);
  }

  /** Frees the state. */
  dispose(): void {
    for (const value of Object.values(this.slots).flat()) value.dispose();
  }
}

const zerosLike = (parameters: readonly Tensor[]): Tensor[] =>
  parameters.map((parameter) => keep(zeros(parameter.shape, { dtype: parameter.dtype })));

const sgdOptions = v.strictObject({
  rate: v.optional(atLeastZero, 0.1),
  momentum: v.optional(belowOne, 0),
  nesterov: v.optional(v.boolean(), false),
  weightDecay: v.optional(atLeastZero, 0),
  clipGradients: v.optional(aboveZero),
});

/** Settings of {@link SGD}; with `clipGradients` c each entry of the gradients is first brought to -c ... c. */
export type SgdOptions = v.InferInput<typeof sgdOptions>;

/**
 * Stochastic gradient descent with momentum, Nesterov's step, weight decay and clipped gradients.
 *
 * @example
 * ```ts
 * import { gradients, nn, square, sum, tensor } from 'sparring';
 *
 * const w = tensor([1, 2]);
 * const optimizer = new nn.SGD([w], { rate: 0.25 });
 * optimizer.step(gradients(() => sum(square(w)), [w]).grads);
 * console.log(w.toArray()); // [0.5, 1]
 * ```
 */
export class SGD extends Optimizer {
  private readonly velocity: Tensor[];
  private readonly settings: { momentum: number; nesterov: boolean; weightDecay: number };

  constructor(parameters: readonly Tensor[], options: SgdOptions = {}) {
    const { rate, clipGradients, ...settings } = parseOptions(sgdOptions, options, 'SGD');
    const velocity = zerosLike(parameters);
    super(parameters, rate, { velocity }, clipGradients);
    this.velocity = velocity;
    this.settings = settings;
  }

  protected update(gradients: readonly Tensor[], rate: Tensor): void {
    this.parameters.forEach((parameter, index) => {
      call('sgdUpdate', [parameter, gradients[index]!, this.velocity[index]!, rate], this.settings);
    });
  }
}

const adamOptions = v.strictObject({
  rate: v.optional(atLeastZero, 0.001),
  beta1: v.optional(belowOne, 0.9),
  beta2: v.optional(belowOne, 0.999),
  epsilon: v.optional(atLeastZero, 1e-8),
  weightDecay: v.optional(atLeastZero, 0),
  decoupled: v.optional(v.boolean(), false),
  clipGradients: v.optional(aboveZero),
});

/** Settings of {@link Adam}; `decoupled` decays weights as AdamW does, `clipGradients` is that of {@link SgdOptions}. */
export type AdamOptions = v.InferInput<typeof adamOptions>;

/**
 * Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) with `decoupled`.
 *
 * @throws SparringError `INVALID_ARGUMENT` for unknown or impossible settings.
 *
 * @example
 * ```ts
 * import { gradients, nn, square, sum, tensor } from 'sparring';
 *
 * const w = tensor([1, -1]);
 * const optimizer = new nn.Adam([w], { rate: 0.1 });
 * optimizer.step(gradients(() => sum(square(w)), [w]).grads);
 * console.log(w.toArray().map((value) => value.toFixed(3))); // [0.900, -0.900]
 * ```
 */
export class Adam extends Optimizer {
  private readonly first: Tensor[];
  private readonly second: Tensor[];
  private readonly settings: { beta1: number; beta2: number; epsilon: number; weightDecay: number; decoupled: boolean };

  constructor(parameters: readonly Tensor[], options: AdamOptions = {}) {
    const { rate, clipGradients, ...settings } = parseOptions(adamOptions, options, 'Adam');
    const [first, second] = [zerosLike(parameters), zerosLike(parameters)];
    super(parameters, rate, { first, second }, clipGradients);
    this.first = first;
    this.second = second;
    this.settings = settings;
  }

  protected update(gradients: readonly Tensor[], rate: Tensor, step: Tensor): void {
    this.parameters.forEach((parameter, index) => {
      call(
        'adamUpdate',
        [parameter, gradients[index]!, this.first[index]!, this.second[index]!, rate, step],
        this.settings,
      );
    });
  }
}
