import type { Figure } from './results.js';

const MINUS = '−';

/** A number with a true minus sign; `-0.0` is `0.0`. */
export const fixed = (value: number, decimals: number) => {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) > 0 ? `${MINUS}${text}` : text;
};

/**
 * A proportion in per cent, without the sign: `88.2`. What is not quite 0 or 1 never reads as 0 or 100: `<0.1`, `>99.9`.
 */
export function percent(proportion: number, decimals: number): string {
  const value = proportion * 100;
  const text = fixed(value, decimals);
  const step = 10 ** -decimals;
  if (value > 0 && Number(text) === 0) return `<${step.toFixed(decimals)}`;
  if (value < 100 && Number(text) === 100) return `>${(100 - step).toFixed(decimals)}`;
  return text;
}

/** The farther end of the interval from the mean, so that `mean ± reach` covers the interval even when it is lopsided. */
const reach = ({ mean, low, high }: Figure) => Math.max(mean - low, high - mean);

/** Whether there is an interval to show; one measurement alone has none. */
export const hasInterval = (figure: Figure) => figure.n > 1 || figure.high > figure.low;

/** An accuracy in per cent, without the sign: `88.2 ± 0.6`. */
export const accuracy = (figure: Figure, decimals: number) =>
  `${percent(figure.mean, decimals)}${hasInterval(figure) ? ` ± ${percent(reach(figure), decimals)}` : ''}`;

/** Per cent points, with a sign: `+2.5`. */
export function points(difference: number, decimals: number): string {
  const text = fixed(difference * 100, decimals);
  return difference > 0 && Number(text) > 0 ? `+${text}` : text;
}

/** Any number in three significant digits. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (magnitude < 1e-3 || magnitude >= 1e6) return value.toExponential(2).replaceAll('-', MINUS);
  return (magnitude < 999.5 ? value.toPrecision(3) : value.toFixed(0)).replace('-', MINUS);
}

/** A setting as people would write it: `0.3`, whatever arithmetic made of it. */
export const plainNumber = (value: number) => String(Number(value.toPrecision(6)));

const UNITS = [
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [0, 'µs'],
] as const;

/** A time in the unit that suits it: `4.20 min`. */
export function duration(seconds: number): string {
  const [size, unit] = UNITS.find(([least]) => Math.abs(seconds) >= least)!;
  return `${significant(seconds / (size || 1e-6))} ${unit}`;
}

/** A quantity of any kind: `4.31 ± 0.02`, the interval in the decimals of the mean. */
export function quantity(figure: Figure): string {
  const mean = significant(figure.mean);
  if (!hasInterval(figure)) return mean;
  const decimals = /^[−\d]*\.(\d+)$/.exec(mean)?.[1]?.length;
  const spread = reach(figure);
  if (decimals === undefined) return `${mean} ± ${significant(spread)}`;
  const text = fixed(spread, decimals);
  return `${mean} ± ${spread > 0 && Number(text) === 0 ? `<${(10 ** -decimals).toFixed(decimals)}` : text}`;
}

/** The exact interval in words, for a tooltip. */
export const interval = (figure: Figure, form: (value: number) => string) =>
  hasInterval(figure)
    ? `95 % interval ${form(figure.low)} to ${form(figure.high)}, n = ${figure.n}`
    : `one measurement, no interval`;

/** `1 seed`, `3 seeds`. */
export const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** `a`, `a and b`, `a, b and c`. */
export const list = (items: readonly string[]) =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;

/** How many characters a text has. */
export const lengthOfText = (text: string) => Array.from(text).length;

/** A text of at most so many characters, its end replaced by an ellipsis. */
export const cut = (text: string, most: number) =>
  lengthOfText(text) <= most
    ? text
    : `${Array.from(text)
        .slice(0, Math.max(0, most - 1))
        .join('')
        .trimEnd()}…`;
