/** What went wrong, in one message of one style, and the exit code for it. */
import { CommanderError, type Command } from 'commander';
import { SparringError } from '../errors.js';
import { nearest, oneOf } from '../options.js';
import { Unfinished } from './session.js';

/** The refusal of a command line. */
export const refusal = (message: string): SparringError => new SparringError('INVALID_ARGUMENT', message);

const optionNames = (command: Command): string[] => [
  ...command.options.flatMap(({ long, hidden }) => (long === undefined || hidden ? [] : [long])),
  ...(command.parent === null ? ['--help'] : optionNames(command.parent)),
];

const quoted = (message: string): string => /'(.*?)'/.exec(message)?.[1] ?? '';

const wordings: Record<string, (command: Command, subject: string) => string> = {
  'commander.unknownCommand': ({ commands }, name) =>
    oneOf(
      name,
      commands.map((each) => each.name()),
    ),
  'commander.unknownOption': (command, flag) => {
    const meant = nearest(flag, optionNames(command));
    return `unknown option '${flag}' (${meant === undefined ? `see ${path(command)} --help` : `did you mean '${meant}'?`})`;
  },
  'commander.optionMissingArgument': (_, flags) => `${flags.replace(' ', ': expected ')}, received nothing`,
  'commander.missingArgument': (_, name) => `expected <${name}>, received nothing`,
  'commander.excessArguments': ({ args, registeredArguments }) =>
    `unexpected argument '${args[registeredArguments.length]}'`,
};

const path = (command: Command): string =>
  command.parent === null ? command.name() : `${path(command.parent)} ${command.name()}`;

/** The refusal of a command line that the parser could not read; what it only throws to end after a help text stays as it is. */
export function unreadable(command: Command, error: CommanderError): Error {
  const wording = wordings[error.code];
  return wording === undefined ? error : refusal(wording(command, quoted(error.message)));
}

/** Says on stderr what went wrong; the exit code. */
export function fail(error: unknown): number {
  const say = (message: string): void => {
    console.error(message.replace(/^(sparring: )?/, 'sparring: '));
  };
  // The parser has shown a help text or the version; only help that was not asked for is a failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Unfinished) {
    if (error.stopped) say(`stopped; ${error.saved ?? error.unsaved}`);
    const code = error.stopped ? 130 : fail(error.cause);
    if (!error.stopped && error.saved !== undefined) say(error.saved);
    return code;
  }
  const known = error instanceof SparringError;
  say(known ? error.message : `unexpected ${String(error)} (SPARRING_DEBUG=1 shows where)`);
  if (process.env['SPARRING_DEBUG'] === '1') console.error(error);
  return known && error.code === 'INVALID_ARGUMENT' ? 2 : 1;
}
