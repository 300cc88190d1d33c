/** The program: its commands and what they have in common. */
import type { Command } from 'commander';
import { version } from '../environment.js';
import { oneOf } from '../options.js';
import { attackCommand } from './attack.js';
import { commonOptions, declare, parser } from './command.js';
import { benchCommand } from './bench.js';
import { dataCommand } from './data.js';
import { evaluateCommand } from './evaluate.js';
import { refusal } from './failure.js';
import { infoCommand } from './info.js';
import { reproduceCommand } from './reproduce.js';
import { trainCommand } from './train.js';
import { verifyCommand } from './verify.js';

const commands = [
  reproduceCommand,
  trainCommand,
  attackCommand,
  evaluateCommand,
  verifyCommand,
  dataCommand,
  infoCommand,
  benchCommand,
];

/** `sparring help train`, which many try before `sparring train --help`. */
function helpCommand(owner: Command): Command {
  return parser('help', 'Shows the page of a command.')
    .summary('show the page of a command')
    .argument('[command]')
    .usage('[command]')
    .action((name?: string) => {
      const { commands: known } = owner;
      const wanted = name === undefined ? owner : known.find((command) => command.name() === name);
      if (wanted === undefined)
        throw refusal(
          oneOf(
            name!,
            known.map((command) => command.name()),
          ),
        );
      wanted.outputHelp();
    });
}

/** The program `sparring`. */
export function program(): Command {
  const made = parser(
    'sparring',
    'Trains neural networks against an adversary, attacks them, and measures honestly what they withstand.',
  ).version(version, '--version', 'print the version');
  declare(made, commonOptions);
  for (const command of commands) made.addCommand(command);
  return made
    .helpCommand(false)
    .addCommand(helpCommand(made))
    .addHelpText('after', '\nEach command has a page of its own: sparring train --help');
}
