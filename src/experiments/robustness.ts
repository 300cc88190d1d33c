import { take } from '../data/dataset.js';
import { evaluate, type Evaluation } from '../evaluation/evaluate.js';
import { percent } from '../report/format.js';
import { displayName } from '../report/names.js';
import { pairedT } from '../report/paired.js';
import type { Claim, Comparand, RobustnessRecord } from '../report/results.js';
import { curveRows } from '../report/robustness.js';
import { unitsOf } from './cells.js';
import { against, compared } from './claims.js';
import type { AttackSetting } from './columns.js';
import { countOf, type Experiment } from './experiment.js';
import type { Laboratory } from './laboratory.js';
import { labelOf, type Profile, type Recipe } from './profiles.js';

/** About what an image takes beside a clean one: at each length, and for the distances. */
const costs = { length: 4300, distances: 30000 };

/** How much farther than the best a distance attack may come out on the average, as a share. */
const room = 0.03;

const nameOf = ({ name, label }: AttackSetting): string => label ?? name;

/** What is kept of an evaluation: the report's part, and what became of each image. */
interface Measured {
  record: RobustnessRecord;
  standing: { attack: string; epsilon: number; standing: number[] }[];
  distances: { attack: string; distances: number[] }[];
}

/** The part of an evaluation that goes into result files. */
function recordOf({ model, ...recipe }: Recipe, evaluation: Evaluation): RobustnessRecord {
  const { examples, norm, clip, survivorsOnly, clean, worst, distances } = evaluation;
  return {
    ...{ model, method: labelOf({ model, ...recipe }), examples, norm, clip, survivorsOnly, clean, worst },
    robust: evaluation.robust.map(
      ({ attack, epsilon, accuracy, attacked, distance, blackBox, queries, backwards, seconds }) => ({
        ...{ attack, epsilon, accuracy, attacked, distance, blackBox },
        ...{ queries, backwards, seconds },
      }),
    ),
    distances: distances.map(({ attack, examples, found, median, quantiles }) => ({
      ...{ attack, examples, found, median, quantiles },
    })),
    flags: evaluation.flags.map(({ name, message }) => ({ name, message })),
  };
}

function measuredOf(laboratory: Laboratory, recipe: Recipe, seed: number): Promise<Measured> {
  const { lengths, images, ranks, distances } = laboratory.profile.robustness;
  const attacks = [...ranks.flat(), ...distances];
  return laboratory.ofNetwork(recipe, seed, {
    name: 'robustness',
    settings: { lengths, images, attacks, norm: 'l2', clip: true },
    units: unitsOf({ cost: lengths.length * costs.length + costs.distances, first: images }),
    async measure(onProgress) {
      const { network } = await laboratory.network(recipe, seed);
      const { validation } = await laboratory.images(recipe.data, seed);
      const data = take(validation, Math.min(images, validation.rows.length));
      const runs = ranks.flat().length * lengths.length + distances.length;
      let [before, last] = [0, ''];
      const evaluation = await evaluate(network, data, {
        attacks,
        epsilons: lengths,
        clip: [data.range[0], data.range[1]],
        ...laboratory.signal,
        onProgress: (done, total, what, epsilon) => {
          const run = epsilon === undefined ? what : `${what} ${epsilon}`;
          if (run !== last) before += last === '' ? 0 : 1;
          last = run;
          onProgress(before * total + done, runs * total, run);
        },
      });
      const { robust, distances: found } = evaluation.outcomes;
      return {
        record: recordOf(recipe, evaluation),
        standing: robust.map(({ standing, ...rest }) => ({ ...rest, standing: [...standing] })),
        // JSON has no Infinity: -1 where no boundary was found.
        distances: found.map(({ attack, distances: each }) => ({
          attack,
          distances: Array.from(each, (length) => (length === Infinity ? -1 : length)),
        })),
      };
    },
  });
}

/** A claim of an order that may be an equality: refuted only by what chance would hardly make. */
export function claimOf(claim: string, comparisons: readonly Comparand[], test: string): Claim {
  const refuted = comparisons.some(against(comparisons.length));
  const confirmed = comparisons.every(({ difference }) => difference.mean >= 0);
  return {
    claim,
    verdict: refuted ? 'refuted' : confirmed ? 'confirmed' : 'undecided',
    test,
    comparisons: [...comparisons],
  };
}

