import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { SparringError } from '../errors.js';

/** A drawing, of one experiment for one. */
export interface Picture {
  /** The experiment; names the files. */
  name: string;
  title: string;
  /** What is seen, for those who cannot see it. */
  description: string;
  svg: string;
}

/** Pictures are drawn at twice their size, so that they are crisp on any screen. */
const ZOOM = 2;

/** resvg drops all text in silence when it has no font, so the fonts are named, and their absence is an error. */
function fontFiles(): string[] {
  const { resolve } = createRequire(import.meta.url);
  return ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) => {
    const path = resolve(`dejavu-fonts-ttf/ttf/${name}`);
    if (!existsSync(path)) throw new SparringError('NOT_FOUND', `toPng: expected the font ${path}, found none`);
    return path;
  });
}

/**
 * Draws an SVG picture as PNG, at twice its size, with the fonts that come with the package whatever the machine has.
 *
 * @throws SparringError `INVALID_ARGUMENT` when it is no SVG, `NOT_FOUND` when the fonts are not installed.
 *
 * @example
 * ```ts
 * import { toPng } from 'sparring';
 *
 * const png = await toPng('<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"><text y="15">LWA</text></svg>');
 * console.log(png.subarray(1, 4).toString()); // 80,78,71: PNG
 * ```
 */
export async function toPng(svg: string): Promise<Uint8Array> {
  const { renderAsync } = await import('@resvg/resvg-js');
  const font = {
    loadSystemFonts: false,
    fontFiles: fontFiles(),
    defaultFontFamily: 'DejaVu Sans',
    sansSerifFamily: 'DejaVu Sans',
  };
  try {
    const image = await renderAsync(svg, { font, fitTo: { mode: 'zoom', value: ZOOM } });
    return Uint8Array.from(image.asPng());
  } catch (cause) {
    throw new SparringError('INVALID_ARGUMENT', `toPng: expected an SVG picture: ${(cause as Error).message}`, {
      cause,
    });
  }
}
