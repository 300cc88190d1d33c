/** The mean of the weights that a training goes through. */
import type { Module } from '../nn/module.js';
import { SGD } from '../nn/optimizers.js';
import { loadTensors } from '../nn/stateDict.js';
import { affine, cast, div, maximum, sub } from '../tensor/ops.js';
import { keep, scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';

/** How the mean starts: after t steps it is moved by no less than warmUp / (warmUp + 1 + t), so that it forgets the first weights soon. */
const warmUp = 9;

const copy = (value: Tensor): Tensor => keep(scope(() => affine(value, 1)));

/**
 * An exponential moving average of a network's weights: at each step decay times the average and 1 - decay times the
 * weights (Polyak and Juditsky 1992; for robust networks Gowal et al. 2020).
 */
export class AverageWeights {
  private readonly own: [string, Tensor][];
  private readonly weights: readonly Tensor[];
  private readonly towards: SGD;

  constructor(
    private readonly model: Module,
    private readonly decay: number,
  ) {
    const parameters = model.namedParameters();
    this.weights = parameters.map(([, value]) => value);
    this.own = parameters.map(([name, value]) => [name, copy(value)]);
    this.towards = new SGD(this.own.map(([, value]) => value));
  }

  /** Moves the average after step `tick` (int32 [], from 0), as part of a plan: it descends the squared distance from the weights. */
  follow(tick: Tensor): void {
    const away = this.own.map(([, value], index) => sub(value, this.weights[index]!));
    const early = div(tensor(warmUp, { dtype: 'float64' }), affine(cast(tick, 'float64'), 1, warmUp + 1));
    this.towards.apply(away, maximum(early, 1 - this.decay), tick);
  }

  /** The network gets the average, and what it had is kept in its place: at the second call all is as before. */
  swap(): void {
    scope(() => {
      const held = Object.fromEntries(this.own.map(([name, value]) => [name, affine(value, 1)]));
      loadTensors(this.own, this.model.stateDict());
      this.model.loadStateDict(held);
    });
  }

  /** The average by name, or what stands in its place: live tensors. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(this.own);
  }

  /** Takes over the numbers of a state dict, in place. */
  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    loadTensors(this.own, state);
  }

  dispose(): void {
    for (const [, value] of this.own) value.dispose();
    this.towards.dispose();
  }
}
