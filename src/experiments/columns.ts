/** The columns of the tables of accuracies: what a network's images go through in each. */
import type * as attacks from '../adversary/index.js';

/** An attack by name, with its options beside those that an experiment gives to all. */
export interface AttackSetting {
  name: keyof typeof attacks;
  options?: Readonly<Record<string, unknown>>;
  /** What it is called, where its name does not tell. */
  label?: string;
}

/** A column of accuracies: to add one is to add it to a list. */
export interface Column {
  name: string;
  /** The images that are measured: `validation`, or the official `test` images. */
  images: 'validation' | 'test';
  /** How many of them, the first; all by default. */
  first?: number;
  /** With how many of the seeds, the first, it is measured; with all by default. */
  seeds?: number;
  /** The attack; none for clean images. */
  attack?: AttackSetting;
  /** Whether attacked images stay in the range of the data. The paper's perturbations are not held to it. */
  clip?: boolean;
  /** Whether the images are attacked on the network of the same architecture that was trained normally. */
  transferred?: boolean;
  /** About how long an image takes beside a clean one. */
  cost: number;
}

/** A column of lengths: the median of the shortest perturbations that any of some attacks finds. */
export interface Distance {
  name: string;
  /** How many of the validation images, the first. */
  first: number;
  /** With how many of the seeds, the first, it is measured; with all by default. */
  seeds?: number;
  attacks: readonly AttackSetting[];
  /** About how long an image takes beside a clean one. */
  cost: number;
}

const single = (name: keyof typeof attacks, cost: number): Column => ({
  name,
  images: 'validation',
  attack: { name },
  cost,
});

/** The paper's columns, and the official test images. */
export const paperColumns: readonly Column[] = [
  { name: 'validation', images: 'validation', cost: 1 },
  { name: 'test', images: 'test', cost: 1 },
  { name: 'fixed', images: 'validation', attack: { name: 'advLoss' }, transferred: true, cost: 4 },
  single('advLossSign', 4),
  single('advLoss', 4),
  single('advAlpha', 12),
];

/** PGD in 40 steps of .1 from the image itself. */
export const pgd40Attack: AttackSetting = { name: 'pgd', options: { steps: 40, stepSize: 0.1, randomStart: false } };

/** What PGD in 40 steps leaves of all images, or of the first. */
export const pgd40 = (first?: number): Column => ({
  name: 'pgd40',
  images: 'validation',
  ...(first !== undefined && { first }),
  attack: pgd40Attack,
  clip: true,
  cost: 120,
});

/** The standard protocol: of what has been looked for here, what a network is left with. */
export const autoAttack = (first: number, seeds?: number): Column => ({
  name: 'autoAttack',
  images: 'validation',
  first,
  ...(seeds !== undefined && { seeds }),
  attack: { name: 'autoAttack' },
  clip: true,
  cost: 4000,
});

/** The shorter of what FMN and DDN find. */
export const medianDistance = (first: number): Distance => ({
  name: 'medianDistance',
  first,
  attacks: [{ name: 'fmn' }, { name: 'ddn' }],
  cost: 700,
});
