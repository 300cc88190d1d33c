/** Runs experiments: trains what they need, measures, writes result files, and draws the report. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { ensureWritable } from '../io/atomic.js';
import { oneOf, parseOptions, wholeFrom } from '../options.js';
import type { Specimen } from '../report/images.js';
import { displayName } from '../report/names.js';
import type { Picture } from '../report/picture.js';
import { writeReport } from '../report/report.js';
import { readResults, writeResults, type ResultFile } from '../report/results.js';
import { cifar10 } from './cifar10.js';
import { claims } from './claims.js';
import { cost } from './cost.js';
import { countOf, type Experiment, type Findings } from './experiment.js';
import { fashion } from './fashion.js';
import { figure1 } from './figure1.js';
import { figure2 } from './figure2.js';
import { l2 } from './l2.js';
import { Laboratory, trainingUnits } from './laboratory.js';
import { isTable, labelOf, profileOf, profiles, type Profile, type Recipe, type TablePlan } from './profiles.js';
import { robustness } from './robustness.js';
import { budgeted, specimens } from './specimens.js';
import { table1 } from './table1.js';
import { table2 } from './table2.js';

/** In the order of the report; what a user may lack the data or the hours for comes last. */
const experiments: Record<string, Experiment> = {
  table1,
  table2,
  figure1,
  figure2,
  cost,
  l2,
  robustness,
  claims,
  fashion,
  cifar10,
};

/** The experiments that can be reproduced. */
export const experimentNames: readonly string[] = Object.keys(experiments);
/** The profiles that they can be reproduced with. */
export const profileNames = Object.keys(profiles) as (keyof typeof profiles)[];

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
  /** The name of a profile, or one of your own. */
  profile: string | Profile;
  /** How many seeds, 0, 1, ...; the profile's own number by default. */
  seeds?: number;
  /** The folder for results, networks and the report. */
  out: string;
  /** Whether networks that an earlier run finished are taken as they are, and an interrupted training goes on. */
  resume?: boolean;
  signal?: AbortSignal;
}

const schema = v.strictObject({
  profile: v.union([
    v.picklist(Object.keys(profiles) as [keyof typeof profiles, ...(keyof typeof profiles)[]]),
    v.custom<Profile>(
      (value) => typeof value === 'object' && value !== null && 'table1' in value,
      'expected a profile',
    ),
  ]),
  seeds: v.optional(wholeFrom(1)),
  out: v.pipe(v.string(), v.minLength(1, 'expected a folder')),
  resume: v.optional(v.boolean(), false),
  signal: v.optional(v.instance(AbortSignal)),
});

const titles: Record<string, string> = { mlp: '784-1000-1000-10', lenet: 'LeNet' };

/** A recipe as result files have it. */
export function describeRecipe(recipe: Recipe, seeds: number): Record<string, unknown> {
  const { model, options, method, epochs, batchSize, optimizer, training } = recipe;
  return {
    model: titles[model] ?? model,
    ...options,
    name: labelOf(recipe),
    method: method.name,
    ...method.settings,
    epochs,
    batchSize,
    optimizer,
    schedule: 'cosine to 0',
    ...training,
    ...(recipe.seeds !== undefined && { seeds: countOf(recipe, seeds) }),
  };
}

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
  const training = [...recipes].reduce((sum, recipe) => sum + countOf(recipe, seeds) * trainingUnits(recipe), 0);
  return chosen.reduce((sum, experiment) => sum + experiment.units(profile, seeds), training);
}

/** The result files that are in a folder already; one that this version cannot read is refused before it is replaced. */
async function earlierResults(out: string, names: readonly string[]): Promise<Map<string, ResultFile>> {
  const found = new Map<string, ResultFile>();
  for (const name of Object.keys(experiments)) {
    const path = join(out, `${name}.json`);
    try {
      found.set(name, await readResults(path));
    } catch (error) {
      if (!(error instanceof SparringError)) throw error;
      if (error.code === 'NOT_FOUND') continue;
      if (!names.includes(name)) continue;
      const { version } = (await readFile(path, 'utf8')
        .then(JSON.parse)
        .catch(() => ({}))) as { version?: unknown };
      const what = typeof version === 'number' && version !== 1 ? `of version ${version}` : 'that cannot be read';
      throw new SparringError(
        'BAD_FILE',
        `${path}: expected results of version 1 or none, received a file ${what}; it is left as it is: move it away or choose another folder`,
        { cause: error },
      );
    }
  }
  return found;
}

