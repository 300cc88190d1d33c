/** What a training method is: how the loss of a batch comes about. Each method is a file of its own. */
import type { Module } from '../nn/module.js';
import type { Tensor } from '../tensor/tensor.js';

/** A batch, as a method sees it: tensors of a plan that is being traced. */
export interface Batch {
  model: Module;
  /** Inputs [B, ...]. */
  x: Tensor;
  /** Labels, int32 [B]. */
  y: Tensor;
}

/** A way to train. */
export interface Method {
  /** Its name in tables and files. */
  readonly name: string;
  /** Its settings, for the record. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * Prepares a batch and gives its loss as a function. What is done before the function is called (finding a
   * perturbation) is held fixed when the loss is differentiated: Proposition 3.1 of the paper.
   */
  prepare(batch: Batch): () => Tensor;
}

/** Runs fn with the network in evaluation mode: an adversary attacks the network as it will be used. */
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