const titleOf = ({ model, method }: RobustnessRecord): string => `${displayName(model)}, ${displayName(method)}`;

/** Whether each rank of attacks leaves no more than the one before it. */
function ordering({ record, standing }: Measured, { ranks, lengths }: Profile['robustness']): Comparand[] {
  const of = (attack: AttackSetting, epsilon: number): Uint8Array =>
    Uint8Array.from(standing.find((each) => each.attack === nameOf(attack) && each.epsilon === epsilon)!.standing);
  return ranks
    .slice(1)
    .flatMap((stronger, rank) =>
      ranks[rank]!.flatMap((weak) =>
        stronger.flatMap((strong) =>
          lengths.map((epsilon) =>
            compared(
              `${titleOf(record)}, length ${epsilon}: ${displayName(nameOf(weak))} over ${displayName(nameOf(strong))}`,
              [of(weak, epsilon)],
              [of(strong, epsilon)],
            ),
          ),
        ),
      ),
    );
}

/** By how much less than the room an attack's distances are above the shortest that any found, on the average, as a share. */
function nearness(
  { record, distances }: Measured,
  asked: (distances: Measured['distances'][number]) => boolean,
): Comparand[] {
  const rows = distances[0]?.distances.map((_, at) => distances.map((each) => each.distances[at]!)) ?? [];
  // Of what is right clean, and what every attack moved over the boundary: the others are counted beside.
  const each = rows.filter((lengths) => lengths.every((length) => length > 0));
  if (each.length < 2) return [];
  return distances.filter(asked).map((one) => {
    const { attack, distances: own } = one;
    const index = distances.indexOf(one);
    const missed = own.filter((length) => length < 0).length;
    const what = `${titleOf(record)}: ${room} less the excess of ${displayName(attack)}${missed > 0 ? ` (${missed} not found)` : ''}`;
    const excess = each.map((lengths) => lengths[index]! / Math.min(...lengths) - 1);
    return {
      what,
      ...pairedT(
        excess.map(() => room),
        excess,
      ),
    };
  });
}

/**
 * What the networks of Table 2 withstand when it is looked for: accuracies under attacks from single steps to the standard
 * protocol, over lengths, inside the range of the pixels; distances by attacks that look for the shortest perturbation;
 * warnings and cost; and whether the attacks come out in the order of their strength, as they must when they work.
 */
export const robustness: Experiment = {
  recipes: ({ robustness: { recipes } }) => recipes,
  units: ({ robustness: { recipes, lengths, images } }) =>
    recipes.reduce(
      (sum, recipe) =>
        sum + countOf(recipe, 1) * unitsOf({ cost: lengths.length * costs.length + costs.distances, first: images }),
      0,
    ),
  settings: ({ robustness: { recipes, lengths, images, ranks, distances } }) => ({
    data: recipes[0]!.data,
    norm: 'l2',
    lengths,
    clip: 'to the range of the data',
    images: `the first ${images} validation images`,
    attacks: ranks.flat(),
    distances,
    seed: 'the first',
    room,
  }),
  async measure(laboratory, seeds) {
    const plan = laboratory.profile.robustness;
    const found: Measured[] = [];
    for (const recipe of plan.recipes) found.push(await measuredOf(laboratory, recipe, seeds[0]!));
    const robustness = found.map(({ record }) => record);
    const claims = [
      claimOf(
        'A stronger attack leaves no more than a weaker one',
        found.flatMap((each) => ordering(each, plan)),
        'McNemar over the images',
      ),
      claimOf(
        `Attacks that look for the shortest perturbation are within ${percent(room, 0)} % of the best of them on the average`,
        found.flatMap((each) => nearness(each, ({ attack }) => attack !== 'minimal')),
        'paired t over the images',
      ),
      claimOf(
        `And so is the paper's Algorithm 1, iterated`,
        found.flatMap((each) => nearness(each, ({ attack }) => attack === 'minimal')),
        'paired t over the images',
      ),
    ].filter(({ comparisons }) => comparisons.length > 0);
    return { rows: curveRows(robustness), robustness, claims };
  },
};