/** What an interrupted run has left in the folder of networks, in words. */
async function interrupted(folder: string): Promise<string | undefined> {
  const files = await readdir(folder);
  const [checkpoint] = files.filter((name) => name.endsWith('.checkpoint'));
  return checkpoint?.replace('.safetensors.checkpoint', '');
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
  const { profile: chosen, out, resume, signal, ...rest } = parseOptions(schema, options, 'reproduce');
  for (const name of names) {
    if (!(name in experiments))
      throw new SparringError('INVALID_ARGUMENT', `reproduce: ${oneOf(name, experimentNames)}`);
  }
  const profile = profileOf(chosen);
  const seeds = Array.from({ length: rest.seeds ?? profile.seeds }, (_, seed) => seed);
  const folder = join(out, 'networks');
  await ensureWritable(out);
  await ensureWritable(folder);
  const others = await earlierResults(out, names);
  const left = resume ? undefined : await interrupted(folder);
  if (left !== undefined) {
    yield {
      type: 'note',
      text: `${out} keeps an interrupted run (while it trained ${left}), which --resume would go on with; this run starts anew, and moves what it makes again to ${join(folder, 'earlier')}`,
    };
  }

  const progress = new Progress(totalUnits(names, profile, seeds.length));
  const laboratory = new Laboratory({
    profile,
    folder,
    resume,
    signal,
    report: (what, units, detail) => {
      progress.add(what, units, detail);
    },
  });
  const results = new Map<string, ResultFile>([...others].filter(([, result]) => result.profile === profile.name));
  const pictures: Picture[] = [];
  let shown: Specimen[] = [];
  try {
    for (const name of names) experiments[name]!.prepare?.(laboratory, seeds);
    for (const name of names) {
      const experiment = experiments[name]!;
      const found: Findings = yield* progress.during(experiment.measure(laboratory, seeds));
      await laboratory.release();
      const recipes = experiment.recipes(profile);
      const networks = recipes.map((recipe) => describeRecipe(recipe, seeds.length));
      const most = Math.max(...recipes.map((recipe) => countOf(recipe, seeds.length)));
      const result: ResultFile = {
        format: 'sparring-results',
        version: 1,
        experiment: name,
        profile: profile.name,
        seeds: recipes.length > 0 ? seeds.slice(0, most) : seeds,
        environment: environment(),
        settings: { ...experiment.settings(profile), ...(networks.length > 0 && { networks }) },
        rows: found.rows,
        ...(found.claims && { claims: found.claims }),
        ...(found.robustness && { robustness: found.robustness }),
        ...(experiment.paper && { paper: experiment.paper }),
      };
      const path = join(out, `${name}.json`);
      await writeResults(path, result);
      results.set(name, result);
      pictures.push(...(found.pictures ?? []));
      yield { type: 'result', experiment: name, path, result };
    }
    const tabled = names.find(isTable);
    if (tabled !== undefined) shown = await specimensOf(laboratory, profile[tabled], seeds[0]!);
    const ordered = Object.keys(experiments).flatMap((name) => results.get(name) ?? []);
    yield { type: 'report', files: await writeReport(out, { results: ordered, specimens: shown, pictures }) };
  } finally {
    await laboratory.release();
  }
}

/** Images of six classes, as the normal network of a table and the one that learned with the adversary see them. */
async function specimensOf(laboratory: Laboratory, { recipes, epsilon }: TablePlan, seed: number): Promise<Specimen[]> {
  const [{ model, data }] = recipes as [Recipe];
  const shown = recipes.filter((recipe) => recipe.model === model && ['normal', 'lwa'].includes(labelOf(recipe)));
  const networks = [];
  for (const recipe of shown) {
    const { network } = await laboratory.network(recipe, seed);
    networks.push({ name: `${displayName(model)}, ${displayName(labelOf(recipe))}`, network });
  }
  const { validation } = await laboratory.images(data, seed);
  return specimens(networks, validation, { attack: 'advLoss', perturb: budgeted('advLoss', epsilon), classes: 6 });
}
