import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'tape';
import { overSeeds } from '../../src/experiments/experiment.js';
import { experimentNames, reproduce } from '../../src/experiments/reproduce.js';
import { profiles } from '../../src/experiments/profiles.js';
import { readResults } from '../../src/report/results.js';
import { memory } from '../../src/tensor/scope.js';
import { wilson, studentT } from '../../src/report/intervals.js';
import { folder, run, tiny } from './tiny.js';

const all = ['table1', 'table2', 'figure1', 'figure2', 'cost', 'l2', 'robustness', 'claims'];

test('reproduce: every experiment in one run, and once more from what is kept', async (t) => {
  const out = await folder();
  const { results, events, details } = await run(all, { out });
  const { table1, table2, figure1, figure2, cost, l2, robustness, claims } = results;
  const columns = ['advAlpha', 'advLoss', 'advLossSign', 'fixed', 'test', 'validation'];
  t.deepEqual(
    table1!.rows.map(({ method }) => method),
    ['normal', 'dropout', 'goodfellow', 'lwa', 'lwaRep', 'lwaAlpha'],
  );
  for (const { method, accuracy, seconds } of table1!.rows) {
    t.deepEqual(Object.keys(accuracy).sort(), columns, method);
    const seeds = method === 'lwaAlpha' ? undefined : 2;
    t.equal(accuracy.advAlpha!.values?.length, seeds, `${method}: a figure of each seed`);
    t.equal(accuracy.advAlpha!.n, seeds ?? 100, 'the interval of the seeds, else of the images');
    t.ok(seconds!.mean > 0);
  }
  const [normal] = table1!.rows;
  t.deepEqual(normal!.accuracy.fixed, normal!.accuracy.advLoss, 'the Fixed set is made on Normal itself');
  t.equal((table1!.settings.choices as Record<string, string>)['mlp lwa'], 'guessed');
  t.equal(table2!.paper!.rows.length, 2);
  for (const { method, accuracy, measures } of table2!.rows) {
    t.deepEqual(
      Object.keys(accuracy).sort(),
      [...columns, 'autoAttack', 'pgd40'].sort(),
      `${method}: the paper's and more`,
    );
    t.equal(accuracy.autoAttack!.values, undefined, `${method}: of one seed`);
    t.equal(accuracy.autoAttack!.n, 20, `${method}: of 20 images`);
    t.equal(accuracy.pgd40!.values!.length, 2, `${method}: of each seed`);
    t.ok(accuracy.pgd40!.mean <= accuracy.validation!.mean, 'an attack');
    const { medianDistance } = measures!;
    t.ok(
      medianDistance!.mean > 0 && medianDistance!.mean < 28,
      `${method}: half have a mistake within ${medianDistance!.mean}`,
    );
    t.equal(medianDistance!.values!.length, 2, 'of each seed');
  }
  t.deepEqual(table2!.settings.pgd40, {
    attack: 'pgd',
    steps: 40,
    stepSize: 0.1,
    randomStart: false,
    clip: 'to the range of the data',
    images: 'all validation images',
  });
  const { images, seeds } = table2!.settings.autoAttack as { images: string; seeds: string };
  t.deepEqual([images, seeds], ['the first 20 validation images', 'the first 1']);

  t.deepEqual(
    figure1!.rows.slice(0, 5).map(({ epsilon, accuracy }) => [epsilon, Object.keys(accuracy).length]),
    [
      [0, 4],
      [0.25, 1],
      [0.5, 4],
      [1, 4],
      [2, 1],
    ],
    'curves at their lengths, minimal lengths at theirs',
  );
  const minimal = figure1!.rows.slice(0, 5).map(({ accuracy }) => accuracy.minimal!.mean);
  t.deepEqual(
    [...minimal].sort((a, b) => b - a),
    minimal,
    'fewer images withstand more',
  );
  t.deepEqual(
    figure2!.rows.map(({ method, epoch }) => `${method} ${epoch}`),
    ['normal', 'lwa'].flatMap((method) => [1, 2, 3, 4, 5, 6].map((epoch) => `${method} ${epoch}`)),
  );
  t.deepEqual(
    cost!.rows
      .filter(({ attack }) => attack !== 'advAlpha')
      .map(({ attack, classes, measures }) => [attack, classes, measures!.backwardRows!.mean]),
    [2, 5, 10].flatMap((classes) => [
      ['advLoss', classes, 1],
      ['advAlphaDense', classes, classes],
    ]),
  );
  const spared = cost!.rows
    .filter(({ attack }) => attack === 'advAlpha')
    .map(({ measures }) => measures!.backwardRows!.mean);
  t.ok(spared[0] === 1 && spared[2]! < 8, `the bound leaves ${spared.join(', ')} rows`);
  const spot = l2!.rows.find(({ attack }) => attack === 'concentrated')!.measures!;
  t.ok(Math.abs(spot.largestChange!.mean - tiny.table2.epsilon / 3) < 1e-6, 'nine pixels of a third of the length');
  t.ok(Math.abs(spot.energyInOnePercentOfPixels!.mean - 8 / 9) < 1e-6, 'of which eight are a hundredth of the image');
  t.equal(spot.pixelsWithHalfOfTheEnergy!.mean, 5);
  t.deepEqual(
    robustness!.rows.map(({ method, epsilon }) => [method, epsilon]),
    ['normal', 'lwa'].flatMap((method) => [0, 0.5, 1].map((epsilon) => [method, epsilon])),
    'a curve of each network, with the clean accuracy',
  );
  for (const { accuracy } of robustness!.rows)
    t.ok(accuracy.autoAttack!.mean <= accuracy.pgd40!.mean && accuracy.pgd40!.mean <= accuracy.advLoss!.mean);
  t.deepEqual(
    robustness!.robustness!.map(({ method, examples, clip, robust, distances }) => [
      method,
      examples,
      clip,
      robust.length,
      distances.map(({ attack }) => attack),
    ]),
    ['normal', 'lwa'].map((method) => [method, 12, [0, 1], 2 * 5, ['fmn', 'ddn']]),
  );
  t.deepEqual(
    robustness!.claims!.map(({ comparisons }) => comparisons.length),
    [2 * 2 * 2, 2 * 2],
    'each rank beside the one before, at each length, and each distance attack, on each network',
  );
  t.equal(robustness!.claims![0]!.verdict, 'confirmed', 'stronger attacks leave no more');
  t.ok(claims!.claims!.length >= 10, `${claims!.claims!.length} claims`);

  const files = events.at(-1)!.type === 'report' ? (events.at(-1) as { files: string[] }).files : [];
  for (const name of [...all.slice(0, 7), 'figure1-lengths', 'l2-pictures', 'specimens'])
    for (const ending of ['svg', 'png']) t.ok(files.includes(join(out, `${name}.${ending}`)), `${name}.${ending}`);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  for (const name of all) t.ok(page.includes(`<section id="${name}">`), `${name} in the report`);
  t.match(page, /<h2>LeNet, LWA<\/h2>/, 'each network in full');
  t.match(page, /Distance to the nearest adversarial input/);
  t.match(page, /<td class="(confirmed|refuted|undecided)">/);
  t.ok(details.some((detail) => detail === 'mlp lwa: epoch 6/6, loss ' || /mlp lwa: epoch 6\/6/.test(detail)));

  const before = await readFile(join(out, 'table1.json'), 'utf8');
  const again = await run(all, { out, resume: true });
  t.notOk(
    again.details.some((detail) => /epoch \d+\/\d+/.test(detail)),
    'no training again',
  );
  t.ok(
    again.details.every((detail) => /before$/.test(detail)),
    'no measuring again',
  );
  t.equal(await readFile(join(out, 'table1.json'), 'utf8'), before, 'the same file, byte for byte');
  await rm(out, { recursive: true });
});

