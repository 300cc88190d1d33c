/** What refuses, and how: code and text of the error that a call ends with. */
import type { Test } from 'tape';
import { SparringError, type ErrorCode } from '../../src/index.js';

/** Holds that a call is refused with a code and with a message that says all of this. */
export async function refused(
  t: Test,
  what: string,
  call: () => unknown,
  code: ErrorCode,
  ...said: string[]
): Promise<void> {
  let error: unknown;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  if (!(error instanceof SparringError)) {
    t.fail(`${what}: expected a SparringError, received ${String(error)}`);
    return;
  }
  const unsaid = said.filter((part) => !error.message.includes(part));
  t.ok(
    error.code === code && unsaid.length === 0,
    `${what}: ${error.code} ${error.message}${unsaid.length > 0 ? ` (does not say ${unsaid.join(', ')})` : ''}`,
  );
}
