/** What the words of a command line are read as. Messages are `expected X, received Y`; the option's name goes before. */
import { oneOf } from '../options.js';

/** Names in a sentence: a, b or c. */
export const either = (names: readonly string[]): string =>
  [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' or ');

/** A kind of value. */
export interface Kind<T> {
  /** What stands for it in help texts and messages. */
  readonly placeholder: string;
  /** Whether it takes several words. */
  readonly several?: boolean;
  /** Reads a word; of several, after those before it. */
  read(text: string, before?: T): T;
  /** Refuses a value that is read in full. */
  check?(value: T): void;
}

/** A fault of a value, to be reported under the name of its option. */
export class Fault extends Error {}

const refuse = (expected: string, received: string): never => {
  throw new Fault(`expected ${expected}, received '${received}'`);
};

/** What a number may be: `least` to `most`, and less than `below`. */
export interface Bounds {
  least?: number;
  most?: number;
  below?: number;
}

/** A number: decimal, perhaps with an exponent. */
export function real(bounds: Bounds = {}): Kind<number> {
  return number('a number', Number.isFinite, bounds);
}

/** A whole number. */
export function whole(bounds: Bounds = {}): Kind<number> {
  return { ...number('a whole number', Number.isSafeInteger, bounds), placeholder: 'n' };
}

function number(
  noun: string,
  suits: (value: number) => boolean,
  { least = -Infinity, most = Infinity, below = Infinity }: Bounds,
): Kind<number> {
  const limits = [
    ...(least > -Infinity ? [`at least ${least}`] : []),
    ...(most < Infinity ? [`at most ${most}`] : []),
    ...(below < Infinity ? [`below ${below}`] : []),
  ].join(' and ');
  return {
    placeholder: 'number',
    read(text) {
      const value = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN;
      const valid = suits(value) && value >= least && value <= most && value < below;
      return valid ? value : refuse(limits === '' ? noun : `${noun} of ${limits}`, text);
    },
  };
}

/** One of some names. */
export function choice<const T extends string>(names: readonly T[]): Kind<T> {
  return {
    placeholder: 'name',
    read(text) {
      if (!names.includes(text as T)) throw new Fault(oneOf(text, names));
      return text as T;
    },
  };
}

const nonEmpty = (placeholder: string): Kind<string> => ({
  placeholder,
  read: (text) => text || refuse(`a ${placeholder}`, text),
});

/** Yes or no. */
export const truth: Kind<boolean> = {
  placeholder: 'yes|no',
  read: (text) => (text === 'yes' || text === 'no' ? text === 'yes' : refuse('yes or no', text)),
};

/** A word. */
export const text = nonEmpty('name');

/** The path of a file. */
export const file = nonEmpty('file');

/** The path of a folder. */
export const folder = nonEmpty('folder');

/** Several values, apart or with commas between them. */
export function list<T>(kind: Kind<T>): Kind<T[]> {
  return {
    placeholder: `${kind.placeholder}...`,
    several: true,
    read: (text, before = []) => [...before, ...text.split(',').map((part) => kind.read(part))],
  };
}

/** Two numbers, the lower one first. */
export const range: Kind<number[]> = {
  ...list(real()),
  placeholder: 'low high',
  check(value) {
    const [low, high] = value;
    if (value.length !== 2 || !(low! < high!)) refuse('two numbers, the lower one first', value.join(' '));
  },
};

/** An option of a command: what it takes, what it is for, and what holds without it. */
export interface Setting<T> {
  /** None for a switch. */
  readonly kind?: Kind<unknown>;
  readonly description: string;
  readonly fallback?: T;
  /** What help texts call the fallback, where it is not one value. */
  readonly fallbackText?: string;
  readonly required?: boolean;
  /** The values of another option that it goes with; with the others it would do nothing, and is refused. */
  readonly only?: { readonly option: string; readonly values: readonly string[] };
}

type More<T> = Pick<Setting<T>, 'fallback' | 'fallbackText' | 'required' | 'only'>;

type Always<T> = { fallback: T } | { required: true };

/** An option that takes a value: always there when it has a fallback or is required. */
export function option<T>(kind: Kind<T>, description: string, more: NoInfer<More<T> & Always<T>>): Setting<T>;
export function option<T>(kind: Kind<T>, description: string, more?: NoInfer<More<T>>): Setting<T | undefined>;
export function option<T>(kind: Kind<T>, description: string, more: More<T> = {}): Setting<T> {
  return { kind, description, ...more };
}

/** An option without a value. */
export const flag = (description: string, only?: Setting<boolean>['only']): Setting<boolean> => ({
  description,
  fallback: false,
  ...(only && { only }),
});
