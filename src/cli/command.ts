/** What all commands share: how their options are declared, read, explained and checked, and how their result is printed. */
import { Argument, Command, Option } from 'commander';
import { native } from '../native.js';
import { refusal, unreadable } from './failure.js';
import { Session } from './session.js';
import { either, Fault, flag, option, whole, type Kind, type Setting } from './values.js';

/** Options by name: `batchSize` is `--batch-size`. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of options. */
export type Values<S extends Settings> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** What a command gives: for programs, and for people. */
export interface Outcome {
  json: unknown;
  text: string;
}

/** A command. */
export interface Definition<S extends Settings> {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** What it does, for its own page. */
  description: string;
  /** What follows the command's name. */
  operand?: { placeholder: string; description: string; kind: Kind<string>; several?: boolean };
  options: S;
  /** Command lines to learn from, each with what it does. */
  examples: readonly (readonly [line: string, meaning: string])[];
  run: (session: Session, options: Values<S>, operands: string[]) => Promise<Outcome>;
}

/** The options of every command, before or after its name. */
export const commonOptions = {
  json: flag('print the result as one JSON document'),
  quiet: flag('show no progress and no notes'),
  threads: option(whole({ least: 1, most: 1024 }), 'threads to compute with', { fallbackText: 'one for each core' }),
} satisfies Settings;

/** The flag of an option: `batchSize` is `--batch-size`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** An option as it is written: `--batch-size <n>`. */
const wordsOf = (name: string, { kind }: Setting<unknown>): string =>
  flagOf(name) + (kind === undefined ? '' : ` <${kind.placeholder}>`);

function explained({ kind, description, fallback, fallbackText, required, only }: Setting<unknown>): string {
  const text = fallbackText ?? (Array.isArray(fallback) ? fallback.join(',') : String(fallback));
  const asides = [
    ...(only === undefined ? [] : [`with ${flagOf(only.option)} ${either(only.values)}`]),
    ...(required === true ? ['required'] : []),
    ...(kind !== undefined && (fallback ?? fallbackText) !== undefined ? [`default: ${text}`] : []),
  ];
  return asides.length === 0 ? description : `${description} (${asides.join('; ')})`;
}

/** Reports a fault under the name of its option. */
function under<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof Fault ? refusal(`${name}: ${error.message}`) : error;
  }
}

/** Declares options to the parser; defaults are filled in by {@link valuesOf}, which can then tell what was given. */
export function declare(command: Command, settings: Settings): void {
  for (const [name, setting] of Object.entries(settings)) {
    const { kind } = setting;
    const declared = new Option(wordsOf(name, setting), explained(setting));
    if (kind !== undefined) {
      declared.variadic = kind.several === true;
      declared.argParser((text, before: unknown) => under(flagOf(name), () => kind.read(text, before)));
    }
    command.addOption(declared);
  }
}

/** What was given, checked, and what holds where nothing was. */
function valuesOf<S extends Settings>(settings: S, given: Readonly<Record<string, unknown>>): Values<S> {
  const values = Object.fromEntries(
    Object.entries(settings).map(([name, { fallback }]) => [name, given[name] ?? fallback]),
  );
  for (const [name, setting] of Object.entries(settings)) {
    const { kind, only, required } = setting;
    const value = given[name];
    // Not left to the parser, which would tell of what is missing before what is misspelt.
    if (value === undefined && required === true) throw refusal(`expected ${wordsOf(name, setting)}, received nothing`);
    if (value === undefined) continue;
    const other = only && String(values[only.option]);
    if (only !== undefined && !only.values.includes(other!)) {
      const flag = flagOf(only.option);
      throw refusal(
        `${flagOf(name)}: expected with ${flag} ${either(only.values)} only, received with ${flag} ${other}`,
      );
    }
    under(flagOf(name), () => kind?.check?.(value));
  }
  return values as Values<S>;
}

const subcommandTerm = (command: Command): string =>
  `${command.name()} ${command.usage().replace('[options]', '')}`.trim();

/** The parser of a command, or of the program that holds them. */
export function parser(name: string, description: string): Command {
  const command = new Command(name).description(description).helpOption('-h, --help', 'show this page');
  return command
    .showSuggestionAfterError(false)
    .configureHelp({ showGlobalOptions: true, optionDescription: (each) => each.description, subcommandTerm })
    .configureOutput({ outputError: () => undefined })
    .exitOverride((error) => {
      throw unreadable(command, error);
    });
}

/** Makes a command of what it is and does. */
export function defineCommand<S extends Settings>(definition: Definition<S>): Command {
  const { name, summary, description, operand, options: settings, examples, run } = definition;
  const command = parser(name, description).summary(summary);
  if (operand !== undefined) {
    const { placeholder, kind, several = false } = operand;
    const word = `<${placeholder}${several ? '...' : ''}>`;
    const argument = new Argument(word, operand.description);
    argument.argParser((text, before: string[] | undefined) => [
      ...(before ?? []),
      under(placeholder, () => kind.read(text)),
    ]);
    // Options come after it, since one that takes several words would take it as one more.
    command.addArgument(argument).usage(`${word} [options]`);
  }
  declare(command, settings);
  command.addHelpText(
    'after',
    ['', 'Examples:', ...examples.flatMap(([line, meaning]) => [`  ${line}`, `      ${meaning}`])].join('\n'),
  );
  return command.action(async () => {
    const common = valuesOf(commonOptions, command.parent!.opts());
    const options = valuesOf(settings, command.opts());
    if (common.threads !== undefined) native.threads(common.threads);
    const session = new Session(common);
    const operands = (command.processedArgs as [string[]?])[0] ?? [];
    const { json, text } = await session.run(() => run(session, options, operands));
    process.stdout.write(common.json ? `${JSON.stringify(json, null, 2)}\n` : text);
  });
}
