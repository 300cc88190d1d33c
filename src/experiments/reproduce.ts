/** Runs experiments: trains what they need, measures, writes result files, and draws the report. */
import { join } from 'node:path';
import * as v from 'valibot';
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { ensureWritable } from '../io/atomic.js';
import { oneOf, parseOptions, wholeFrom } from '../options.js';
import { displayName } from '../report/names.js';
import { writeReport } from '../report/report.js';
import { writeResults, type ResultFile, type ResultRow } from '../report/results.js';
import { overSeeds, type Experiment } from './experiment.js';
import { figure1 } from './figure1.js';
import { Laboratory, trainingUnits } from './laboratory.js';
import { profiles, type Profile, type Recipe } from './profiles.js';
import { specimens } from './specimens.js';
import { table1 } from './table1.js';

const experiments: Record<string, Experiment> = { table1, figure1 };

/** The experiments that can be reproduced. */
export const experimentNames: readonly string[] = Object.keys(experiments);
/** The profiles that they can be reproduced with. */
export const profileNames: readonly string[] = Object.keys(profiles);

/** What a reproduction tells of itself. */
export type ReproduceEvent =
  /** Work is being done: `done` of `total` units of the whole command. */
  | { type: 'progress'; what: string; done: number; total: number; detail: string }
  /** A line worth keeping. */
  | { type: 'note'; text: string }
  /** An experiment is done and its file written. */
  | { type: 'result'; experiment: string; path: string; result: ResultFile }
  /** All is done: the report and the pictures. */
  | { type: 'report'; files: string[] };

/** Options of {@link reproduce}. */
export interface ReproduceOptions {
  profile: string;
  /** How many seeds, 0, 1, ...; the profile's own number by default. */
  seeds?: number;
  /** The folder for results, networks and the report. */
  out: string;
  /** Whether networks that an earlier run finished are taken as they are, and an interrupted training goes on. */
  resume?: boolean;
  signal?: AbortSignal;
}

const schema = v.strictObject({
  profile: v.picklist(Object.keys(profiles) as [keyof typeof profiles, ...(keyof typeof profiles)[]]),
  seeds: v.optional(wholeFrom(1)),
  out: v.pipe(v.string(), v.minLength(1, 'expected a folder')),
  resume: v.optional(v.boolean(), false),
  signal: v.optional(v.instance(AbortSignal)),
});

const titles: Record<string, string> = { mlp: '784-1000-1000-10', lenet: 'LeNet' };
const describeRecipe = ({ model, method, epochs, batchSize, optimizer }: Recipe): Record<string, unknown> => ({
  model: titles[model] ?? model,
  method: method.name,
  ...method.settings,
  epochs,
  batchSize,
  optimizer,
  schedule: 'cosine to 0',
});

/** Work that was reported but not yet told. */
class Progress {
  #done = 0;
  #pending: ReproduceEvent[] = [];
  #wake: () => void = () => undefined;

  constructor(private readonly total: number) {}

  add(what: string, units: number, detail: string): void {
    this.#done = Math.min(this.total, this.#done + units);
    this.#pending.push({ type: 'progress', what, done: this.#done, total: this.total, detail });
    this.#wake();
  }

  /** Yields what is reported while a promise is pending; its value. */
  async *during<T>(work: Promise<T>): AsyncGenerator<ReproduceEvent, T, undefined> {
    const state = { settled: false };
    const end = work.finally(() => {
      state.settled = true;
      this.#wake();
    });
    end.catch(() => undefined);
    for (;;) {
      yield* this.#pending.splice(0);
      if (state.settled) return await end;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (state.settled || this.#pending.length > 0) resolve();
      });
    }
  }
}

function totalUnits(names: readonly string[], profile: Profile, seeds: number): number {
  const chosen = names.map((name) => experiments[name]!);
  const recipes = new Set(chosen.flatMap((experiment) => [...experiment.recipes(profile)]));
  const training = [...recipes].reduce((sum, recipe) => sum + trainingUnits(recipe), 0);
  return seeds * chosen.reduce((sum, experiment) => sum + experiment.units(profile), training);
}

/**
 * Reproduces experiments of the paper on real MNIST and writes `OUT/<experiment>.json`, plots and `OUT/report.html`.
 * Networks are kept in `OUT/networks`, so that an interrupted run can go on with `resume`.
 *
 * @param names - Of {@link experimentNames}.
 * @throws SparringError for unknown names or options, a folder that cannot be written, missing data.
 *
 * @example
 * ```ts
 * import { experimentNames } from 'sparring';
 *
 * console.log(experimentNames.includes('table1')); // true
 * ```
 */
export async function* reproduce(
  names: readonly string[],
  options: ReproduceOptions,
): AsyncGenerator<ReproduceEvent, void, undefined> {
  const { profile: profileName, out, resume, signal, ...rest } = parseOptions(schema, options, 'reproduce');
  for (const name of names) {
    if (!(name in experiments))
      throw new SparringError('INVALID_ARGUMENT', `reproduce: ${oneOf(name, experimentNames)}`);
  }
  const profile: Profile = profiles[profileName];
  const seeds = Array.from({ length: rest.seeds ?? profile.seeds }, (_, seed) => seed);
  await ensureWritable(out);
  await ensureWritable(join(out, 'networks'));

  const progress = new Progress(totalUnits(names, profile, seeds.length));
  const laboratory = new Laboratory({
    profile,
    folder: join(out, 'networks'),
    resume,
    signal,
    report: (what, units, detail) => {
      progress.add(what, units, detail);
    },
  });
  const results: ResultFile[] = [];
  try {
    for (const name of names) {
      const experiment = experiments[name]!;
      const runs: ResultRow[][] = [];
      for (const seed of seeds) runs.push(yield* progress.during(experiment.measure(laboratory, seed)));
      const result: ResultFile = {
        format: 'sparring-results',
        version: 1,
        experiment: name,
        profile: profileName,
        seeds,
        environment: environment(),
        settings: { ...experiment.settings(profile), networks: experiment.recipes(profile).map(describeRecipe) },
        rows: overSeeds(runs),
        ...(experiment.paper && { paper: experiment.paper }),
      };
      const path = join(out, `${name}.json`);
      await writeResults(path, result);
      results.push(result);
      yield { type: 'result', experiment: name, path, result };
    }
    const used = profile.recipes.filter((recipe) =>
      names.some((name) => experiments[name]!.recipes(profile).includes(recipe)),
    );
    const networks = [];
    for (const recipe of used.filter(({ model }) => model === used[0]!.model)) {
      const { network } = await laboratory.network(recipe, seeds[0]!);
      networks.push({ name: `${displayName(recipe.model)}, ${displayName(recipe.method.name)}`, network });
    }
    const { validation } = await laboratory.images(seeds[0]!);
    const pictures = await specimens(networks, validation, { epsilon: profile.epsilon, classes: 6 });
    yield { type: 'report', files: await writeReport(out, { results, specimens: pictures }) };
  } finally {
    await laboratory.dispose();
  }
}
