/** Networks that the adversary's tests attack, and plain float64 arithmetic to judge the attacks by. */
import {
  jacobian,
  models,
  nn,
  scope,
  slice,
  tensor,
  type NestedNumbers,
  type NormName,
  type Target,
  type Tensor,
} from '../../src/index.js';
import { seeded } from '../tensor/numbers.js';

export const normNames = ['l1', 'l2', 'linf'] as const;

export type Real = 'float32' | 'float64';

/** Numbers between low and high. */
export function numbers(count: number, seed: number, low = -1, high = 1): number[] {
  const next = seeded(seed);
  return Array.from({ length: count }, () => low + (high - low) * next());
}

/** A matrix of numbers between low and high. */
export function matrix(rows: number, columns: number, seed: number, low = -1, high = 1): number[][] {
  const all = numbers(rows * columns, seed, low, high);
  return Array.from({ length: rows }, (_, row) => all.slice(row * columns, (row + 1) * columns));
}

/** A network that is its own linearisation: logits W x + b. */
export function linearNetwork(weight: number[][], bias: number[], dtype: Real = 'float32'): nn.Linear {
  const layer = new nn.Linear(weight[0]!.length, weight.length, { seed: 1 }).to(dtype).eval();
  scope(() => {
    layer.loadStateDict({ weight: tensor(weight, { dtype }), bias: tensor(bias, { dtype }) });
  });
  return layer;
}

/** A network of fully connected layers in evaluation mode. */
export const dense = (inputs: number, classes: number, seed: number, hidden = [16]): nn.Sequential =>
  models.mlp({ inputs, hidden, classes, initializer: 'heNormal', seed }).eval();

/** LeNet's shape, for images of 1x16x16. */
export const smallLenet = (seed: number, classes = 5): nn.Sequential =>
  models.lenet({ height: 16, width: 16, filters: [3, 5], dense: 12, classes, initializer: 'heNormal', seed }).eval();

/** A network made of a function. */
export const network = (forward: (x: Tensor) => Tensor): Target => ({ forward, training: false });

/** The rows of a tensor [B, ...], as plain float64 numbers. */
export function rowsOf(x: Tensor): number[][] {
  const [all, count] = [Array.from(x.data()), x.shape[0]!];
  const width = all.length / count;
  return Array.from({ length: count }, (_, row) => all.slice(row * width, (row + 1) * width));
}

/** The logits of a network in float64 and their Jacobian [K][D], at one input [1, ...]. */
export function linearized(model: Target, x: Tensor): { logits: number[]; rows: number[][] } {
  return scope(() => {
    const logits = Array.from(model.forward(x).data());
    const all = Array.from(jacobian((input) => model.forward(input), x).data());
    const width = x.size;
    return { logits, rows: logits.map((_, k) => all.slice(k * width, (k + 1) * width)) };
  });
}

/** The inputs one by one, [1, ...] each. */
export const oneByOne = (x: Tensor): Tensor[] =>
  Array.from({ length: x.shape[0]! }, (_, row) => slice(x, [row], [row + 1]));

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

export const minus = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value - b[i]!);

/** The length of a row, in plain float64. */
export const length: Record<NormName, (row: readonly number[]) => number> = {
  l1: (row) => row.reduce((sum, value) => sum + Math.abs(value), 0),
  l2: (row) => Math.hypot(...row),
  linf: (row) => Math.max(0, ...row.map(Math.abs)),
};

/** The norm that is dual to a norm. */
export const dual: Record<NormName, (row: readonly number[]) => number> = {
  l1: length.linf,
  l2: length.l2,
  linf: length.l1,
};

export const cosine = (a: readonly number[], b: readonly number[]): number => dot(a, b) / (length.l2(a) * length.l2(b));

export const argmaxOf = (row: readonly number[]): number => row.indexOf(Math.max(...row));

/** The class that a network names for each input. */
export const predictions = (model: Target, x: Tensor): number[] => scope(() => rowsOf(model.forward(x)).map(argmaxOf));

/** How far each input was moved, measured in float64. */
export function moves(x: Tensor, adversarial: Tensor): number[][] {
  const before = rowsOf(x);
  return rowsOf(adversarial).map((row, i) => minus(row, before[i]!));
}

/** A tensor of nested numbers in a dtype. */
export const inputs = (values: NestedNumbers, dtype: Real = 'float32'): Tensor => tensor(values, { dtype });
