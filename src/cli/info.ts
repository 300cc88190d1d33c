/** `sparring info` */
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { defineCommand } from './command.js';
import { entries } from './grid.js';
import { dataNames, find, type DataName } from './images.js';

/** Where a data set is, or why it is not. */
async function whereabouts(name: DataName): Promise<{ name: DataName; found: boolean; place: string }> {
  try {
    const located = await find(name);
    return { name, found: true, place: located?.dir ?? 'comes with the library' };
  } catch (error) {
    if (!(error instanceof SparringError)) throw error;
    return { name, found: false, place: error.message };
  }
}

/** What makes figures of this machine doubtful. */
export function warningsOf({ blasThreading }: Readonly<Record<string, unknown>>): string[] {
  if (blasThreading !== 'openmp') return [];
  return [
    "this OpenBLAS runs its own threads (OpenMP), which fight with the engine's: install the pthread build, libopenblas0-pthread on Debian",
  ];
}

/** Describes the machine. */
export const infoCommand = defineCommand({
  name: 'info',
  summary: 'show versions, the machine, and which data sets are there',
  description:
    'Shows what figures depend on: versions, the processor, threads, the BLAS and its kernel, SIMD; and which data sets are found.',
  options: {},
  examples: [['sparring info --json', 'to put beside a measurement']],
  async run() {
    const machine = environment();
    const data = await Promise.all(dataNames.map(whereabouts));
    const warnings = warningsOf(machine);
    return {
      json: { ...machine, data, warnings },
      text:
        entries(Object.entries(machine).map(([name, value]) => [name, String(value)])) +
        `\ndata sets\n${entries(data.map(({ name, found, place }) => [name, found ? place : `not found (sparring data ${name} says where it was looked for)`]))}` +
        warnings.map((warning) => `\nwarning: ${warning}\n`).join(''),
    };
  },
});