test('reproduce: an interrupted run goes on, and a new one keeps what it left', async (t) => {
  const out = await folder();
  const stop = new AbortController();
  const stopped = { ...tiny, seeds: 1 };
  const names = ['table2', 'figure2'];
  try {
    for await (const event of reproduce(names, { profile: stopped, out, signal: stop.signal }))
      if (event.type === 'progress' && /lenet lwa: epoch 4/.test(`${event.what}: ${event.detail}`)) stop.abort();
    t.fail('not stopped');
  } catch (error) {
    t.equal((error as Error).name, 'AbortError');
  }
  const left = await readdir(join(out, 'networks'));
  t.ok(
    left.includes('sample-lenet-normal-0.safetensors') && left.includes('sample-lenet-lwa-0.safetensors.checkpoint'),
  );
  t.ok(left.includes('sample-lenet-lwa-0.epoch-3.json'), 'the learning curve so far');

  const { details, results } = await run(names, { profile: stopped, out, resume: true });
  t.notOk(
    details.some((detail) => /lenet normal: epoch/.test(detail)),
    'what was trained stays',
  );
  t.notOk(
    details.some((detail) => /lenet lwa: epoch [123]\//.test(detail)),
    'and the rest goes on after its last epoch',
  );
  const elsewhere = await folder();
  const whole = await run(names, { profile: stopped, out: elsewhere });
  for (const name of names) {
    const figures = (result: typeof results): unknown => result[name]!.rows.map(({ accuracy }) => accuracy);
    t.deepEqual(figures(results), figures(whole.results), `${name}: as without the interruption`);
  }

  await writeFile(join(out, 'networks', 'sample-lenet-lwa-0.safetensors.checkpoint'), 'a checkpoint');
  const anew = await run(['table2'], { profile: stopped, out });
  t.match(anew.notes[0]!, /keeps an interrupted run \(while it trained sample-lenet-lwa-0\), which --resume would/);
  t.ok((await readdir(join(out, 'networks', 'earlier'))).includes('sample-lenet-lwa-0.safetensors.checkpoint'));
  await Promise.all([out, elsewhere].map((dir) => rm(dir, { recursive: true })));
});

test('reproduce: networks are in memory only while their row is measured', async (t) => {
  const out = await folder();
  const before = memory().tensors;
  let most = 0;
  for await (const event of reproduce(['table1'], { profile: { ...tiny, seeds: 3 }, out })) {
    if (event.type === 'progress') most = Math.max(most, memory().tensors - before);
    if (event.type === 'result') t.equal(memory().tensors, before, 'none is left');
  }
  const [networks, parameters] = [5 * 3 + 1, 6];
  t.ok(most > 0 && most < (networks / 2) * parameters, `at most ${most} tensors were alive`);
  await rm(out, { recursive: true });
});

test('reproduce: a result names the seeds that its own networks had', async (t) => {
  const [few, all] = [tiny.table1.recipes.slice(0, 1).map((recipe) => ({ ...recipe, seeds: 1 })), tiny.cifar10.recipes];
  for (const [recipes, expected] of [
    [few, [0]],
    [all, [0, 1]],
  ] as const) {
    const { results } = await run(['cifar10'], {
      out: await folder(),
      profile: { ...tiny, cifar10: { ...tiny.cifar10, recipes } },
    });
    t.deepEqual(results.cifar10!.seeds, expected, `${expected.length}`);
  }
});

test('reproduce: learning curves of networks that were trained without them', async (t) => {
  const out = await folder();
  const profile = { ...tiny, seeds: 1, table2: { ...tiny.table2, recipes: tiny.table2.recipes.slice(0, 1) } };
  await run(['table2'], { profile, out });
  const { results } = await run(['figure2'], { profile, out, resume: true });
  t.equal(results.figure2!.rows.length, 6);
  await rm(out, { recursive: true });
});

test('reproduce: settings that differ are measured and trained anew', async (t) => {
  const out = await folder();
  const [recipe] = tiny.table1.recipes;
  const profile = { ...tiny, seeds: 1, table1: { recipes: [recipe!], epsilon: 0.5 } };
  await run(['table1'], { profile, out });
  const longer = await run(['table1'], {
    profile: { ...profile, table1: { ...profile.table1, epsilon: 1 } },
    out,
    resume: true,
  });
  t.ok(longer.details.includes('mlp normal: validation: measured before'), 'what does not depend on the length stays');
  t.notOk(longer.details.includes('mlp normal: advLoss: measured before'));
  t.notOk(longer.details.some((detail) => /epoch/.test(detail)));
  const shorter = { ...profile, table1: { recipes: [{ ...recipe!, epochs: 1 }], epsilon: 0.5 } };
  const other = await run(['table1'], { profile: shorter, out, resume: true });
  t.ok(
    other.details.some((detail) => /epoch 1\/1/.test(detail)),
    'another training',
  );
  t.notOk(
    other.details.some((detail) => /measured before/.test(detail)),
    'is measured anew',
  );
  await rm(out, { recursive: true });
});

test('reproduce: what is wrong is refused before any work, and nothing is lost', async (t) => {
  const out = await folder();
  const refused = async (
    names: string[],
    options: Parameters<typeof run>[1],
    message: RegExp,
    code = 'INVALID_ARGUMENT',
  ): Promise<void> => {
    try {
      await run(names, options);
      t.fail(String(message));
    } catch (error) {
      t.match((error as Error).message, message);
      t.equal((error as { code?: string }).code, code);
    }
  };
  await refused(['tabel1'], { out }, /expected one of table1, .*received 'tabel1' \(did you mean 'table1'\?\)/);
  await refused(['table1'], { out, seeds: 0 }, /reproduce: seeds: expected a whole number of at least 1, received 0/);
  await refused(['table1'], { out, profile: 'papre' as never }, /reproduce: profile/);
  const [recipe] = tiny.table1.recipes;
  const table = (more: object): typeof tiny => ({
    ...tiny,
    seeds: 1,
    table1: { recipes: [{ ...recipe!, ...more }], epsilon: 0.5 },
  });
  await refused(
    ['table1'],
    { out, profile: table({ options: { hiden: [3] } }) },
    /unknown option.*did you mean 'hidden'/,
  );
  await refused(
    ['table1'],
    { out, profile: { ...table({}), table1: { recipes: [recipe!], epsilon: -1 } } },
    /expected a length of 0/,
  );

  const path = join(out, 'table1.json');
  const later = JSON.stringify({ format: 'sparring-results', version: 2 });
  await writeFile(path, later);
  await refused(
    ['table1'],
    { out },
    /table1\.json: expected results of version 1 or none, .* of version 2; it is left/,
    'BAD_FILE',
  );
  t.equal(await readFile(path, 'utf8'), later, 'left as it was');
  await rm(path);

  await run(['table1'], { out, profile: table({}) });
  const cell = join(out, 'networks', 'sample-mlp-normal-0.advLoss.json');
  const kept = JSON.parse(await readFile(cell, 'utf8')) as object;
  await writeFile(cell, JSON.stringify({ ...kept, version: 2 }));
  await refused(
    ['table1'],
    { out, profile: table({}), resume: true },
    /expected a measured cell of version 1, received version 2/,
    'BAD_FILE',
  );
  await writeFile(cell, '{');
  await refused(
    ['table1'],
    { out, profile: table({}), resume: true },
    /received a damaged file; remove it/,
    'BAD_FILE',
  );
  t.equal((await readResults(path)).rows.length, 1, 'the results of before are there');
  await rm(out, { recursive: true });
});

test('profiles: whole', (t) => {
  for (const [name, profile] of Object.entries(profiles)) {
    t.equal(profile.name, name);
    for (const table of [profile.table1, profile.table2, profile.fashion, profile.cifar10]) {
      const { recipes } = table;
      const names = recipes.map(({ data, model, label, method }) => `${data} ${model} ${label ?? method.name}`);
      t.equal(new Set(names).size, names.length, `no two networks of one name: ${names.join(', ')}`);
      t.ok(
        names.some((each) => each.endsWith('normal')),
        'with a network to make the Fixed set on',
      );
    }
  }
  t.ok(experimentNames.includes('cifar10'));
  t.end();
});

test('overSeeds: the seeds by Student, one seed as it is', (t) => {
  const row = (right: number) => ({
    model: 'mlp',
    method: 'lwa',
    accuracy: { advLoss: wilson(right, 100) },
    seconds: studentT([right]),
  });
  t.deepEqual(overSeeds([row(80)]), row(80));
  const { accuracy, seconds } = overSeeds([row(80), row(82), row(84)]);
  t.deepEqual(accuracy.advLoss!.values, [0.8, 0.82, 0.84]);
  // t(.975, 2) = 4.3027, standard error .02 / sqrt 3.
  t.ok(Math.abs(accuracy.advLoss!.high - 0.82 - (4.302652729696 * 0.02) / Math.sqrt(3)) < 1e-9);
  t.equal(seconds!.mean, 82);
  t.end();
});
