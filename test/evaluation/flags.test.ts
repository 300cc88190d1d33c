import test from 'tape';
import {
  attacks,
  defineAttack,
  diagnose,
  evaluate,
  full,
  softmax,
  subset,
  zeros,
  add,
  attackEntries,
  epsilonEntry,
  norms,
  measured,
  type AttackEntry,
  type AttackResult,
  type Dataset,
  type Flag,
  type FlagName,
  type nn,
  type Tensor,
} from '../../src/index.js';
import * as v from 'valibot';
import { network } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';
import { Noisy, Rounded, Saturated, Stepped } from './masked.js';
import { specimen } from './specimen.js';

const namesOf = (flags: readonly Flag[]): FlagName[] => [...new Set(flags.map(({ name }) => name))].sort();

/** A thirteenth of the examples. */
const part = (data: Dataset, which: number): Int32Array => data.rows.filter((_, i) => i % 13 === which);

test('diagnose: a masked network is flagged every time, an honest one never', async (t) => {
  const { model, other, data } = await specimen();
  const masks: [string, (inner: nn.Sequential) => nn.Module, FlagName[]][] = [
    ['saturated logits', (inner) => new Saturated(inner), ['zeroGradients']],
    ['rounded inputs', (inner) => new Rounded(inner), ['largeRadius', 'zeroGradients']],
    ['a random input layer', (inner) => new Noisy(inner), ['random']],
    ['a flat activation', () => new Stepped(model), ['largeRadius', 'zeroGradients']],
  ];
  for (const inner of [model, other]) {
    for (let which = 0; which < 13; which++) {
      const few = subset(data, part(data, which));
      t.deepEqual(await diagnose(inner, few), [], `honest, part ${which}`);
      for (const [what, mask, flags] of masks) {
        const found = namesOf(await diagnose(mask(inner).eval(), few));
        t.ok(
          flags.every((name) => found.includes(name)),
          `${what}, part ${which}: ${found.join()}`,
        );
      }
    }
  }
  const probabilities = await diagnose(
    network((x) => softmax(model.forward(x))),
    data,
  );
  t.ok(namesOf(probabilities).includes('probabilities'), 'outputs that are probabilities');
});

test('evaluate: a masked network is flagged beside its figures', async (t) => {
  const { model, data } = await specimen();
  const masks: [nn.Module, FlagName][] = [
    [new Saturated(model), 'zeroGradients'],
    [new Rounded(model), 'zeroGradients'],
    [new Noisy(model), 'random'],
    [new Stepped(model), 'zeroGradients'],
  ];
  for (const [masked, name] of masks) {
    const { flags } = await evaluate(masked.eval(), data, { epsilons: [0.5], attacks: ['advLoss'] });
    t.ok(namesOf(flags).includes(name), `${masked.constructor.name}: ${name}`);
    const silent = await evaluate(masked, data, { epsilons: [0.5], attacks: ['advLoss'], diagnose: false });
    t.notOk(namesOf(silent.flags).includes(name), 'unless it is not asked');
  }
});

test('diagnose: the evidence is what was counted', async (t) => {
  const { model, data } = await specimen();
  const [zero] = await diagnose(new Rounded(model).eval(), data, { examples: 50 });
  t.deepEqual([zero!.name, zero!.evidence['shareOfLoss'], zero!.evidence['shareOfLogits']], ['zeroGradients', 1, 1]);
  t.match(zero!.message, /zero for 100 %.*passes no gradient on/);
  const [flat] = await diagnose(new Saturated(model).eval(), data, { examples: 50 });
  t.equal(flat!.evidence['shareOfLogits'], 0, 'the logits themselves have a gradient');
  t.match(flat!.message, /does not saturate/);
  const [random] = await diagnose(new Noisy(model).eval(), data);
  t.ok((random!.evidence['largestChange'] as number) > 0);
  await refused(t, 'training mode', () => diagnose(new Rounded(model), data), 'TRAINING_MODE', 'diagnose');
  await refused(
    t,
    'a misspelt option',
    () => diagnose(model, data, { example: 3 } as object),
    'INVALID_ARGUMENT',
    "did you mean 'examples'?",
  );
});

