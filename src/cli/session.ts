/** One run of a command: what it shows besides its result, and how it is stopped. */
import { Progress, type Update } from './progress.js';

/** A run that did not come to its end. */
export class Unfinished extends Error {
  constructor(
    cause: unknown,
    /** Whether it was stopped from outside. */
    readonly stopped: boolean,
    /** What of it was saved, and how to go on. */
    readonly saved: string | undefined,
    /** What to say when nothing was. */
    readonly unsaved: string,
  ) {
    super('the run did not come to its end', { cause });
  }
}

/** What a command works with. */
export class Session {
  /** Says what is saved at the time, and how to go on, if anything is: for when the work does not come to its end. */
  saved: () => string | undefined = () => undefined;
  /** What is told when it is stopped before anything was saved. */
  unsaved = 'nothing was saved';
  readonly #controller = new AbortController();
  readonly #progress: Progress | undefined;
  readonly #stop = (): void => {
    if (this.signal.aborted) process.exit(130);
    this.#controller.abort();
    this.note('sparring: stopping after the current step; once more stops at once');
  };

  constructor({ quiet }: { quiet: boolean }) {
    if (!quiet) this.#progress = new Progress(process.stderr);
    process.on('SIGINT', this.#stop);
    process.on('SIGTERM', this.#stop);
  }

  /** Aborts at Ctrl-C. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Shows how far the work is. */
  progress(update: Update): void {
    this.#progress?.update(update);
  }

  /** Shows a line that stays. */
  note(text: string): void {
    this.#progress?.note(text);
  }

  /**
   * Runs the work.
   *
   * @throws Unfinished when it fails or is stopped.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const stopped = this.signal.aborted && error === this.signal.reason;
      throw new Unfinished(error, stopped, this.saved(), this.unsaved);
    } finally {
      this.#progress?.end();
      process.off('SIGINT', this.#stop);
      process.off('SIGTERM', this.#stop);
    }
  }
}
