import test from 'tape';
import { renderReport } from '../../src/report/html.js';
import { picturesOf, tableBars } from '../../src/report/plots.js';
import { cost, curve, learning, result, row, specimen, table } from './sample.js';

/** What a reader sees: the page without its markup, spaces as spaces. */
const words = (html: string) =>
  html
    .replace(/<style>.*?<\/style>|<svg.*?<\/svg>/gs, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, '&')
    .replace(/\s+/g, ' ');

/** Every element that is opened is closed, in order. */
function wellFormed(html: string): boolean {
  const open: string[] = [];
  for (const [, close, name, rest] of html.matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (close === '/') {
      if (open.pop() !== name) return false;
    } else if (!['meta', 'img'].includes(name!) && !rest!.endsWith('/')) open.push(name!);
  }
  return open.length === 0;
}

async function whole() {
  const results = [table(), curve(), learning(), cost()];
  const pictures = await Promise.all(results.map(async (one) => (await picturesOf(one))[0]!));
  return { results, pictures, specimens: [specimen(), specimen({ model: 'lwa' })] };
}

const full = whole();

test('renderReport: everything is there', async (t) => {
  const html = renderReport(await full);
  const text = words(html);
  for (const phrase of [
    'At an L2 length of 1.5, Normal falls from 98.3 % to 7.2 % under the strongest attack tried; LWA keeps 86.3 %.',
    'Sparring report: Table 1, Figure 1, Figure 2 and Cost',
    '✗ 3 87.1 %',
    '33 % of values outside [0, 1] (−0.50 to 1.50), drawn clipped',
    '86.3 ± 2.3 85.7 (+0.6)',
    '7.2 ± 1.8 7.8 (−0.6)',
    'Learning with Adversary, Table 1',
    'quick profile, seeds 1, 2 and 3',
    'optimizer.learningRate 0.1',
    'blas.threads 1',
    'Adv_Alpha perturbed towards the class',
    'Adv_Alpha takes 4.00 times as long as Adv_Loss.',
    'sparring reproduce table1 --profile quick --seeds 3',
  ]) {
    t.ok(text.includes(phrase), phrase);
  }
  t.match(html, /title="95 % interval 84\.\d to 88\.\d, n = 1000"/, 'the exact interval when pointed at');
  t.match(html, /<td class="best"><span class="ours"[^>]*>86\.3/, 'the best stands out');
  t.equal(html.match(/<svg/g)?.length, 4, 'a drawing for each experiment');
  t.equal(html.match(/<img src="data:image\/png;base64,/g)?.length, 6, 'three images for each specimen');
  t.equal(words(html).split('blas.name').length, 2, 'one environment is told once');
  t.ok(wellFormed(html), 'well-formed');
});

test('renderReport: needs nothing else, runs nothing, suits screens and paper', async (t) => {
  const html = renderReport(await full);
  t.notOk(
    /<script|<link|<iframe|@import|\son\w+=|src="(?!data:)|href="(?!#)|url\((?!data:)/i.test(
      html.replace(/xmlns(:\w+)?="[^"]*"/g, ''),
    ),
    'no reference to anything outside',
  );
  t.match(html, /Content-Security-Policy" content="default-src 'none';/, 'and the page says so');
  t.match(html, /<meta name="viewport" content="width=device-width/);
  t.match(html, /@media screen and \(prefers-color-scheme:dark\)/);
  t.match(html, /@media print/);
  t.match(html, /<html lang="en">/);
  t.equal(html.match(/role="img" aria-label="[^"]{20,}"/g)?.length, 4, 'each drawing is described');
});

test('renderReport: the same content, the same page', async (t) => {
  t.equal(renderReport(await full), renderReport(await whole()));
});

test('renderReport: whatever is in the names, it is text', async (t) => {
  const evil = '</style></title><script>alert(1)</script><img src=x onerror=alert(1)>"\'&\u0000';
  const file = result({
    profile: evil,
    environment: { [evil]: evil },
    settings: { [evil]: [evil], norm: evil, epsilon: 1 },
    rows: [row(evil, { [evil]: 500, validation: 900 }, { model: evil }), row('b', { [evil]: 600 }, { model: evil })],
    paper: { source: evil, rows: [{ method: evil, accuracy: { [evil]: 0.5 } }] },
  });
  const html = renderReport({
    results: [file],
    pictures: [await tableBars(file)],
    specimens: [
      specimen({
        model: evil,
        attack: evil,
        label: evil,
        predictedClean: { label: evil, confidence: 0.5 },
        predictedAdversarial: { label: evil, confidence: 0.5 },
      }),
    ],
  });
  t.notOk(/<script|<img src=x/i.test(html));
  t.ok(html.split('&lt;script&gt;').length > 15, 'it stands there as text');
  t.ok(wellFormed(html), 'well-formed');
  t.notOk(html.includes('\u0000'));
  t.match(
    words(html),
    /sparring reproduce table1 --profile '<\/style>.*'\\''.*' --seeds 3/,
    'and is quoted for a shell',
  );
});

test('renderReport: any part may be missing', (t) => {
  const empty = renderReport({ results: [] });
  t.match(empty, /<h1>Results<\/h1>/);
  t.notOk(/<section/.test(empty));
  t.match(words(renderReport({ results: [result({ rows: [], environment: {}, settings: {} })] })), /No figures yet/);
  t.match(renderReport({ results: [], specimens: [specimen()] }), /<section id="specimens"/);
  const lone = renderReport({
    results: [],
    pictures: [{ name: 'x', title: 'X', description: 'An X.', svg: '<svg></svg>' }],
  });
  t.match(lone, /<section id="pictures">.*aria-label="An X."/s);
  const single = result({
    seeds: [7],
    rows: [row('mine', {}, { accuracy: { mine: { mean: 1e-6, low: 1e-6, high: 1e-6, n: 1 } } })],
  });
  const text = words(renderReport({ results: [single] }));
  t.match(text, /seed 7/);
  t.match(text, /Where there is one seed/);
  t.match(text, /<0\.1/, 'a tiny figure is not nothing');
  t.notOk(/NaN|undefined|null|Infinity/.test(text));
  t.notOk(text.includes('Beside a figure'), 'no word of an interval where there is none');
  t.end();
});
