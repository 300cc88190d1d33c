import { decode } from 'fast-png';
import test from 'tape';
import { toPng } from '../../src/report/picture.js';
import { FONT } from '../../src/report/theme.js';
import { refused } from '../io/refused.js';

const svg = (body: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><rect width="200" height="40" fill="#fff"/>${body}</svg>`;

/** How many pixels are not the white of the page. */
const inked = (png: Uint8Array) => {
  const { data, channels } = decode(png);
  let count = 0;
  for (let i = 0; i < data.length; i += channels) if (data[i]! < 128) count++;
  return count;
};

test('toPng: text is drawn, in the font of the package', async (t) => {
  const text = (words: string, attributes = '') =>
    toPng(svg(`<text x="5" y="28" font-size="24" font-family="${FONT}" ${attributes}>${words}</text>`));
  const plain = inked(await text('LWA'));
  t.ok(plain > 300, `a word leaves ink: ${plain} pixels`);
  t.ok(inked(await text('LWA', 'font-weight="bold"')) > 1.2 * plain, 'bold is bolder');
  for (const character of ['±', '−', '∞', '✓', '✗', '–', '…', 'á'])
    t.ok(inked(await text(character)) > 20, `${character} has a shape`);
  t.notDeepEqual(await text('✓'), await text('✗'), 'and its own');
  t.ok(
    inked(await toPng(svg('<text x="5" y="28" font-size="24" font-family="No Such Font">LWA</text>'))) > 300,
    'another font is replaced',
  );
  t.equal(inked(await toPng(svg(''))), 0);
});

test('toPng: twice the size, the same bytes each time, and no SVG is refused', async (t) => {
  const { width, height } = decode(await toPng(svg('')));
  t.deepEqual([width, height], [400, 80]);
  t.deepEqual(await toPng(svg('<text y="20">a</text>')), await toPng(svg('<text y="20">a</text>')));
  await refused(t, () => toPng('no picture'), 'INVALID_ARGUMENT', /^toPng: expected an SVG picture/);
});
