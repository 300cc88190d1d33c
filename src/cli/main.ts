#!/usr/bin/env node
/** Runs the command line. What it needs is loaded inside the try: an engine that is missing is one clear message, too. */
import { writeFailure } from '../io/atomic.js';
import { fail } from './failure.js';

// Whoever reads the result may stop reading (`| head`): then there is nothing left to do, and nothing to complain of.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : fail(writeFailure('standard output', error)));
});
// Progress that nobody reads is no reason to stop.
process.stderr.on('error', () => undefined);

try {
  const { program } = await import('./program.js');
  await program().parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
