/** The best weights of a training so far. */
import { SparringError } from '../errors.js';
import type { Module } from '../nn/module.js';
import { affine } from '../tensor/ops.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** The epoch that a training keeps, and what it is worth. */
export interface Best {
  epoch: number;
  worth: number;
}

/** Copies of a network's weights, taken when it is worth more than ever before. */
export class BestWeights {
  /** When that was. */
  chosen: Best | undefined;
  private weights: Record<string, Tensor> = {};

  constructor(private readonly model: Module) {}

  /** Takes a copy if the network is worth more than the one that is kept. */
  offer(now: Best): void {
    if (!Number.isFinite(now.worth))
      throw new SparringError('NOT_FINITE', `train: keepBest: expected a finite number, received ${now.worth}`);
    if (this.chosen === undefined || now.worth > this.chosen.worth) this.take(now, this.model.stateDict());
  }

  /** Takes a copy of given weights. */
  take(chosen: Best, weights: Readonly<Record<string, Tensor>>): void {
    this.dispose();
    this.chosen = chosen;
    this.weights = Object.fromEntries(
      Object.entries(weights).map(([name, value]) => [name, keep(scope(() => affine(value, 1)))]),
    );
  }

  /** The copies by name. */
  stateDict(): Record<string, Tensor> {
    return this.weights;
  }

  /** Gives the network the weights that are kept, if there are any. */
  restore(): void {
    if (this.chosen !== undefined) this.model.loadStateDict(this.weights);
  }

  dispose(): void {
    for (const value of Object.values(this.weights)) value.dispose();
    this.weights = {};
  }
}
