/** Runs the command line: as a process of its own, or, where only a refusal is asked for, in this one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fail } from '../../src/cli/failure.js';
import { program } from '../../src/cli/program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The words that start the command line. */
export const command = [process.execPath, '--import', 'tsx', 'src/cli/main.ts'];

/** How a process ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts a process; `heard` is called with all of stderr so far whenever there is more. */
export function start(
  words: readonly string[],
  { env, heard }: { env?: NodeJS.ProcessEnv; heard?: (stderr: string, child: ChildProcess) => void } = {},
): Promise<Ended> {
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: { ...process.env, ...env },
  });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
    heard?.(ended.stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ ...ended, code });
    });
  });
}

/** Runs `sparring` with some words. */
export const sparring = (words: string, options?: Parameters<typeof start>[1]): Promise<Ended> =>
  start([...command, ...words.split(' ')], options);

/** What is said when a command line is refused, and the exit code. */
export async function refusal(words: readonly string[]): Promise<{ code: number; message: string }> {
  const said: unknown[] = [];
  const { error: original } = console;
  console.error = (message: unknown) => said.push(message);
  try {
    await program().parseAsync(words, { from: 'user' });
    return { code: 0, message: '' };
  } catch (error) {
    return { code: fail(error), message: said.join('\n') };
  } finally {
    console.error = original;
  }
}
