import { decode } from 'fast-png';
import test from 'tape';
import { toPng } from '../../src/report/picture.js';
import { accuracyAgainstLength, learningCurves, picturesOf, tableBars } from '../../src/report/plots.js';
import { INK, PAPER, SERIES } from '../../src/report/theme.js';
import type { ResultFile } from '../../src/report/results.js';
import { refused } from '../io/refused.js';
import { cost, curve, learning, result, row, table } from './sample.js';

const texts = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]!.replaceAll('\u00a0', ' '));

/** How many marks are drawn in a colour. */
const marks = (svg: string, color: string) => svg.split(`"${color}"`).length - 1;

test('accuracyAgainstLength: a line, a band and a name for each attack', async (t) => {
  const { name, title, description, svg } = await accuracyAgainstLength(curve());
  t.equal(name, 'figure1');
  t.equal(title, 'Figure 1: accuracy against the length of the perturbation');
  t.match(description, /LeNet; Normal.* Adv_Loss and Adv_Alpha/);
  for (const words of [
    title,
    'LeNet, Normal. Band: 95 % interval. 3 seeds, quick profile',
    'L2 length of the perturbation',
    'Adv_Loss',
    'Adv_Alpha',
    '0 %',
    '100 %',
    '4',
  ]) {
    t.ok(texts(svg).includes(words), words);
  }
  for (const index of [4, 5]) {
    t.equal(svg.match(new RegExp(`<path[^>]*fill="${SERIES[index]}"[^>]*opacity="0.16"`, 'g'))?.length, 1, 'one band');
    t.equal(
      svg.match(new RegExp(`<path[^>]*stroke="${SERIES[index]}"[^>]*stroke-width="2"`, 'g'))?.length,
      1,
      'one line',
    );
  }
  t.notOk(/ id="|url\(#/.test(svg), 'no identifiers that could clash within a page');
});

test('lines: names at the ends keep apart and within the plot', async (t) => {
  for (const level of [1000, 500, 2]) {
    const values = { a: level, b: level - 1, c: level, d: level - 2 };
    const { svg } = await accuracyAgainstLength(
      result({ rows: [0, 1].map((epsilon) => row('normal', values, { epsilon })) }),
    );
    const names =
      /<text text-anchor="start" transform="translate\([\d.]+,(-?[\d.]+)\)"[^>]*font-weight="bold"[^>]*>[abcd]</g;
    const heights = [...svg.matchAll(names)].map((match) => Number(match[1])).sort((x, y) => x - y);
    t.equal(heights.length, 4);
    t.ok(
      heights.every((y, i) => i === 0 || y - heights[i - 1]! > 13),
      `apart: ${heights.join(' ')}`,
    );
    // The plot is 300 high; a name is centred 3 above its baseline.
    t.ok(heights[0]! > -1 && heights[3]! < 305, 'within the plot');
  }
});

test('learningCurves: a panel for each network', async (t) => {
  const { svg } = await learningCurves(learning());
  for (const words of [
    'Figure 2: accuracy by epoch',
    'LeNet, L2 length 1.5. Band: 95 % interval. 3 seeds, quick profile',
    'Normal',
    'LWA',
    'Epoch',
  ]) {
    t.ok(texts(svg).includes(words), words);
  }
  t.equal(texts(svg).filter((text) => text === 'Validation').length, 2);
});

test('tableBars: a panel for each column, a whisker for each bar, a tick for each published figure', async (t) => {
  const { svg, description } = await tableBars(table());
  t.match(description, /Validation, Test, .* of Normal and LWA, beside the paper/);
  for (const words of [
    'Table 1, MLP, L2 length 1.5',
    'Bar: ours, with its 95 % interval. Upright tick: the paper. 3 seeds, quick profile',
    'Adv_Loss_Sign',
    '98.3 ± 1.0',
    '86.3 ± 2.3',
  ]) {
    t.ok(texts(svg).includes(words), words);
  }
  t.equal(marks(svg, PAPER), 10, 'the paper has five columns for each of the two');
  t.equal(svg.match(/<path[^>]*fill="#9cc3e6"/g)?.length, 12, 'twelve bars');
  t.equal(svg.match(new RegExp(`<line[^>]*stroke="${INK}" stroke-width="1\\.4"`, 'g'))?.length, 12, 'twelve whiskers');

  const single = result({
    rows: [row('lwa', {}, { accuracy: { test: { mean: 0.9, low: 0.9, high: 0.9, n: 1 } } })],
    seeds: [1],
  });
  const alone = texts((await tableBars(single)).svg);
  t.ok(
    alone.includes('Bar: ours. 1 seed, quick profile') && alone.includes('90.0'),
    'no word of an interval where there is none',
  );
});

test('tableBars: times where there are no accuracies', async (t) => {
  const words = texts((await tableBars(cost())).svg);
  for (const text of ['Cost, MLP', 'Time', '4.00 ms', '16.0 ms', 'Adv_Alpha']) t.ok(words.includes(text), text);
});

test('picturesOf: by what the rows differ in', async (t) => {
  t.match((await picturesOf(curve()))[0]!.title, /length/);
  t.match((await picturesOf(learning()))[0]!.title, /epoch/);
  t.equal((await picturesOf(table()))[0]!.title, 'Table 1');
  t.deepEqual(await picturesOf(result({ rows: [] })), []);
});

test('plots: the same bytes each time, and a PNG that is not blank', async (t) => {
  for (const file of [table(), curve(), learning(), cost()]) {
    const [first, second] = [(await picturesOf(file))[0], (await picturesOf(structuredClone(file)))[0]];
    t.equal(first!.svg, second!.svg, `${file.experiment}: same drawing`);
    const { data, width, channels } = decode(await toPng(first!.svg));
    t.equal(width, 2 * Number(/ width="(\d+)"/.exec(first!.svg)![1]), 'crisp at twice the size');
    let inked = 0;
    for (let i = 0; i < data.length; i += channels) if (data[i]! < 200) inked++;
    t.ok(inked > 2000 && inked < data.length / channels / 2, `${inked} pixels of ink on a white page`);
    t.deepEqual([...data.subarray(0, 3)], [255, 255, 255], 'white background');
  }
});

test('plots: any names, lengths and figures', async (t) => {
  const wild: ResultFile[] = [
    result({ experiment: 'x', rows: [row('<b>&"\u0007\'', { '<i>': 0, '&amp;': 1000 })] }),
    result({ rows: [row('a', { b: 1 }, { epsilon: 1e-9 }), row('a', { b: 1 }, { epsilon: 2e-9 })] }),
    result({ rows: [row('a', { b: 1 }, { epsilon: 0 }), row('a', { c: 1 }, { epsilon: 1 })] }),
    result({ rows: [row('a', {}, { measures: { share: { mean: -2, low: -3, high: -1, n: 2 } } })] }),
    result({
      rows: Array.from({ length: 12 }, (_, i) => row(`a method with a very long name indeed, number ${i}`, { b: i })),
    }),
  ];
  for (const file of wild) {
    const { svg } = (await picturesOf(file))[0]!;
    t.notOk(/NaN|Infinity|undefined|<b>|<i>/.test(svg.replace(/<text.*?<\/text>/g, '')), 'no broken coordinates');
    // eslint-disable-next-line no-control-regex
    t.notOk(/[\u0000-\u0008]/.test(svg), 'no characters that XML forbids');
    t.ok((await toPng(svg)).length > 1000);
  }
  await refused(t, () => accuracyAgainstLength(table()), 'INVALID_ARGUMENT', /^table1: expected rows with epsilon/);
  await refused(t, () => learningCurves(curve()), 'INVALID_ARGUMENT', /expected rows with epoch/);
  await refused(t, () => tableBars(result({ rows: [] })), 'INVALID_ARGUMENT', /expected figures, received none/);
});
