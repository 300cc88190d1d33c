import test from 'tape';
import { clock, Pace, plainLine, Progress, terminalLine, type ProgressStream } from '../../src/cli/progress.js';

const update = (done: number, what = 'mlp lwa') => ({ what, done, total: 1000, detail: 'epoch 3/12, loss 0.123' });

/** A stream that keeps what is written, and a clock that is set by hand. */
function stage(stream: Partial<ProgressStream>): {
  written: string[];
  progress: Progress;
  at: (milliseconds: number) => void;
} {
  const written: string[] = [];
  let now = 0;
  const progress = new Progress({ ...stream, write: (text) => written.push(text) }, () => now);
  return { written, progress, at: (milliseconds) => void (now = milliseconds) };
}

// eslint-disable-next-line no-control-regex -- what a terminal does not print
const visible = (text: string): string => text.replace(/\x1b\[[\d?]*[a-zA-Z]|\r/g, '');

test('a line is never wider than the terminal, and what changes stays in its place', (t) => {
  for (let columns = 2; columns <= 130; columns++) {
    const lines = [0, 42, 1000].map((done) => terminalLine(update(done), 75, columns));
    const widest = Math.max(...lines.map((line) => Array.from(line).length));
    if (widest >= columns) t.fail(`${widest} of ${columns} columns`);
  }
  const [early, late] = [terminalLine(update(9), 3600, 100), terminalLine(update(999), 5, 100)];
  t.equal(early.indexOf('mlp lwa'), late.indexOf('mlp lwa'));
  t.equal(late, '████████████████████████  99 %  5 s left      mlp lwa  epoch 3/12, loss 0.123');
  t.equal(visible(terminalLine(update(999), 5, 100, true)), late, 'colour changes no character');
  t.equal(plainLine(update(420), 65), 'mlp lwa: epoch 3/12, loss 0.123 (42 %, 1:05 left)');
  t.deepEqual([0, 0.2, 59.5, 3599, 3600].map(clock), ['0 s', '1 s', '1:00', '59:59', '1:00:00']);
  t.end();
});

test('the pace: smoothed, and not fooled by work that an earlier run has done', (t) => {
  const pace = new Pace();
  t.equal(pace.left(1000), undefined, 'nobody can know yet');
  pace.add(0, 300);
  t.equal(pace.left(1000), undefined, 'where it begins tells nothing');
  for (let second = 1; second <= 30; second++) pace.add(second, 300 + 10 * second);
  t.ok(Math.abs(pace.left(1000)! - 40) < 0.1, '400 to go at 10 a second');
  pace.add(31, 610);
  pace.add(31.2, 900);
  t.ok(pace.left(1000)! > 8 && pace.left(1000)! < 11, `a jump is no speed: ${pace.left(1000)}`);
  pace.add(40, 0);
  pace.add(41, 10);
  t.ok(Math.abs(pace.left(1000)! - 99) < 0.1, 'another count begins anew');
  t.end();
});

test('on a terminal: one line, ten times a second at most, and the cursor comes back', (t) => {
  const listeners = process.listenerCount('exit');
  const { written, progress, at } = stage({ isTTY: true, columns: 60 });
  for (let step = 0; step < 100; step++) {
    at(step * 10);
    progress.update(update(step));
  }
  t.equal(written.filter((text) => text.includes('epoch')).length, 10, 'in a second of 100 updates');
  t.equal(written[0], '\x1b[?25l', 'the cursor is hidden');
  t.ok(
    written.slice(1).every((text) => text.startsWith('\r\x1b[K') && !text.includes('\n')),
    'each line erases the one before',
  );
  t.ok(written.slice(1).every((text) => visible(text).length < 60));
  t.notOk(
    written.some((text) => text.includes('\x1b[3')),
    'no colour where the stream has none',
  );
  written.length = 0;
  progress.note('table1: results/table1.json');
  t.deepEqual(written.slice(0, 2), ['\r\x1b[K', 'table1: results/table1.json\n'], 'a note takes the place of the line');
  t.match(visible(written[2]!), /epoch/, 'which is drawn again below');
  written.length = 0;
  progress.end();
  t.deepEqual(written, ['\r\x1b[K\x1b[?25h']);
  t.equal(process.listenerCount('exit'), listeners);

  const coloured = stage({ isTTY: true, columns: 60, hasColors: () => true });
  coloured.progress.update(update(1));
  t.ok(coloured.written[1]!.includes('\x1b[36m'));
  coloured.progress.end();
  t.end();
});

test('elsewhere: a line every few seconds and at the end of a phase', (t) => {
  const { written, progress, at } = stage({});
  for (let step = 0; step <= 120; step++) {
    at(step * 100);
    progress.update(update(step, step < 70 ? 'first' : 'second'));
  }
  progress.end();
  t.deepEqual(
    written.map((text) => text.replace(/:.*\((\d+) %.*\n/, ' $1')),
    ['first 0', 'first 5', 'first 6', 'second 12'],
    'at the start, after 5 s, at the end of the first, and 5 s later',
  );
  const noted = stage({});
  noted.progress.update(update(1));
  noted.progress.update(update(2));
  noted.progress.note('epoch 1');
  noted.progress.end();
  t.deepEqual(noted.written.slice(1), ['epoch 1\n'], 'a note is a sign of life as well');
  t.end();
});
