import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { readResults, writeResults, type ResultFile } from '../../src/report/results.js';
import { refused } from '../io/refused.js';
import { cost, curve, learning, result, row, table } from './sample.js';

async function inFolder(run: (path: string, dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-results-'));
  await run(join(dir, 'table1.json'), dir);
  await rm(dir, { recursive: true });
}

test('results: what is written is read', async (t) => {
  await inFolder(async (path, dir) => {
    for (const file of [table(), curve(), learning(), cost(), result({ rows: [] })]) {
      await writeResults(path, file);
      t.deepEqual(await readResults(path), file, file.experiment);
    }
    t.deepEqual(await readdir(dir), ['table1.json'], 'nothing else is left');
  });
});

test('results: one spelling whatever the order of the members', async (t) => {
  const turned = <T>(value: T): T =>
    (Array.isArray(value)
      ? value.map(turned)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, member]) => [key, turned(member)]),
          )
        : value) as T;
  await inFolder(async (path) => {
    const file = {
      ...table(),
      rows: [
        ...table().rows,
        row(
          'vat',
          { zeta: 1, alpha: 2 },
          { measures: { b: row('', { b: 1 }).accuracy.b!, a: row('', { a: 1 }).accuracy.a! } },
        ),
      ],
    };
    await writeResults(path, file);
    const first = await readFile(path, 'utf8');
    await writeResults(path, turned(file));
    t.equal(await readFile(path, 'utf8'), first);
    t.ok(first.endsWith('}\n'), 'ends with a newline');
    t.ok(
      first.startsWith('{\n  "format": "sparring-results",\n  "version": 1,\n  "experiment": "table1",'),
      'says first what it is',
    );
    const columns = Object.keys((JSON.parse(first) as ResultFile).rows[0]!.accuracy);
    t.deepEqual(
      columns,
      ['validation', 'test', 'fixed', 'advLossSign', 'advLoss', 'advAlpha'],
      'columns as in the paper',
    );
    t.ok(first.indexOf('"alpha"') < first.indexOf('"zeta"'), 'unknown columns by name');
  });
});

test('readResults: a missing file, another format, a damaged file', async (t) => {
  await inFolder(async (path) => {
    await refused(t, () => readResults(path), 'NOT_FOUND', /table1\.json: no such file/);
    const whole = JSON.stringify(result());
    const cases: [string, RegExp][] = [
      ['', /expected JSON/],
      [whole.slice(0, -5), /expected JSON/],
      ['null', /expected Object/],
      ['[]', /format: expected, but missing/],
      ['{}', /format: expected, but missing/],
      [JSON.stringify({ ...result(), format: 'other' }), /format: expected "sparring-results", received "other"/],
      [JSON.stringify({ ...result(), version: 2 }), /version: expected 1, received 2/],
    ];
    for (const [text, says] of cases) {
      await writeFile(path, text);
      await refused(t, () => readResults(path), 'BAD_FILE', says);
      await refused(t, () => readResults(path), 'BAD_FILE', /table1\.json/);
    }
  });
});

/** Every fault that a file may have and still be JSON. */
const faults: [name: string, file: unknown, says: RegExp][] = [
  ['an unknown member', { ...result(), sedes: [1] }, /sedes: expected no such member/],
  ['a missing member', { ...result(), rows: undefined }, /rows/],
  ['an experiment that is a path', result({ experiment: '../up' }), /experiment: .*names a file/],
  ['an array for a record', result({ settings: [] as never }), /settings: expected an object/],
  [
    'an array for accuracies',
    result({ rows: [{ ...row('lwa', {}), accuracy: [] as never }] }),
    /rows\.0\.accuracy: expected an object/,
  ],
  ['no seeds', result({ seeds: [] }), /seeds: expected at least one seed/],
  ['a seed that is a fraction', result({ seeds: [0.5] }), /seeds\.0/],
  ['an unknown member of a row', result({ rows: [{ ...row('lwa', {}), speed: 1 } as never] }), /rows\.0\.speed/],
  [
    'an accuracy in per cent',
    result({ rows: [row('lwa', {}, { accuracy: { test: { mean: 98, low: 97, high: 99, n: 3 } } })] }),
    /rows\.0\.accuracy\.test\.mean/,
  ],
  [
    'a figure outside its interval',
    result({ rows: [row('lwa', {}, { accuracy: { test: { mean: 0.5, low: 0.6, high: 0.7, n: 3 } } })] }),
    /low <= mean <= high/,
  ],
  [
    'a figure of nothing',
    result({ rows: [row('lwa', {}, { accuracy: { test: { mean: 0.5, low: 0.4, high: 0.7, n: 0 } } })] }),
    /accuracy\.test\.n/,
  ],
  ['a negative length', result({ rows: [row('lwa', {}, { epsilon: -1 })] }), /rows\.0\.epsilon/],
  ['half an epoch', result({ rows: [row('lwa', {}, { epoch: 0.5 })] }), /rows\.0\.epoch/],
  [
    'a negative time',
    result({ rows: [row('lwa', {}, { seconds: { mean: -1, low: -2, high: 0, n: 1 } })] }),
    /rows\.0\.seconds\.mean/,
  ],
  [
    'a published figure in per cent',
    result({ paper: { source: 'a', rows: [{ method: 'lwa', accuracy: { test: 98 } }] } }),
    /paper\.rows\.0\.accuracy\.test/,
  ],
];

test('results: every fault is refused, on reading and on writing', async (t) => {
  await inFolder(async (path, dir) => {
    for (const [name, file, says] of faults) {
      t.comment(name);
      await refused(t, () => writeResults(path, file as ResultFile), 'INVALID_ARGUMENT', says);
      t.deepEqual(await readdir(dir), [], 'nothing is written');
      await writeFile(path, JSON.stringify(file));
      await refused(t, () => readResults(path), 'BAD_FILE', says);
      await rm(path);
    }
  });
});

test('writeResults: what JSON would lose in silence is refused', async (t) => {
  await inFolder(async (path) => {
    for (const value of [NaN, Infinity, 1n, () => 1, new Date(0), new Float32Array(1)]) {
      await refused(
        t,
        () => writeResults(path, result({ settings: { a: [{ b: value }] } })),
        'INVALID_ARGUMENT',
        /settings: expected JSON/,
      );
    }
    await writeResults(path, result({ settings: { a: undefined, b: null, c: [1, 'x', true] } }));
    t.deepEqual((await readResults(path)).settings, { b: null, c: [1, 'x', true] }, 'what is not set is left out');
  });
});
