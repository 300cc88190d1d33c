import { encode } from 'fast-png';
import { SparringError } from '../errors.js';
/** What a network says of an image, and how sure it is, in [0, 1]. */
export interface Prediction {
  label: string;
  confidence: number;
}

/** One image before and after an attack; values in channel-height-width order, [0, 1] being black to full. */
export interface Specimen {
  clean: Float32Array;
  /** May leave [0, 1] where the attack does not clip. */
  adversarial: Float32Array;
  /** `[channels, height, width]`, one channel (grey) or three (red, green, blue). */
  shape: readonly [number, number, number];
  /** What it truly shows. */
  label: string;
  predictedClean: Prediction;
  predictedAdversarial: Prediction;
  attack: string;
  model: string;
  /** L2 length of the perturbation. */
  norm: number;
}

/** The three images of a specimen as PNG files, and what must be said beside them. */
export interface SpecimenImages {
  clean: Uint8Array;
  perturbation: Uint8Array;
  adversarial: Uint8Array;
  /** The size to show them at; their own is twice that. */
  width: number;
  height: number;
  /** The largest change of a value, which is where the colours of the perturbation end. */
  extent: number;
  /** The share of adversarial values outside [0, 1], which are drawn as the nearest of the two, and how far they go. */
  outside: { share: number; low: number; high: number };
}

/** Side of an image in the files, before fitting a whole number of its pixels; shown at half of it. */
const SIDE = 224;

/** From blue (less) through white (no change) to red-brown (more): told apart by the colour-blind. */
const LESS = [11, 78, 162];
const MORE = [178, 54, 8];

const byte = (value: number) => Math.round(255 * Math.min(1, Math.max(0, value)));

/** Draws every pixel as a square of `factor` by `factor`, without smoothing. */
function enlarge(
  [, height, width]: Specimen['shape'],
  channels: number,
  factor: number,
  paint: (pixel: number, channel: number) => number,
): Uint8Array {
  const data = new Uint8Array(height * factor * width * factor * channels);
  let at = 0;
  for (let y = 0; y < height * factor; y++) {
    for (let x = 0; x < width * factor; x++) {
      const pixel = Math.floor(y / factor) * width + Math.floor(x / factor);
      for (let channel = 0; channel < channels; channel++) data[at++] = paint(pixel, channel);
    }
  }
  return encode({ width: width * factor, height: height * factor, channels, depth: 8, data });
}

function check({ clean, adversarial, shape, norm }: Specimen): void {
  const sizes: readonly number[] = shape;
  const whole = sizes.length === 3 && sizes.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!whole || (shape[0] !== 1 && shape[0] !== 3)) {
    const message = `specimen: shape: expected [1 or 3, height, width], received [${shape.join(',')}]`;
    throw new SparringError('INVALID_ARGUMENT', message);
  }
  const size = shape[0] * shape[1] * shape[2];
  for (const [name, values] of Object.entries({ clean, adversarial })) {
    if (values.length !== size) {
      const message = `specimen: ${name}: expected ${size} values for [${shape.join(',')}], received ${values.length}`;
      throw new SparringError('SHAPE_MISMATCH', message);
    }
    if (!values.every(Number.isFinite)) {
      throw new SparringError('NOT_FINITE', `specimen: ${name}: expected finite values, received NaN or Infinity`);
    }
  }
  if (!Number.isFinite(norm))
    throw new SparringError('NOT_FINITE', `specimen: norm: expected a length, received ${norm}`);
}

/**
 * Draws a specimen: the clean image, the perturbation, and their sum. Pixels are enlarged by a whole factor without
 * smoothing. The perturbation has its own scale, `extent`: in a grey image blue is darker, white unchanged, red-brown
 * lighter; in a colour image mid-grey is unchanged and each colour tells its own change. Values outside [0, 1] cannot be
 * shown; they are drawn as 0 or 1 and counted in `outside`.
 *
 * @throws SparringError `INVALID_ARGUMENT`, `SHAPE_MISMATCH` or `NOT_FINITE` when the arrays are not such images.
 *
 * @example
 * ```ts
 * import { specimenImages } from 'sparring';
 *
 * const { extent, outside } = specimenImages({
 *   clean: new Float32Array([0, 0.5, 1, 0]),
 *   adversarial: new Float32Array([0.25, 0.5, 1.25, 0]),
 *   shape: [1, 2, 2],
 *   label: '7',
 *   predictedClean: { label: '7', confidence: 0.99 },
 *   predictedAdversarial: { label: '1', confidence: 0.6 },
 *   attack: 'advAlpha',
 *   model: 'normal',
 *   norm: 0.354,
 * });
 * console.log(extent, outside.share, outside.high); // 0.25 0.25 1.25
 * ```
 */
export function specimenImages(specimen: Specimen): SpecimenImages {
  check(specimen);
  const { clean, adversarial, shape } = specimen;
  const [channels, height, width] = shape;
  const area = height * width;
  const factor = Math.max(1, Math.floor(SIDE / Math.max(height, width)));

  let [extent, low, high, outside] = [0, 0, 1, 0];
  adversarial.forEach((value, i) => {
    extent = Math.max(extent, Math.abs(value - clean[i]!));
    low = Math.min(low, value);
    high = Math.max(high, value);
    if (value < 0 || value > 1) outside++;
  });
  /** From -1 to 1; nothing where nothing changed at all. */
  const change = (i: number) => (extent === 0 ? 0 : (adversarial[i]! - clean[i]!) / extent);
  const image = (values: Float32Array) =>
    enlarge(shape, channels, factor, (pixel, channel) => byte(values[channel * area + pixel]!));
  const diverging = (pixel: number, channel: number) => {
    const t = change(pixel);
    return Math.round(255 + Math.abs(t) * ((t < 0 ? LESS : MORE)[channel]! - 255));
  };
  return {
    clean: image(clean),
    perturbation: enlarge(
      shape,
      3,
      factor,
      channels === 1 ? diverging : (pixel, channel) => byte((1 + change(channel * area + pixel)) / 2),
    ),
    adversarial: image(adversarial),
    width: (width * factor) / 2,
    height: (height * factor) / 2,
    extent,
    outside: { share: outside / adversarial.length, low, high },
  };
}
