/**
 * The stable reasons a call can be refused for; a program may branch on them, the message is for people.
 *
 * @public
 */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'SHAPE_MISMATCH'
  | 'DTYPE_MISMATCH'
  | 'OUT_OF_RANGE'
  | 'NOT_FINITE'
  | 'DISPOSED'
  | 'NOT_TRACEABLE'
  | 'TRAINING_MODE'
  | 'BUSY'
  | 'BAD_FILE'
  | 'NOT_FOUND'
  | 'WRITE_FAILED'
  | 'NATIVE_UNAVAILABLE'
  | 'OUT_OF_MEMORY'
  | 'INTERNAL';

/**
 * The one error class of the library. The message names the call, what it expected and what it received.
 *
 * @example
 * ```ts
 * import { matmul, SparringError, tensor } from 'sparring';
 *
 * try {
 *   matmul(tensor([[1, 2]]), tensor([[1, 2]]));
 * } catch (error) {
 *   if (error instanceof SparringError) console.log(error.code); // SHAPE_MISMATCH
 * }
 * ```
 */
export class SparringError extends Error {
  override readonly name = 'SparringError';

  /** The stable reason. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