/** A result of an attack that says what it likes. */
const claim = (adversarial: Tensor, { success = 0, queries = 2, backwards = 1 } = {}): AttackResult => {
  const n = adversarial.shape[0]!;
  const count = (value: number): Tensor => full([n], value, { dtype: 'int32' });
  return {
    adversarial,
    success: count(success),
    norms: zeros([n], { dtype: 'float64' }),
    queries: count(queries),
    backwards: count(backwards),
  };
};

/** An attack that leaves all inputs as they are. */
const idle = (name: string, cost: { queries?: number; backwards?: number }): AttackEntry => ({
  name,
  attack: (_model, x) => Promise.resolve(claim(add(x, 0), cost)),
});

test('evaluate: figures that do not go together are flagged', async (t) => {
  const { model, other, data } = await specimen();
  const epsilons = [0.5, 1];
  const raised = async (net: nn.Module, chosen: (AttackEntry | 'advLoss' | 'pgd')[]): Promise<Flag[]> =>
    (await evaluate(net, data, { epsilons, attacks: chosen, diagnose: false })).flags;

  t.deepEqual(await raised(model, ['advLoss']), [], 'an honest network, honestly measured');
  const rounded = new Rounded(model).eval();
  const transfer = await raised(rounded, ['advLoss', { name: 'advLoss', label: 'transfer', source: model }]);
  t.deepEqual(namesOf(transfer), ['blackBoxStronger'], 'the transfer breaks what the gradients do not');
  t.equal(transfer.length, 2, 'at both lengths');
  t.deepEqual(
    namesOf(await raised(model, ['advLoss', { name: 'advLoss', label: 'transfer', source: other }])),
    [],
    'a transfer that breaks less is none',
  );
  t.deepEqual(
    namesOf(await raised(model, ['advLoss', idle('idle', { queries: 40, backwards: 40 })])),
    ['singleStepStronger'],
    'an iterative attack that a single step beats',
  );
  t.deepEqual(
    namesOf(await raised(model, [idle('idle', { queries: 1 }), { ...idle('slow', { queries: 40 }) }])),
    [],
    'not where they leave the same',
  );
  t.deepEqual(
    namesOf(await raised(model, [idle('advLoss', { queries: 1 }), 'pgd'])),
    ['singleStepMisled'],
    'a single step that sees nothing of what iterations find',
  );
  t.deepEqual(
    namesOf(await raised(model, [idle('idle', { queries: 1 }), 'pgd'])),
    [],
    'but of a step that need not be the steepest nothing is said',
  );

  const inTurn = async (net: nn.Module, chosen: (AttackEntry | 'advLoss')[]): Promise<FlagName[]> => {
    const { flags } = await evaluate(net, data, { epsilons, attacks: chosen, diagnose: false, survivorsOnly: true });
    return namesOf(flags);
  };
  const away: AttackEntry = { name: 'advLoss', label: 'transfer', source: model };
  t.deepEqual(await inTurn(rounded, ['advLoss', away]), ['blackBoxStronger'], 'what gradients left, a transfer breaks');
  t.deepEqual(await inTurn(rounded, [away, 'advLoss']), [], 'what came first may have left gradients nothing to do');
  t.deepEqual(await inTurn(model, ['advLoss', idle('idle', { backwards: 0 })]), [], 'one that breaks nothing');

  const timid: AttackEntry = {
    name: 'timid',
    attack: (net, x, y, options: { epsilon: number }) =>
      options.epsilon > 0.7 ? Promise.resolve(claim(add(x, 0))) : attacks.advLoss(net, x, y, { epsilon: 0.5 }),
  };
  const [rising] = await raised(model, [timid]);
  t.equal(rising!.name, 'risingAccuracy');
  t.deepEqual(
    (rising!.evidence['accuracy'] as number[][]).map(([epsilon]) => epsilon),
    epsilons,
  );
  const far = await evaluate(model, data, {
    epsilons: [14],
    attacks: [idle('idle', {})],
    diagnose: false,
  });
  t.deepEqual(namesOf(far.flags), ['largeRadius'], 'a large radius at which something stands');
});

