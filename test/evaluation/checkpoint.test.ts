import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  attacks,
  evaluate,
  models,
  scope,
  subset,
  take,
  tensor,
  type Evaluation,
  type EvaluateOptions,
} from '../../src/index.js';
import { network } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { specimen } from './specimen.js';

/** The figures and the fates of the examples; numbers that rounding reaches only as far as it does not. */
function settled({ clean, robust, worst, distances, outcomes, worstInputs = [] }: Evaluation): unknown {
  const rounded = (values: Float64Array): string => Array.from(values, (value) => value.toFixed(3)).join();
  return {
    clean,
    worst,
    robust: robust.map((figure) => ({ ...figure, seconds: 0 })),
    medians: distances.map(({ median, found }) => [median?.toFixed(3), found]),
    standing: outcomes.robust.map(({ standing }) => standing.join('')),
    distances: outcomes.distances.map((each) => rounded(each.distances)),
    kept: worstInputs.map(({ epsilon, attacks: from, margins }) => [epsilon, from.join(), rounded(margins)]),
  };
}

test('evaluate: an interrupted run goes on where it was', async (t) => {
  const { model, data } = await specimen();
  const dir = await mkdtemp(join(tmpdir(), 'sparring-evaluation-'));
  const checkpoint = join(dir, 'run.checkpoint');
  let given = 0;
  const options: EvaluateOptions = {
    epsilons: [0.4, 1],
    batchSize: 4,
    survivorsOnly: true,
    keepInputs: true,
    attacks: [
      'advLoss',
      ['minimal', { linearize: 'logits', steps: 20 }],
      {
        name: 'counting',
        attack: (net, x, y, { epsilon }: { epsilon: number }) => {
          given += x.shape[0]!;
          return attacks.advAlpha(net, x, y, { epsilon });
        },
      },
    ],
  };
  const whole = settled(await evaluate(model, data, options));
  const toDo = given;
  t.ok(toDo > 0, `the last attack is given ${toDo} examples in all`);

  given = 0;
  const reason = new Error('enough');
  let stopped = 0;
  for (let stops = 1; stops <= 6; stops++) {
    const stop = new AbortController();
    let told = 0;
    const ended: unknown = await evaluate(model, data, {
      ...options,
      checkpoint,
      batchSize: 3 + stops,
      signal: stop.signal,
      onProgress: () => {
        if (++told === 12) stop.abort(reason);
      },
    }).catch((error: unknown) => error);
    if (ended !== reason) break;
    stopped = stops;
  }
  const resumed = await evaluate(model, data, { ...options, checkpoint });
  t.deepEqual(settled(resumed), whole, 'the same result, from pieces of any batch size');
  t.ok(stopped > 2, `after ${stopped} interruptions`);
  t.equal(given, toDo, 'and no finished chunk was attacked twice');
  t.deepEqual(settled(await evaluate(model, data, { ...options, checkpoint })), whole, 'nor is a finished run');
  t.equal(given, toDo);

  const other = models.mlp({ hidden: [20], seed: 9 }).eval();
  const cases: [string, () => Promise<unknown>][] = [
    ['of this model', () => evaluate(other, data, { ...options, checkpoint })],
    ['of this data', () => evaluate(model, take(data, 129), { ...options, checkpoint })],
    ['of this data', () => evaluate(model, subset(data, data.rows.slice().reverse()), { ...options, checkpoint })],
    ['of this settings', () => evaluate(model, data, { ...options, checkpoint, epsilons: [0.4, 1.1] })],
    ['of this settings', () => evaluate(model, data, { ...options, checkpoint, clip: [0, 1] })],
    ['of this settings', () => evaluate(model, data, { ...options, checkpoint, survivorsOnly: false })],
    [
      'of this settings',
      () => evaluate(model, data, { ...options, checkpoint, attacks: options.attacks!.slice(0, 2) }),
    ],
  ];
  for (const [said, call] of cases)
    await refused(t, said, call, 'INVALID_ARGUMENT', `expected one ${said}`, 'of another');
  const changed = models.mlp({ hidden: [20], seed: 1 }).eval();
  changed.loadStateDict(model.stateDict());
  t.deepEqual(settled(await evaluate(changed, data, { ...options, checkpoint })), whole, 'equal weights are one model');
  scope(() => {
    const [name] = Object.keys(model.stateDict());
    const weights = model.stateDict()[name!]!;
    const numbers = weights.data();
    numbers[0]! += 1e-3;
    changed.loadStateDict({ ...model.stateDict(), [name!]: tensor(numbers, { shape: weights.shape }) });
  });
  await refused(
    t,
    'one weight',
    () => evaluate(changed, data, { ...options, checkpoint }),
    'INVALID_ARGUMENT',
    'model',
  );

  const bytes = await readFile(checkpoint);
  await writeFile(checkpoint, bytes.subarray(0, bytes.length - 10));
  await refused(t, 'a cut file', () => evaluate(model, data, { ...options, checkpoint }), 'BAD_FILE', checkpoint);
  await writeFile(checkpoint, 'something else');
  await refused(t, 'another file', () => evaluate(model, data, { ...options, checkpoint }), 'BAD_FILE', checkpoint);
  await refused(
    t,
    'a folder that is not there',
    () => evaluate(model, data, { ...options, checkpoint: join(dir, 'none', 'x') }),
    'WRITE_FAILED',
  );
  await rm(dir, { recursive: true });
});

test('evaluate: a network of no modules is known by what it predicts', async (t) => {
  const { model, other, data } = await specimen();
  const dir = await mkdtemp(join(tmpdir(), 'sparring-evaluation-'));
  const options = { epsilons: [0.5], attacks: ['advLoss' as const], checkpoint: join(dir, 'run') };
  const first = await evaluate(
    network((x) => model.forward(x)),
    data,
    options,
  );
  const again = await evaluate(
    network((x) => model.forward(x)),
    data,
    options,
  );
  t.deepEqual(settled(again), settled(first));
  await refused(
    t,
    'another one',
    () =>
      evaluate(
        network((x) => other.forward(x)),
        data,
        options,
      ),
    'INVALID_ARGUMENT',
    'of this model',
  );
  await rm(dir, { recursive: true });
});
