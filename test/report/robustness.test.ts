import test from 'tape';
import { toPng } from '../../src/report/picture.js';
import { wilson } from '../../src/report/intervals.js';
import type { AttackRecord, RobustnessRecord } from '../../src/report/results.js';
import { renderRobustness, robustnessCurves } from '../../src/report/robustness.js';
import { refused } from '../adversary/refused.js';

const attack = (name: string, epsilon: number, right: number, more: Partial<AttackRecord> = {}): AttackRecord => ({
  attack: name,
  epsilon,
  accuracy: wilson(right, 200),
  attacked: 200,
  distance: false,
  blackBox: false,
  queries: 400,
  backwards: 200,
  seconds: 1.5,
  ...more,
});

const distance = { distance: true, queries: 1000, backwards: 8000, seconds: 3 };

const record = (more: Partial<RobustnessRecord> = {}): RobustnessRecord => ({
  model: 'lenet',
  method: 'lwa',
  examples: 200,
  norm: 'l2',
  clip: [0, 1],
  survivorsOnly: false,
  clean: wilson(190, 200),
  robust: [
    attack('advAlpha', 0.5, 150),
    attack('pgd', 0.5, 140, { queries: 8000, backwards: 7800 }),
    attack('minimal', 0.5, 130, distance),
    attack('advAlpha', 1, 90),
    attack('pgd', 1, 70, { queries: 8000, backwards: 7800 }),
    attack('minimal', 1, 60, distance),
  ],
  worst: [
    { epsilon: 0.5, accuracy: wilson(129, 200) },
    { epsilon: 1, accuracy: wilson(55, 200) },
  ],
  distances: [
    {
      attack: 'minimal',
      examples: 190,
      found: 180,
      median: 0.8,
      quantiles: [
        { part: 0.5, distance: 0.8 },
        { part: 0.95, distance: null },
      ],
    },
  ],
  flags: [],
  ...more,
});

const texts = (svg: string): string[] =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]!.replaceAll('\u00a0', ' '));

test('robustnessCurves: a panel for each network, a line for each attack and the worst case', async (t) => {
  const { svg, description } = await robustnessCurves([record(), record({ method: 'normal' })]);
  const words = texts(svg);
  for (const word of ['LeNet, LWA', 'LeNet, Normal', 'L2 length of the perturbation', 'Adv_Alpha', 'PGD'])
    t.ok(words.includes(word) || words.includes(word.replace('LeNet, ', '')), word);
  t.equal(words.filter((word) => word === 'worst case').length, 2, 'the worst case in both');
  t.equal(words.filter((word) => word === '0').length, 2, 'from length 0, the clean accuracy');
  t.notOk(
    words.some((word) => word.includes('seed')),
    'no seeds, where there is none',
  );
  t.match(description, /worst case/);
  t.ok((await toPng(svg)).length > 1000, 'it can be drawn');
  await refused(t, 'nothing', () => robustnessCurves([]), 'INVALID_ARGUMENT', 'at least one record');
  await refused(
    t,
    'two norms',
    () => robustnessCurves([record(), record({ norm: 'linf' })]),
    'INVALID_ARGUMENT',
    'received l2 and linf',
  );
});

test('renderRobustness: the figures, where they belong', async (t) => {
  const hostile = '<script>alert(1)</script>';
  const flags = [{ name: 'zeroGradients', message: `the gradient is zero ${hostile}` }];
  const page = await renderRobustness([record(), record({ method: 'normal', flags, distances: [], clip: null })]);
  const [first, second] = page.split('<section>').slice(1);
  t.match(first!, /<th scope="col">Clean<\/th><th scope="col">Adv_Alpha<\/th><th scope="col">PGD<\/th>/);
  t.match(first!, /<th scope="col">single step<\/th><th scope="colgroup" colspan="2">iterative or other<\/th>/);
  t.match(
    first!,
    /<th scope="row">1<\/th><td>95\.00 ± 3\.\d+<\/td><td>45\.00 ± \d\.\d+<\/td><td>35\.00 [^<]*<\/td><td>30\.00 [^<]*<\/td><td>27\.50/,
    'clean, single step, iterative, worst',
  );
  t.match(first!, /<th scope="row">Minimal<\/th><td>0\.800<\/td><td>beyond<\/td><td>180 of 190<\/td>/, 'distances');
  t.match(first!, /<th scope="row">PGD<\/th><td>400<\/td><td>40\.0<\/td><td>39\.0<\/td><td>3\.00 s<\/td>/, 'the cost');
  t.match(first!, /<th scope="row">Minimal<\/th><td>200<\/td><td>5\.00<\/td>/, 'of a distance attack once');
  t.match(first!, /No signs of masked gradients/);
  t.match(second!, /<li class="wrong">the gradient is zero &lt;script&gt;/, 'warnings, as text');
  t.notOk(page.includes(hostile));
  t.notOk(second!.includes('Distance to'), 'no distances where none were measured');
  t.notOk(/(?:src|href)="http/.test(page), 'nothing from elsewhere');
  t.equal(page, await renderRobustness([record(), record({ method: 'normal', flags, distances: [], clip: null })]));
});
