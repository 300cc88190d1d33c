import type { Test } from 'tape';
import { SparringError, type ErrorCode } from '../../src/errors.js';

/** That a call fails with this code and a message that says this much. */
export async function refused(
  t: Test,
  call: () => unknown,
  code: ErrorCode,
  says: RegExp,
  message = `refused: ${says.source}`,
): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof SparringError)) throw error;
    t.equal(error.code, code, message);
    t.match(error.message, says, message);
    return;
  }
  t.fail(`${message}: was not refused`);
}

/** What a decoder makes of bytes: true when it read or refused them as it should, and anything else is thrown. */
export function survives(decode: () => unknown): boolean {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof SparringError) || error.code !== 'BAD_FILE') throw error;
  }
  return true;
}
