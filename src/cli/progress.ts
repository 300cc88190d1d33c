/**
 * Progress on a stream: on a terminal one line, redrawn at most ten times a second; elsewhere, so that a log stays
 * readable, a plain line every few seconds and at the end of a phase.
 */
import { cut } from '../report/format.js';

/** How far the work is. */
export interface Update {
  /** What is being done: a phase. */
  what: string;
  /** Units of work done, of the total. */
  done: number;
  total: number;
  /** Where in the phase it is. */
  detail: string;
}

/** Where progress is written. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean;
  write(text: string): unknown;
}

/** The pace of work: a mean over the last quarter of a minute or so. */
export class Pace {
  #sum = 0;
  #weight = 0;
  #last: { seconds: number; done: number } | undefined;

  /** Takes note of how much is done at a time, in seconds. */
  add(seconds: number, done: number): void {
    if (this.#last === undefined || done < this.#last.done) {
      // Where counting begins says nothing about the pace: an earlier run may have done that much.
      [this.#sum, this.#weight, this.#last] = [0, 0, { seconds, done }];
      return;
    }
    const passed = seconds - this.#last.seconds;
    if (passed < 0.1) return;
    const rate = (done - this.#last.done) / passed;
    const known = this.#sum / this.#weight;
    const kept = Math.exp(-passed / 15);
    // Work that an earlier run has done comes all at once, and must not pass for speed.
    this.#sum = kept * this.#sum + (1 - kept) * (known > 0 ? Math.min(rate, 5 * known) : rate);
    this.#weight = kept * this.#weight + (1 - kept);
    this.#last = { seconds, done };
  }

  /** Seconds until the total is done; undefined while nobody can know. */
  left(total: number): number | undefined {
    const rate = this.#sum / this.#weight;
    return this.#last !== undefined && rate > 0 && this.#weight > 0.05
      ? Math.max(0, total - this.#last.done) / rate
      : undefined;
  }
}

/** A time as people read it: 42 s, 3:05, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const leftText = (left: number | undefined): string => (left === undefined ? '' : `${clock(left)} left`);
const percentText = ({ done, total }: Update): string => `${Math.floor((100 * done) / total)} %`;

/** The line of a terminal of so many columns, never wider; fields that change have fixed places, so that nothing jumps. */
export function terminalLine(update: Update, left: number | undefined, columns: number, colour = false): string {
  const width = Math.min(24, Math.floor(columns / 4));
  const full = Math.round((width * Math.min(update.done, update.total)) / update.total);
  const text = `${percentText(update).padStart(6)}  ${leftText(left).padEnd(12)}  ${update.what}  ${update.detail}`;
  const bar = colour
    ? `\x1b[36m${'█'.repeat(full)}\x1b[90m${'░'.repeat(width - full)}\x1b[39m`
    : '█'.repeat(full) + '░'.repeat(width - full);
  // A character in the last column would make some terminals begin a new line.
  return bar + cut(text, columns - width - 1);
}

/** The line of a log. */
export function plainLine(update: Update, left: number | undefined): string {
  const where = [percentText(update), leftText(left)].filter(Boolean).join(', ');
  return `${update.what}: ${update.detail} (${where})`;
}

const HIDE = '\x1b[?25l';
const SHOW = '\x1b[?25h';
const ERASE = '\r\x1b[K';

/** Shows how far the work is. */
export class Progress {
  readonly #live: boolean;
  readonly #restore = (): void => void this.stream.write(ERASE + SHOW);
  #pace = new Pace();
  #current: Update | undefined;
  #shown = true;
  #shownAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #drawn = false;

  constructor(
    private readonly stream: ProgressStream,
    private readonly milliseconds: () => number = () => performance.now(),
  ) {
    this.#live = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  }

  /** The work has come so far. */
  update(next: Update): void {
    if (!this.#live && !this.#shown && this.#current?.what !== next.what) this.#show();
    this.#current = next;
    this.#shown = false;
    this.#pace.add(this.milliseconds() / 1000, next.done);
    const due = this.#shownAt + (this.#live ? 100 : 5000) - this.milliseconds();
    if (due <= 0) this.#show();
    else this.#timer ??= setTimeout(() => this.#show(), due).unref();
  }

  /** Writes a line that stays, above the progress. */
  note(text: string): void {
    this.#erase();
    this.stream.write(`${text}\n`);
    if (this.#live && this.#current !== undefined) this.#show();
    // In a log one line is as good a sign of life as another.
    else this.#shown = true;
  }

  /** Ends the progress: nothing of it stays on a terminal. */
  end(): void {
    if (!this.#live && !this.#shown) this.#show();
    clearTimeout(this.#timer);
    process.off('exit', this.#restore);
    if (this.#drawn) this.#restore();
    [this.#current, this.#shown, this.#drawn] = [undefined, true, false];
  }

  #erase(): void {
    if (this.#drawn) this.stream.write(ERASE);
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const current = this.#current!;
    const left = this.#pace.left(current.total);
    if (!this.#live) this.stream.write(`${plainLine(current, left)}\n`);
    else {
      if (!this.#drawn) {
        process.once('exit', this.#restore);
        this.stream.write(HIDE);
        this.#drawn = true;
      }
      const colour = this.stream.hasColors?.() === true;
      this.stream.write(`${ERASE}${terminalLine(current, left, this.stream.columns || 80, colour)}`);
    }
    this.#shown = true;
    this.#shownAt = this.milliseconds();
  }
}
