import { SparringError } from '../errors.js';
import { fixed, percent, plural, significant } from './format.js';
import { specimenImages, type Prediction, type Specimen, type SpecimenImages } from './images.js';
import { dataUri, escapeMarkup } from './markup.js';
import { displayName, oneLine } from './names.js';
import type { Picture } from './picture.js';
import { fit, FONT, GRID, INK, MUTED, PAGE, PAPER, textWidth } from './theme.js';

/** The words beside a specimen's images, the same in every form of the report. */
export interface SpecimenWords {
  network: string;
  attack: string;
  clean: Verdict;
  perturbation: string;
  adversarial: Verdict;
  /** Empty when all values lie within [0, 1]. */
  outside: string;
}

/** A prediction in words. */
export interface Verdict {
  right: boolean;
  label: string;
  confidence: string;
}

/** Says what a specimen's images show. */
export function specimenWords(specimen: Specimen, { extent, outside }: SpecimenImages): SpecimenWords {
  const { label, predictedClean, predictedAdversarial, norm } = specimen;
  const verdict = (prediction: Prediction): Verdict => ({
    right: prediction.label === label,
    label: oneLine(prediction.label),
    confidence: `${percent(prediction.confidence, 1)} %`,
  });
  return {
    network: displayName(specimen.model),
    attack: displayName(specimen.attack),
    clean: verdict(predictedClean),
    perturbation: `L2 ${significant(norm)}, ±${extent === 0 ? '0' : extent.toPrecision(2)}`,
    adversarial: verdict(predictedAdversarial),
    outside: outside.share === 0 ? '' : beyond(outside),
  };
}

/** How many values no screen can show, and what was done about them. */
const beyond = ({ share, low, high }: SpecimenImages['outside']) =>
  `${percent(share, 0)} % of values outside [0, 1] (${fixed(low, 2)} to ${fixed(high, 2)}), drawn clipped`;

/** How to read the colours of the perturbations, for the kinds of image there are. */
export function perturbationKey(specimens: readonly Specimen[]): string[] {
  const has = (channels: number) => specimens.some(({ shape }) => shape[0] === channels);
  return [
    ...(has(1) ? ['Perturbation of a grey image: blue is darker, white unchanged, red-brown lighter.'] : []),
    ...(has(3) ? ['Perturbation of a colour image: mid-grey is unchanged, each colour tells its own change.'] : []),
    'The colours end at the ± beneath each.',
  ];
}

const PER_ROW = 6;
const GAP = 14;
const GUTTER = 96;
const SMALL = 10.5;
const CAPTION = 26;

const text = (x: number, y: number, words: string, attributes = `fill="${INK}"`) =>
  `<text x="${x}" y="${y}" ${attributes}>${escapeMarkup(words)}</text>`;

/**
 * All specimens on one sheet, a column each: the clean image, the perturbation, the adversarial image, and beneath each
 * what the network says of it. The images are within the SVG itself.
 *
 * @throws SparringError `INVALID_ARGUMENT` without specimens, and as `specimenImages`.
 *
 * @example
 * ```ts
 * import { specimenSheet } from 'sparring';
 *
 * const { svg } = specimenSheet([
 *   {
 *     clean: new Float32Array([0, 0.5, 1, 0]),
 *     adversarial: new Float32Array([0.25, 0.5, 1.25, 0]),
 *     shape: [1, 2, 2],
 *     label: '7',
 *     predictedClean: { label: '7', confidence: 0.99 },
 *     predictedAdversarial: { label: '1', confidence: 0.6 },
 *     attack: 'advAlpha',
 *     model: 'normal',
 *     norm: 0.354,
 *   },
 * ]);
 * console.log(svg.includes('✗ 1, 60.0 %')); // true
 * ```
 */
export function specimenSheet(
  specimens: readonly Specimen[],
  {
    name = 'specimens',
    title = 'What the networks say before and after the attack',
  }: { name?: string; title?: string } = {},
): Picture {
  if (specimens.length === 0) {
    throw new SparringError('INVALID_ARGUMENT', 'specimenSheet: expected at least one specimen, received none');
  }
  const drawn = specimens.map((specimen) => ({ specimen, images: specimenImages(specimen) }));
  const cellWidth = Math.max(136, ...drawn.map(({ images }) => images.width));
  const cellHeight = Math.max(...drawn.map(({ images }) => images.height)) + CAPTION;
  const blockHeight = 34 + 3 * cellHeight + 22;
  const across = Math.min(PER_ROW, drawn.length);
  const top = 54;

  const parts = drawn.map(({ specimen, images }, i) => {
    const words = specimenWords(specimen, images);
    const left = GUTTER + (i % across) * (cellWidth + GAP);
    const up = top + Math.floor(i / across) * blockHeight;
    const verdict = ({ right, label, confidence }: Verdict) => {
      const room = cellWidth - textWidth(`✓ , ${confidence}`, SMALL);
      return {
        words: `${right ? '✓' : '✗'} ${fit(label, room, SMALL)}, ${confidence}`,
        color: right ? INK : PAPER,
      };
    };
    const rows = [
      { name: 'Clean', png: images.clean, ...verdict(words.clean) },
      { name: 'Perturbation', png: images.perturbation, words: words.perturbation, color: MUTED },
      { name: 'Adversarial', png: images.adversarial, ...verdict(words.adversarial) },
    ];
    return [
      text(left, up + 12, fit(words.network, cellWidth, 12), `fill="${INK}" font-weight="bold" font-size="12"`),
      text(left, up + 27, fit(words.attack, cellWidth, SMALL), `fill="${MUTED}"`),
      ...rows.flatMap(({ name, png, words, color }, row) => {
        const y = up + 36 + row * cellHeight;
        return [
          ...(i % across === 0 ? [text(16, y + 14, name, `fill="${MUTED}"`)] : []),
          `<image x="${left}" y="${y}" width="${images.width}" height="${images.height}" image-rendering="optimizeSpeed" href="${dataUri(png)}"/>`,
          `<rect x="${left - 0.5}" y="${y - 0.5}" width="${images.width + 1}" height="${images.height + 1}" fill="none" stroke="${GRID}"/>`,
          text(left, y + images.height + 14, words, `fill="${color}"`),
        ];
      }),
    ];
  });

  const outside = drawn.map(({ images }) => images.outside).filter(({ share }) => share > 0);
  const most = (form: (one: SpecimenImages['outside']) => number) => Math.max(...outside.map(form));
  const extremes = { share: most(({ share }) => share), low: -most(({ low }) => -low), high: most(({ high }) => high) };
  const notes = [
    ...perturbationKey(specimens),
    ...(outside.length === 0 ? [] : [`Adversarial: up to ${beyond(extremes)}.`]),
  ];
  const bottom = top + Math.ceil(drawn.length / across) * blockHeight;
  const width = Math.max(GUTTER + across * (cellWidth + GAP) + 2, ...notes.map((note) => 32 + textWidth(note, SMALL)));
  const height = bottom + notes.length * 16 + 8;
  const body = [
    `<rect width="${width}" height="${height}" fill="${PAGE}"/>`,
    text(16, 30, title, `fill="${INK}" font-weight="bold" font-size="15"`),
    ...parts.flat(),
    ...notes.map((note, i) => text(16, bottom + 6 + 16 * i, note, `fill="${MUTED}"`)),
  ];
  return {
    name,
    title,
    description: `${plural(drawn.length, 'image')}, each clean, its perturbation, and adversarial, with what the network says of it.`,
    svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${FONT}" font-size="${SMALL}">${body.join('')}</svg>`,
  };
}
