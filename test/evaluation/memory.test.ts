import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import {
  accuracy,
  accuracyCurve,
  diagnose,
  evaluate,
  memory,
  models,
  saveSafetensors,
  softmax,
  transferred,
  verifyAdversarialSet,
  writeAdversarialSet,
  type CurveOptions,
  type EvaluateOptions,
} from '../../src/index.js';
import { network } from '../adversary/networks.js';
import { specimen } from './specimen.js';

// In a file of its own: what another test lost would be collected in between.

test('evaluate: leaves nothing behind', async (t) => {
  const { model, other, data } = await specimen();
  const swallow = (): undefined => undefined;
  const aborted = (
    run: (options: { signal: AbortSignal; onProgress: () => void; batchSize: number }) => Promise<unknown>,
  ): Promise<unknown> => {
    const stop = new AbortController();
    return run({
      signal: stop.signal,
      onProgress: () => {
        stop.abort();
      },
      batchSize: 20,
    }).catch(swallow);
  };
  const [good, bad] = [
    { epsilons: [0.1, 1], batchSize: 50 } satisfies EvaluateOptions & CurveOptions,
    { epsilons: [-1] },
  ];
  const fixed = { attack: 'advAlpha', epsilon: 1, batchSize: 50 } as const;
  const narrow = models.mlp({ inputs: 3, hidden: [], seed: 1 }).eval();
  const ways: [string, () => Promise<unknown>][] = [
    ['evaluate', () => evaluate(model, data, { ...good, attacks: ['advLossSign', 'advLoss', 'advAlpha', 'minimal'] })],
    [
      'evaluate, with everything',
      () =>
        evaluate(model, data, {
          ...good,
          attacks: ['advLoss', ['minimal', { linearize: 'logits', steps: 5 }], { name: 'advAlpha', source: other }],
          survivorsOnly: true,
          keepInputs: true,
        }),
    ],
    ['diagnose', () => diagnose(other, data)],
    [
      'evaluate, with a checkpoint',
      async () => {
        const dir = await mkdtemp(join(tmpdir(), 'sparring-memory-'));
        const options = { ...good, attacks: ['advLoss'] as const, checkpoint: join(dir, 'run') };
        await evaluate(model, data, options);
        await evaluate(model, data, options);
        await rm(dir, { recursive: true });
      },
    ],
    [
      'adversarial sets, written and verified',
      async () => {
        const dir = await mkdtemp(join(tmpdir(), 'sparring-memory-'));
        const network = join(dir, 'network');
        await saveSafetensors(network, model.stateDict());
        const kept = await evaluate(model, data, { ...good, keepInputs: true });
        const origin = { network, data, split: 'test', limit: undefined, attacks: [] };
        const manifest = await writeAdversarialSet(dir, kept, origin);
        await verifyAdversarialSet(dir, manifest, { model, bytes: await readFile(network) }, data);
        await rm(dir, { recursive: true });
      },
    ],
    ['evaluate, refused', () => evaluate(model, data, bad).catch(swallow)],
    ['evaluate, refused by an attack', () => evaluate(model, data, { ...good, clip: [0, 0.1] }).catch(swallow)],
    ['evaluate, aborted', () => aborted((options) => evaluate(model, data, { ...good, ...options }))],
    ['accuracyCurve', () => accuracyCurve(other, data, good)],
    ['accuracyCurve, refused', () => accuracyCurve(other, data, bad).catch(swallow)],
    [
      'accuracyCurve, refused for its network',
      () =>
        accuracyCurve(
          network((x) => softmax(model.forward(x))),
          data,
          good,
        ).catch(swallow),
    ],
    ['accuracyCurve, aborted', () => aborted((options) => accuracyCurve(other, data, { ...good, ...options }))],
    ['transferred', () => transferred(model, other, data, fixed)],
    ['transferred, refused', () => transferred(model, other, data, { ...fixed, epsilon: -1 }).catch(swallow)],
    ['transferred, aborted', () => aborted((options) => transferred(model, other, data, { ...fixed, ...options }))],
    ['accuracy', () => accuracy(other, data)],
    ['accuracy, refused', () => accuracy(narrow, data).catch(swallow)],
  ];
  for (const [what, way] of ways) {
    await way();
    const before = memory();
    for (let round = 0; round < 2; round++) await way();
    t.deepEqual([memory().tensors - before.tensors, memory().bytes - before.bytes], [0, 0], what);
  }
});
