import test from 'tape';
import {
  attacks,
  memory,
  scope,
  slice,
  transfer,
  uniform,
  worstCase,
  type AttackOptions,
  type Tensor,
} from '../../src/index.js';
import { farthest } from '../tensor/numbers.js';
import { faults, labelsFor } from './faults.js';
import { dense, length, linearNetwork, moves, normNames, predictions } from './networks.js';
import { refused } from './refused.js';

// Noise, several attacks as one, and attacks made on another network.

const list = (x: Tensor): number[] => Array.from(x.data());
const model = dense(15, 5, 1, [20]);
const x = uniform([40, 15], { seed: 5 });
const y = labelsFor(model, x, 5);

test('noise: it uses its budget, keeps the worst draw and asks for no gradient', async (t) => {
  for (const norm of normNames) {
    for (const distribution of ['uniform', 'gaussian'] as const) {
      const options = { norm, epsilon: { l1: 6, l2: 1.5, linf: 0.5 }[norm], distribution };
      const counts: number[] = [];
      for (const repeats of [1, 10, 40]) {
        const result = await attacks.noise(model, x, y, { ...options, repeats });
        t.deepEqual(faults(model, x, y, result, options), [], `${norm}, ${distribution}`);
        t.ok(
          list(result.backwards).every((each) => each === 0),
          'no backward pass',
        );
        const survivors = list(result.success).map((one, i) => (one === 0 ? list(result.queries)[i] : repeats + 2));
        t.ok(
          survivors.every((each) => each === repeats + 2),
          'every draw was tried on the survivors',
        );
        counts.push(list(result.success).filter((one) => one === 1).length);
      }
      t.ok(counts[0]! < counts[2]! && counts[1]! <= counts[2]!, `more draws, more broken: ${counts.join()}`);
      if (distribution === 'gaussian') {
        const { adversarial } = await attacks.noise(model, x, predictions(model, x), { ...options, repeats: 1 });
        const sizes = moves(x, adversarial).map((move) => length[norm](move));
        t.ok(
          sizes.every((size) => size === 0 || Math.abs(size - options.epsilon) < 1e-4),
          'gaussian: of full length',
        );
      }
    }
  }
});

test('worst case: each input keeps what breaks it first, and the union is what any of them breaks', async (t) => {
  const epsilon = 0.25;
  const members = [
    { name: 'noise', attack: attacks.noise, options: { repeats: 3 } },
    { name: 'fgm', attack: attacks.fgm },
    { name: 'pgd', attack: attacks.pgd, options: { steps: 10 } },
  ];
  const options: AttackOptions & { epsilon: number } = { epsilon };
  const alone = [
    await attacks.noise(model, x, y, { epsilon, repeats: 3 }),
    await attacks.fgm(model, x, y, { epsilon }),
    await attacks.pgd(model, x, y, { epsilon, steps: 10 }),
  ];
  const clean = predictions(model, x).map((label, i) => label !== y[i]);
  const first = clean.map((wrong, i) => (wrong ? -2 : alone.findIndex(({ success }) => success.data()[i] === 1)));
  t.ok(new Set(first).size >= 3, `of all kinds: ${first.join()}`);
  for (const survivorsOnly of [true, false]) {
    for (const batchSize of [500, 7]) {
      const before = memory().tensors;
      const both = await worstCase(members, { survivorsOnly })(model, x, y, { ...options, batchSize });
      t.equal(memory().tensors - before, Object.keys(both).length, 'nothing is left but the result');
      t.deepEqual(faults(model, x, y, both, options), [], `survivors only: ${survivorsOnly}, batches of ${batchSize}`);
      t.deepEqual(list(both.by), first, 'broken by the first that breaks it alone');
      const expected = first.map((by, i) => {
        const asked = survivorsOnly && by !== -1 ? Math.max(by, 0) + 1 : 3;
        return alone.slice(0, asked).reduce((sum, { queries }) => sum + list(queries)[i]!, 0);
      });
      t.deepEqual(list(both.queries), expected, 'queries are those of the attacks that saw it');
      first.forEach((by, i) => {
        if (by < 0) return;
        const [kept, made] = [both, alone[by]!].map(({ adversarial }) => slice(adversarial, [i], [i + 1]).data());
        if (farthest(kept!, made!) > 1e-5) t.fail(`input ${i} does not keep what broke it`);
      });
    }
  }
  const timid = { epsilon: 1e-4 };
  const moved = await worstCase([...members, { name: 'deepFool', attack: attacks.deepFool }])(model, x, y, timid);
  const last = await attacks.pgd(model, x, y, { ...timid, steps: 10 });
  t.ok(list(moved.success).includes(0), 'some withstand');
  t.deepEqual(list(moved.norms), list(last.norms), 'what withstands keeps the input of the last that moved it');
  await refused(t, 'nothing', () => worstCase([]), 'INVALID_ARGUMENT', 'worstCase: expected at least one attack');
  await refused(
    t,
    'a misspelt option',
    () => worstCase(members, { survivors: true } as object),
    'INVALID_ARGUMENT',
    'survivorsOnly',
  );
});

