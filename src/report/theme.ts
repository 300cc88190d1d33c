import { cut, lengthOfText } from './format.js';

/**
 * The colours of the lines, in the order of the columns they stand for. No two come closer than a CIELAB distance of 17
 * to an eye without red, green or blue receptors, and all stand out from the page.
 */
export const SERIES = ['#585a5c', '#848598', '#c27e00', '#04a16a', '#b32a09', '#0e47ce', '#c25dc1', '#5a2a8a'] as const;

/** Their stand-ins on a dark page. */
export const SERIES_DARK = [
  '#c6dac4',
  '#8f8fa7',
  '#eec512',
  '#39906e',
  '#ea7323',
  '#6bf2ff',
  '#d999ff',
  '#6e74fd',
] as const;

/** Text, secondary text, lines of the grid, the page; the report swaps these for dark ones where the reader likes it dark. */
export const INK = '#1f2328';
export const MUTED = '#59636e';
export const GRID = '#e3e6ea';
export const PAGE = '#ffffff';

/** Bars for our figures, and the tick for the paper's. */
export const BAR = '#9cc3e6';
export const PAPER = '#c24a00';

/** The one font of every picture: the same everywhere, since it comes with the package. Verdana is as wide. */
export const FONT = 'DejaVu Sans, Verdana, sans-serif';

/** About how wide a text is in that font, for layout. */
export const textWidth = (text: string, size: number) => lengthOfText(text) * size * 0.62;

/** A text cut to fit a width. */
export const fit = (text: string, width: number, size: number) =>
  cut(text, Math.max(1, Math.floor(width / textWidth('x', size))));
