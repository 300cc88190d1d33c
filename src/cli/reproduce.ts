/** `sparring reproduce` */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkResults, type Checked, type CheckOptions } from '../experiments/check.js';
import { isTable } from '../experiments/profiles.js';
import { experimentNames, profileNames, reproduce } from '../experiments/reproduce.js';
import { list as series, plural } from '../report/format.js';
import type { ResultFile } from '../report/results.js';
import { textTable } from '../report/table.js';
import { defineCommand, type Outcome } from './command.js';
import type { Session } from './session.js';
import { choice, either, flag, folder, option, whole } from './values.js';

/** Makes a row of each table again, and compares. */
async function checked(
  session: Session,
  names: readonly string[],
  options: Pick<CheckOptions, 'profile' | 'out'>,
): Promise<Outcome> {
  const found: Checked[] = [];
  for (const name of names) {
    for await (const event of checkResults(name, { ...options, signal: session.signal })) {
      if (event.type === 'progress') session.progress(event);
      else if (event.type === 'checked') found.push(event);
    }
  }
  const lines = found.map(
    ({ experiment, row, seed, exact, columns }) =>
      `${experiment}: ${row}, seed ${seed}: ${plural(columns.length, 'figure')} came out again, ${exact ? 'to the last digit' : 'to two points (made on another processor)'}\n`,
  );
  return { json: { checked: found }, text: lines.join('') };
}

/** Reproduces the paper's experiments. */
export const reproduceCommand = defineCommand({
  name: 'reproduce',
  summary: "reproduce the paper's experiments",
  description:
    "Reproduces experiments of the paper on the real MNIST: trains the networks, attacks them, and sets our figures beside the paper's. " +
    'Writes a result file for each experiment, plots, and report.html.',
  operand: {
    placeholder: 'experiment',
    description: `${experimentNames.join(', ')} or all`,
    kind: choice([...experimentNames, 'all']),
    several: true,
  },
  options: {
    profile: option(choice(profileNames), `how much is trained: ${either(profileNames)}`, { fallback: 'quick' }),
    seeds: option(whole({ least: 1 }), 'how often everything is repeated, with seeds 0, 1, ...', {
      fallbackText: "the profile's number",
    }),
    out: option(folder, 'where results, networks and the report go', { fallbackText: 'results/<profile>' }),
    resume: flag('take what an earlier run has trained and measured, and go on with what it was training'),
    check: flag('change nothing: train and measure one row of each table anew, and compare with the results in --out'),
  },
  examples: [
    ['sparring reproduce all', 'everything, in the quick profile; the report is results/quick/report.html'],
    [
      'sparring reproduce table1 --seeds 3 --out results/three',
      'Table 1 with three seeds, so that intervals are those of trainings',
    ],
    ['sparring reproduce all --resume', 'goes on after Ctrl-C'],
    ['sparring reproduce table1 --check', 'does Table 1 in results/quick come out again?'],
  ],
  async run(session, { profile, seeds, out = join('results', profile), resume, check }, operands) {
    const names = operands.includes('all') ? [...experimentNames] : [...new Set(operands)];
    if (check) return checked(session, operands.includes('all') ? names.filter(isTable) : names, { profile, out });
    const results: ResultFile[] = [];
    const written: string[] = [];
    session.saved = () => {
      const files = existsSync(join(out, 'networks')) ? readdirSync(join(out, 'networks')) : [];
      const count = (ending: string): number => files.filter((name) => name.endsWith(ending)).length;
      const kept = [
        [results.length, 'result'],
        [count('.safetensors'), 'network'],
        [count('.checkpoint'), 'checkpoint'],
      ] as const;
      const parts = kept.filter(([n]) => n > 0).map(([n, noun]) => plural(n, noun));
      return parts.length === 0
        ? undefined
        : `${out} keeps ${series(parts)}; the same command with --resume goes on from there`;
    };
    const { signal } = session;
    for await (const event of reproduce(names, {
      profile,
      out,
      resume,
      signal,
      ...(seeds !== undefined && { seeds }),
    })) {
      if (event.type === 'progress') session.progress(event);
      else if (event.type === 'note') session.note(event.text);
      else if (event.type === 'result') {
        results.push(event.result);
        written.push(event.path);
        session.note(`${event.experiment}: ${event.path}`);
      } else written.push(...event.files);
    }
    const report = written.find((path) => path.endsWith('.html')) ?? null;
    return {
      json: { results, files: written, report },
      text: `${results.map(textTable).join('\n')}\nreport: ${report}\n`,
    };
  },
});