test('worst case: which inputs only an attack without gradients breaks', async (t) => {
  const options = { epsilon: 0.2, norm: 'linf' } as const;
  const predicted = predictions(model, x);
  const square = { name: 'square', attack: attacks.square, options: { queries: 30 } };
  // Takes gradients and goes nowhere.
  const idle = { name: 'idle', attack: attacks.pgd, options: { epsilon: 0, steps: 1 } };
  const pgd = { name: 'pgd', attack: attacks.pgd, options: { steps: 5 } };
  const marks = async (...members: Parameters<typeof worstCase>[0]): Promise<[number[], number[]]> => {
    const { blackBoxOnly, by } = await worstCase(members)(model, x, predicted, options);
    return [list(blackBoxOnly), list(by)];
  };
  const inner = { name: 'inner', attack: worstCase([idle, square]) };
  const [only, by] = await marks(idle, square);
  t.ok(only.includes(1) && only.includes(0), 'some inputs withstand');
  t.deepEqual(
    only,
    by.map((member) => Number(member === 1)),
    'all that it breaks',
  );
  t.deepEqual((await marks(inner))[0], only, 'also one within another');
  t.deepEqual(
    (await marks(square))[0],
    by.map(() => 0),
    'without gradients there is nothing to compare with',
  );
  t.deepEqual(
    (await marks(idle, square, pgd))[0],
    by.map(() => 0),
    'gradients that came later might have done it',
  );
  t.deepEqual(
    (await marks(inner, idle))[0],
    by.map(() => 0),
    'nor is it otherwise within another',
  );
});

test('transfer: made on one network, measured on another', async (t) => {
  const source = dense(15, 5, 2, [20]);
  for (const norm of normNames) {
    const options = { norm, epsilon: { l1: 3, l2: 0.8, linf: 0.2 }[norm] };
    const made = await attacks.pgd(source, x, y, options);
    for (const batchSize of [500, 7]) {
      const moved = await transfer({ source, attack: attacks.pgd })(model, x, y, { ...options, batchSize });
      t.deepEqual(faults(model, x, y, moved, options), [], norm);
      const [clean, there] = [predictions(model, x), predictions(model, made.adversarial)];
      t.deepEqual(
        list(moved.success),
        clean.map((label, i) => (label !== y[i] || there[i] !== y[i] ? 1 : 0)),
        'as measured',
      );
      t.deepEqual([...new Set(list(moved.queries))], [2], 'two evaluations of the attacked network');
    }
  }
  const itself = await transfer({ source: model, attack: attacks.fgm })(model, x, y, { epsilon: 0.3 });
  t.deepEqual(
    list(itself.success),
    list((await attacks.fgm(model, x, y, { epsilon: 0.3 })).success),
    'to itself: the attack',
  );
  await refused(
    t,
    'no source',
    () => transfer({ attack: attacks.fgm } as never),
    'INVALID_ARGUMENT',
    'transfer: source',
  );
  const training = linearNetwork([[1], [2]], [0, 0]).train();
  await refused(
    t,
    'training mode',
    () => transfer({ source, attack: attacks.fgm })(training, x, y, { epsilon: 1 }),
    'TRAINING_MODE',
  );
});

test('combined attacks leave nothing behind', async (t) => {
  const both = worstCase([
    { name: 'fgm', attack: attacks.fgm },
    { name: 'moved', attack: transfer({ source: model, attack: attacks.pgd }) },
  ]);
  const work = (): Promise<void> =>
    scope(async () => {
      await both(model, x, y, { epsilon: 0.2, batchSize: 7 });
    });
  await work();
  const before = memory();
  for (let round = 0; round < 3; round++) await work();
  t.equal(memory().tensors, before.tensors, 'no tensor');
  t.equal(memory().bytes, before.bytes, 'no byte');
});
