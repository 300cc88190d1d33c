import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root, work } from './paths.mjs';

/** What a person can do something about; printed without a stack. */
export class StepFailed extends Error {}

const shownLines = 80;

/** Runs a tool in the project, says how long it took, and shows what it printed only if it failed. */
export async function run(label, command, args, env = {}) {
  mkdirSync(work, { recursive: true });
  const logFile = join(work, `${/^[\w ]+\w/.exec(label)[0].replaceAll(' ', '-').toLowerCase()}.log`);
  const shownName = relative(root, logFile);
  const log = openSync(logFile, 'w');
  const start = performance.now();
  process.stderr.write(`sparring: ${label} ... `);

  const failure = await new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
    const stop = () => child.kill();
    process.once('exit', stop);
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      process.removeListener('exit', stop);
      resolve(code === 0 ? undefined : `${command} ended with ${signal ?? `code ${code}`}`);
    });
  });
  closeSync(log);

  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stderr.write(failure ? `failed after ${seconds} s\n` : `${seconds} s\n`);
  if (failure) {
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
    const shown = lines.slice(-shownLines).join('\n');
    throw new StepFailed(`${shown}\n\nsparring: ${label}: ${failure}; all it printed is in ${shownName}`);
  }
}
