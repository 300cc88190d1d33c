/** What a training carries from one batch to the next: the perturbations of a method whose adversary never starts anew. */
import { loadTensors } from '../nn/stateDict.js';
import { slice, zeros } from '../tensor/ops.js';
import { keep } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** A perturbation for each place in a batch, none at first. A smaller batch takes the first places. */
export class CarriedPerturbations {
  private readonly perturbations: Tensor;

  constructor(batchSize: number, shape: readonly number[]) {
    this.perturbations = keep(zeros([batchSize, ...shape]));
  }

  /** Those of the first `count` places, in the memory of all: what is written there is carried on. */
  first(count: number): Tensor {
    return slice(this.perturbations, [0], [count]);
  }

  /** The perturbations: a live tensor. */
  stateDict(): Record<string, Tensor> {
    return { perturbations: this.perturbations };
  }

  /** Takes over the numbers of a state dict, in place. */
  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    loadTensors(Object.entries(this.stateDict()), state);
  }

  dispose(): void {
    this.perturbations.dispose();
  }
}