test('evaluate: several attacks in one entry, of which one without gradients breaks what the others left', async (t) => {
  const { model, data } = await specimen();
  const autoAttack: AttackEntry = { name: 'autoAttack', options: { steps: 10, queries: 100 } };
  const rounded = new Rounded(model).eval();
  for (const [net, flags] of [
    [model, []],
    [rounded, ['blackBoxStronger']],
  ] as const) {
    for (const survivorsOnly of [false, true]) {
      for (const chosen of [[autoAttack], ['advLoss', autoAttack]] as const) {
        const asked = { epsilons: [1], attacks: [...chosen], clip: [0, 1] as [number, number], diagnose: false };
        const found = await evaluate(net, data, { ...asked, survivorsOnly });
        const what = `${net.constructor.name}, ${chosen.length} attacks, survivors ${survivorsOnly}`;
        t.deepEqual(namesOf(found.flags), flags, what);
        const { blackBox, blackBoxOnly } = found.robust.at(-1)!;
        t.ok(!blackBox && blackBoxOnly > 0 === flags.length > 0, `${what}: ${blackBoxOnly} broken by queries alone`);
      }
    }
  }
});

test('evaluate: an attack is not taken at its word', async (t) => {
  const { model, data } = await specimen();
  const moved = (by: number, success: number): AttackEntry => ({
    name: 'mine',
    attack: (_net, x) => Promise.resolve(claim(add(x, by), { success })),
  });
  const run = (entry: AttackEntry, options = {}) =>
    evaluate(model, data, { epsilons: [0.5], attacks: [entry], diagnose: false, ...options });

  const beyond = await run(moved(0.5, 1));
  t.equal(beyond.robust[0]!.accuracy.mean, beyond.clean.mean, 'inputs beyond epsilon break nothing');
  t.deepEqual(namesOf(beyond.flags), ['inadmissible', 'misreported']);
  t.equal(beyond.flags.find(({ name }) => name === 'inadmissible')!.evidence['count'], 130);
  const outside = await run(moved(-0.01, 0), { clip: [0, 1] });
  t.ok(namesOf(outside.flags).includes('inadmissible'), 'nor do inputs out of the range');
  const nan = await run(moved(NaN, 1));
  t.deepEqual(
    [namesOf(nan.flags), nan.robust[0]!.accuracy.mean],
    [['inadmissible', 'misreported'], nan.clean.mean],
    'nor those that are not numbers',
  );
  const boast = await run(moved(0, 1));
  const [flag] = boast.flags;
  t.deepEqual(
    [flag!.name, flag!.evidence['count'], boast.robust[0]!.accuracy.mean],
    ['misreported', Math.round(130 * boast.clean.mean), boast.clean.mean],
    'claimed successes do not count',
  );

  const honest = defineAttack(
    'mine',
    v.strictObject({ ...attackEntries, epsilon: epsilonEntry }),
    () => (x, y) =>
      Promise.resolve(measured(model, { x, y, norm: norms.l2, adversarial: add(x, 0), queries: 0, backwards: 0 })),
  );
  const idleRun = await run({ name: 'mine', attack: honest });
  t.deepEqual([idleRun.flags, idleRun.robust[0]!.queries], [[], 130], 'an attack of one’s own, by defineAttack');

  const shapes: [string, AttackEntry['attack'], string][] = [
    ['no tensor', () => Promise.resolve({} as AttackResult), 'mine: adversarial: expected'],
    ['another shape', () => Promise.resolve(claim(zeros([130, 3]))), 'received Tensor(float32 [130,3])'],
    [
      'no counts',
      (_net, x) => Promise.resolve({ ...claim(add(x, 0)), queries: 3 as unknown as Tensor }),
      'mine: queries: expected 130 numbers, received number',
    ],
  ];
  for (const [what, attack, said] of shapes)
    await refused(t, what, () => run({ name: 'mine', attack: attack! }), 'SHAPE_MISMATCH', said);
});
