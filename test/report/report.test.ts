import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { decode } from 'fast-png';
import test from 'tape';
import { writeReport } from '../../src/report/report.js';
import { refused } from '../io/refused.js';
import { curve, result, specimen, table } from './sample.js';

test('writeReport: every file, and only those', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'sparring-report-'));
  const dir = join(parent, 'new', 'folder');
  const content = { results: [table(), curve(), result({ experiment: 'empty', rows: [] })], specimens: [specimen()] };
  const files = await writeReport(dir, content);
  const names = [
    'table1.svg',
    'table1.png',
    'figure1.svg',
    'figure1.png',
    'specimens.svg',
    'specimens.png',
    'report.html',
  ];
  t.deepEqual(
    files,
    names.map((name) => join(dir, name)),
  );
  t.deepEqual((await readdir(dir)).sort(), [...names].sort(), 'nothing half-written is left');
  for (const file of files.filter((name) => name.endsWith('.png'))) {
    t.ok(decode(await readFile(file)).width > 200, `${basename(file)} is a picture`);
  }
  const html = await readFile(join(dir, 'report.html'), 'utf8');
  t.ok(html.includes((await readFile(join(dir, 'table1.svg'), 'utf8')).slice(0, 2000)), 'the page holds the drawing');
  t.equal(html.match(/<svg/g)?.length, 2);

  const before = await Promise.all(files.map((file) => readFile(file)));
  await writeReport(dir, content);
  t.deepEqual(await Promise.all(files.map((file) => readFile(file))), before, 'the same bytes again');
  await rm(parent, { recursive: true });
});

test('writeReport: refused before anything is written', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-report-'));
  await refused(
    t,
    () => writeReport(dir, { results: [table(), table()] }),
    'INVALID_ARGUMENT',
    /received two 'table1'/,
  );
  await refused(
    t,
    () => writeReport(dir, { results: [table()], specimens: [specimen({ norm: NaN })] }),
    'NOT_FINITE',
    /norm/,
  );
  t.deepEqual(await readdir(dir), []);
  await writeFile(join(dir, 'file'), '');
  await refused(t, () => writeReport(join(dir, 'file'), { results: [] }), 'WRITE_FAILED', /file/);
  await rm(dir, { recursive: true });
});
