import { decode } from 'fast-png';
import test from 'tape';
import { specimenImages } from '../../src/report/images.js';
import { toPng } from '../../src/report/picture.js';
import { specimenSheet, specimenWords } from '../../src/report/specimenSheet.js';
import { refused } from '../io/refused.js';
import { specimen } from './sample.js';

/** The colour at a place, after checking that its whole square has it. */
function pixel(t: test.Test, png: Uint8Array, x: number, y: number, factor: number): number[] {
  const { data, width, channels } = decode(png);
  const at = (px: number, py: number) => [
    ...data.subarray((py * width + px) * channels, (py * width + px + 1) * channels),
  ];
  const first = at(x * factor, y * factor);
  t.deepEqual(at((x + 1) * factor - 1, (y + 1) * factor - 1), first, `pixel ${x},${y} is one square`);
  return first;
}

test('specimenImages: grey, enlarged by a whole factor, clipped to what can be shown', (t) => {
  const images = specimenImages(specimen());
  const { width, height } = decode(images.clean);
  t.deepEqual([width, height], [222, 148], '224 holds 74 pixels of width 3');
  t.deepEqual([images.width, images.height], [111, 74], 'shown at half');
  const factor = 74;
  t.deepEqual(
    [0, 1, 2].map((x) => pixel(t, images.clean, x, 0, factor)),
    [[0], [128], [255]],
  );
  t.deepEqual(
    [0, 1, 2].map((x) => pixel(t, images.adversarial, x, 0, factor)),
    [[64], [128], [255]],
    'above white is white',
  );
  t.deepEqual(pixel(t, images.adversarial, 1, 1, factor), [0], 'below black is black');
  t.equal(images.extent, 0.5);
  t.deepEqual(images.outside, { share: 2 / 6, low: -0.5, high: 1.5 });
  t.deepEqual(pixel(t, images.perturbation, 1, 0, factor), [255, 255, 255], 'white is unchanged');
  const [more, less] = [pixel(t, images.perturbation, 2, 0, factor), pixel(t, images.perturbation, 1, 1, factor)];
  t.ok(more[0]! > more[2]! + 100, 'red is more');
  t.ok(less[2]! > less[0]! + 100, 'blue is less');
  const half = pixel(t, images.perturbation, 0, 0, factor);
  t.ok(half[2]! > more[2]! && half[2]! < 255, 'half the change, half the colour');
  t.end();
});

test('specimenImages: colour images keep their channels apart', (t) => {
  // One pixel: red rises, green falls, blue stays.
  const images = specimenImages(
    specimen({ clean: Float32Array.of(0.2, 0.4, 0.6), adversarial: Float32Array.of(0.3, 0.3, 0.6), shape: [3, 1, 1] }),
  );
  t.deepEqual(pixel(t, images.clean, 0, 0, 224), [51, 102, 153]);
  const [red, green, blue] = pixel(t, images.perturbation, 0, 0, 224);
  t.ok(red! > 250 && green! < 5 && blue === 128, `${red} ${green} ${blue}`);
  t.equal(images.outside.share, 0);
  t.end();
});

test('specimenImages: large images are not enlarged, no change has no colour', (t) => {
  const size = 300 * 250;
  const flat = new Float32Array(size).fill(0.5);
  const images = specimenImages(specimen({ clean: flat, adversarial: flat, shape: [1, 300, 250] }));
  t.deepEqual([decode(images.clean).width, images.width, images.extent], [250, 125, 0]);
  t.deepEqual(pixel(t, images.perturbation, 7, 9, 1), [255, 255, 255]);
  t.end();
});

test('specimenImages: what is no pair of images is refused', async (t) => {
  for (const [members, code, says] of [
    [{ shape: [2, 1, 3] }, 'INVALID_ARGUMENT', /shape: expected \[1 or 3, height, width\], received \[2,1,3\]/],
    [{ shape: [1, 6] as never }, 'INVALID_ARGUMENT', /shape/],
    [{ shape: [1, 0, 6] }, 'INVALID_ARGUMENT', /shape/],
    [{ clean: new Float32Array(5) }, 'SHAPE_MISMATCH', /clean: expected 6 values for \[1,2,3\], received 5/],
    [{ adversarial: new Float32Array(7) }, 'SHAPE_MISMATCH', /adversarial: expected 6/],
    [{ adversarial: Float32Array.of(0, 0, 0, NaN, 0, 0) }, 'NOT_FINITE', /adversarial: expected finite/],
    [{ norm: NaN }, 'NOT_FINITE', /norm/],
  ] as const) {
    await refused(t, () => specimenImages(specimen(members)), code, says);
  }
});

test('specimenWords: what the network says and what cannot be shown', (t) => {
  const one = specimen();
  t.deepEqual(specimenWords(one, specimenImages(one)), {
    network: 'Normal',
    attack: 'Adv_Alpha',
    clean: { right: true, label: '7', confidence: '>99.9 %' },
    perturbation: 'L2 0.750, ±0.50',
    adversarial: { right: false, label: '3', confidence: '87.1 %' },
    outside: '33 % of values outside [0, 1] (−0.50 to 1.50), drawn clipped',
  });
  t.end();
});

test('specimenSheet: words and images within the SVG, drawn the same each time', async (t) => {
  const many = Array.from({ length: 8 }, (_, i) => specimen({ model: i === 7 ? '<evil> & "co"' : 'lwa' }));
  const { name, svg, description } = specimenSheet(many);
  t.equal(name, 'specimens');
  t.match(description, /^8 images/);
  t.equal(svg.match(/href="data:image\/png;base64,/g)?.length, 24);
  t.equal(svg.match(/href=/g)?.length, 24, 'and nothing from elsewhere');
  for (const words of [
    '✓ 7, &gt;99.9 %',
    '✗ 3, 87.1 %',
    'L2 0.750, ±0.50',
    '&lt;evil&gt; &amp; &quot;co&quot;',
    'Adv_Alpha',
    'white unchanged',
    'up to 33 % of values outside [0, 1] (−0.50 to 1.50)',
  ]) {
    t.ok(svg.includes(words), words);
  }
  t.notOk(svg.includes('mid-grey'), 'no key to colour images where there are none');
  t.equal(specimenSheet(many).svg, svg);
  const { width, data, channels } = decode(await toPng(svg));
  t.ok(width > 1500);
  t.ok(new Set(Array.from({ length: data.length / channels }, (_, i) => data[i * channels])).size > 20, 'many shades');
  await refused(t, () => specimenSheet([]), 'INVALID_ARGUMENT', /at least one specimen/);
});
