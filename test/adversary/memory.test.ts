import test from 'tape';
import {
  attacks,
  memory,
  scope,
  uniform,
  type DefinedAttack,
  type AttackOptions,
  type AttackResult,
  type Tensor,
} from '../../src/index.js';
import { dense, network, predictions, smallLenet } from './networks.js';
import { quick } from './quick.js';

// In a file of its own: what another test lost would be collected in between. Native memory after an attack is what it was before: the result is the caller's, all else is gone.

type AnyAttack = DefinedAttack<AttackOptions & { epsilon: number }>;

/** As many steps as make a difference, of the attacks that take several. */
const few: Record<string, object> = {
  ...quick,
  minimal: { steps: 3, linearize: 'logits' },
  pgd: { steps: 3, restarts: 2 },
  ifgsm: { steps: 3 },
  momentum: { steps: 3 },
  apgd: { steps: 5 },
  square: { queries: 5 },
  apgdT: { steps: 3, classes: 2 },
};

/** The attacks in a norm of theirs, with settings that make them quick. */
const all = Object.entries(attacks as unknown as Record<string, AnyAttack>).map(([name, attack]) => {
  const norm = attack.norms.includes('l2') ? 'l2' : attack.norms[0]!;
  const run: (...call: Parameters<AnyAttack>) => Promise<AttackResult> = (model, x, y, options) =>
    attack(model, x, y, { norm, ...few[name], ...options! });
  return [name, run] as const;
});

/** Tensors and bytes that a piece of work leaves behind once it has run before. */
async function left(work: () => Promise<unknown>): Promise<{ tensors: number; bytes: number }> {
  await work();
  const before = memory();
  for (let round = 0; round < 4; round++) await work();
  const after = memory();
  return { tensors: after.tensors - before.tensors, bytes: after.bytes - before.bytes };
}

const nothing = { tensors: 0, bytes: 0 };
const swallow = (): undefined => undefined;

for (const [what, model, shape] of [
  ['mlp', dense(20, 4, 1), [11, 20]],
  ['lenet', smallLenet(1, 4), [5, 1, 16, 16]],
] as const) {
  test(`memory: attacks on ${what} leave nothing behind`, async (t) => {
    const x = scope(() => uniform(shape, { seed: 1 }));
    const y = predictions(model, x);
    for (const [name, attack] of all) {
      const options = { epsilon: 0.3, batchSize: 4 };
      t.deepEqual(
        await left(() =>
          scope(async () => {
            await attack(model, x, y, options);
          }),
        ),
        nothing,
        `${name} in a scope`,
      );
      const disposed = async (): Promise<void> => {
        for (const value of Object.values(await attack(model, x, y, options))) (value as Tensor).dispose();
      };
      t.deepEqual(await left(disposed), nothing, `${name}, its result disposed`);
      const before = memory().tensors;
      const alive: number[] = [];
      const onProgress = (): number => alive.push(memory().tensors);
      const result = await attack(model, x, y, { ...options, batchSize: 1, onProgress });
      const each = new Set(alive.slice(1).map((count, i) => count - alive[i]!));
      t.deepEqual([...each], [Object.keys(result).length], `${name}: a batch leaves its result and nothing else`);
      t.equal(memory().tensors - before, Object.keys(result).length, `${name}: no tensor but its result`);
      for (const value of Object.values(result)) (value as Tensor).dispose();
      t.deepEqual(
        await left(() => attack(model, x, y, { ...options, epsilon: -1 }).catch(swallow)),
        nothing,
        `${name}, refused for an option`,
      );
      t.deepEqual(
        await left(() =>
          attack(
            model,
            x,
            y.map(() => 99),
            options,
          ).catch(swallow),
        ),
        nothing,
        `${name}, refused for labels`,
      );
      t.deepEqual(
        await left(() => attack(model, x, y, { ...options, clip: [0, 0.5] }).catch(swallow)),
        nothing,
        `${name}, refused for inputs`,
      );
      const aborted = (): Promise<unknown> => {
        const stop = new AbortController();
        return attack(model, x, y, { ...options, signal: stop.signal, onProgress: () => stop.abort() }).catch(swallow);
      };
      t.deepEqual(await left(aborted), nothing, `${name}, aborted`);
      let calls = 0;
      const breaking = network((input) => {
        // The first call judges the logits, the second traces the attack.
        if (calls++ % 2 === 1) throw new Error('broken');
        return model.forward(input);
      });
      t.deepEqual(
        await left(() => attack(breaking, x, y, options).catch(swallow)),
        nothing,
        `${name}, whose network throws`,
      );
    }
    x.dispose();
  });
}

test('memory: attacks side by side do not mix', async (t) => {
  const model = dense(20, 4, 1);
  const x = scope(() => uniform([30, 20], { seed: 1 }));
  const y = predictions(model, x);
  const run = ([name, attack]: (typeof all)[number]): Promise<string> =>
    scope(async () => {
      const { adversarial } = await attack(model, x, y, { epsilon: 0.2, batchSize: 30, ...few[name] });
      return adversarial.data().join();
    });
  const alone: string[] = [];
  for (const each of all) alone.push(await run(each));
  const together = await Promise.all(all.map(run));
  t.deepEqual(together, alone, 'the same results');
  const side = (): Promise<unknown> =>
    Promise.all(
      all.map(([name, attack]) =>
        scope(async () => {
          await attack(model, x, y, { epsilon: 0.2, batchSize: 7, ...few[name] });
        }),
      ),
    );
  t.deepEqual(await left(side), nothing, 'and nothing left behind');
  x.dispose();
});
