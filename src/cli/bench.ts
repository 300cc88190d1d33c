/** `sparring bench` */
import { bench, suites } from '../bench/index.js';
import { defineCommand } from './command.js';
import { grid } from './grid.js';
import { choice, list, option, real } from './values.js';

const names = [
  ...Object.keys(suites),
  ...Object.values(suites).flatMap((workloads) => workloads.map(({ name }) => name)),
];

const options = {
  only: option(list(choice(names)), 'suites or workloads to time', { fallbackText: 'all' }),
  seconds: option(real({ least: 0.01 }), 'about how long each workload is timed', { fallback: 1 }),
};

const milliseconds = (seconds: number): string => (1000 * seconds).toPrecision(4);

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'time the engine, training steps and attacks',
  description:
    `Times workloads (suites ${Object.keys(suites).join(', ')}) on this machine: median and least time of a repetition, and the rate ` +
    'of the floating-point operations that its matrix products and convolutions need. Network workloads want MNIST.',
  options,
  examples: [
    ['sparring bench --only products,mlp_train_b128', 'matrix products, and a training step to hold against them'],
    ['sparring bench --json', 'everything, for a program to read'],
  ],
  async run(session, { only, seconds }) {
    const chosen = only ?? [];
    const total = names.length - Object.keys(suites).length;
    let done = 0;
    const result = await bench({
      only: chosen,
      seconds,
      signal: session.signal,
      onResult: (name, { median_s }) => {
        session.progress({
          what: name,
          done: ++done,
          total: chosen.length === 0 ? total : Math.max(done, chosen.length),
          detail: `${milliseconds(median_s)} ms`,
        });
      },
    });
    const rows = Object.entries(result.workloads).map(([name, { median_s, min_s, reps, gflops }]) => [
      name,
      milliseconds(median_s),
      milliseconds(min_s),
      String(reps),
      gflops === undefined ? '' : gflops.toFixed(1),
    ]);
    return { json: result, text: grid([['workload', 'median ms', 'least ms', 'repetitions', 'GFLOP/s'], ...rows]) };
  },
});
