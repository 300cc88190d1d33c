import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reproduce, type ReproduceEvent, type ReproduceOptions } from '../../src/experiments/reproduce.js';
import { autoAttack, medianDistance, pgd40, pgd40Attack } from '../../src/experiments/columns.js';
import type { Profile, Recipe } from '../../src/experiments/profiles.js';
import type { ResultFile } from '../../src/report/results.js';
import * as methods from '../../src/training/methods.js';
import type { Method } from '../../src/training/method.js';

const mlp = (method: Method, more: Partial<Recipe> = {}): Recipe => ({
  data: 'sample',
  model: 'mlp',
  options: { hidden: [24, 24] },
  method,
  epochs: 6,
  batchSize: 32,
  optimizer: { name: 'sgd', rate: 0.1, momentum: 0.9 },
  cost: 1,
  ...more,
});

const lenet = (method: Method): Recipe => mlp(method, { model: 'lenet', options: { filters: [4, 6], dense: 20 } });

/** All experiments in seconds, on the digits that come with the library. */
export const tiny: Profile = (() => {
  const small = { epsilon: 0.5 };
  const dense = [
    mlp(methods.normal()),
    mlp(methods.dropout({ rate: 0.2 })),
    mlp(methods.goodfellow(small)),
    mlp(methods.lwa(small), { choice: 'guessed' }),
    mlp(methods.lwaRep(small)),
    mlp(methods.lwa({ ...small, perturbation: 'alpha' }), { label: 'lwaAlpha', seeds: 1 }),
  ];
  const strong = {
    columns: [
      pgd40(),
      { ...autoAttack(20, 1), attack: { name: 'autoAttack', options: { steps: 5, queries: 20 } } } as const,
    ],
    distance: { ...medianDistance(20), attacks: [{ name: 'fmn', options: { steps: 20 } }, { name: 'ddn' }] } as const,
  };
  const convolutional = [lenet(methods.normal()), lenet(methods.lwa(small))];
  return {
    name: 'tiny',
    seeds: 2,
    table1: { recipes: dense, epsilon: 0.5 },
    table2: { recipes: convolutional, epsilon: 0.5, ...strong },
    fashion: { recipes: dense.slice(0, 2), epsilon: 0.5 },
    cifar10: { recipes: dense.slice(0, 1), epsilon: 0.25 },
    figure1: { recipes: convolutional, lengths: [0, 0.5, 1], images: 100, bins: [0, 0.25, 0.5, 1, 2], distances: 40 },
    figure2: { images: 50 },
    cost: { classes: [2, 5, 10], hidden: [16], images: 10, repeats: 2 },
    l2: { images: 20 },
    robustness: {
      recipes: convolutional,
      lengths: [0.5, 1],
      images: 12,
      ranks: [
        [{ name: 'advLoss' }],
        [{ ...pgd40Attack, label: 'pgd40' }],
        [{ name: 'autoAttack', options: { steps: 5, queries: 20 } }],
      ],
      distances: [{ name: 'fmn' }, { name: 'ddn' }],
    },
  };
})();

export const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'sparring-experiments-'));

/** Runs experiments in the tiny profile to their end, or to an error. */
export async function run(
  names: readonly string[],
  options: Omit<ReproduceOptions, 'profile'> & { profile?: Profile },
): Promise<{ events: ReproduceEvent[]; results: Record<string, ResultFile>; details: string[]; notes: string[] }> {
  const events: ReproduceEvent[] = [];
  for await (const event of reproduce(names, { profile: tiny, ...options })) events.push(event);
  const results = Object.fromEntries(
    events.flatMap((event) => (event.type === 'result' ? [[event.experiment, event.result]] : [])),
  );
  const details = events.flatMap((event) => (event.type === 'progress' ? [`${event.what}: ${event.detail}`] : []));
  const notes = events.flatMap((event) => (event.type === 'note' ? [event.text] : []));
  return { events, results, details, notes };
}
