import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { ensureWritable, writeFailure, writeFileAtomic } from '../../src/io/atomic.js';
import { refused } from './refused.js';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'sparring-atomic-'));

test('writeFileAtomic: text and bytes, new and over old', async (t) => {
  const dir = await folder();
  const path = join(dir, 'a.json');
  await writeFileAtomic(path, 'ε');
  t.equal(await readFile(path, 'utf8'), 'ε');
  await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
  t.deepEqual([...(await readFile(path))], [1, 2, 3]);
  t.deepEqual(await readdir(dir), ['a.json'], 'nothing else is left');
  await rm(dir, { recursive: true });
});

test('writeFileAtomic: a link stays a link', async (t) => {
  const dir = await folder();
  await mkdir(join(dir, 'target'));
  await writeFile(join(dir, 'target', 'a'), 'old');
  await symlink(join('target', 'a'), join(dir, 'link'));
  await writeFileAtomic(join(dir, 'link'), 'new');
  t.equal(await readFile(join(dir, 'target', 'a'), 'utf8'), 'new');
  await writeFile(join(dir, 'target', 'a'), 'newer');
  t.equal(await readFile(join(dir, 'link'), 'utf8'), 'newer');
  await rm(dir, { recursive: true });
});

test('writeFileAtomic: a reader never sees half a file, and writers at once leave one of theirs', async (t) => {
  const dir = await folder();
  const path = join(dir, 'a');
  const contents = (letter: string): string => letter.repeat(1 << 20);
  await writeFileAtomic(path, contents('a'));
  let writing = true;
  const writer = async (letters: string): Promise<void> => {
    for (const letter of letters) await writeFileAtomic(path, contents(letter));
  };
  const reader = async (): Promise<number> => {
    let whole = 0;
    while (writing) {
      const text = await readFile(path, 'utf8');
      if (text !== contents(text[0] ?? '')) throw new Error(`${text.length} characters were read`);
      whole += 1;
    }
    return whole;
  };
  const reads = reader();
  await Promise.all([writer('bcde'), writer('fghi')]);
  writing = false;
  t.ok((await reads) > 0);
  t.ok('ei'.includes((await readFile(path, 'utf8'))[0]!), 'the last of one of the writers');
  t.deepEqual(await readdir(dir), ['a']);
  await rm(dir, { recursive: true });
});

test('writeFileAtomic: a failure names the path, says what to do, and leaves all as it was', async (t) => {
  const dir = await folder();
  await writeFile(join(dir, 'file'), 'old');
  await mkdir(join(dir, 'taken'));
  const bad = (path: string, says: RegExp) =>
    refused(t, () => writeFileAtomic(join(dir, path), 'new'), 'WRITE_FAILED', says);
  await bad('none/a', /none\/a: cannot be written: the folder does not exist; create it first \(ENOENT\)/);
  await bad('file/a', /file\/a: cannot be written: a file stands where a folder is needed.*\(ENOTDIR\)/);
  await bad('taken', /taken: cannot be written: a folder of that name is already there.*\(EISDIR\)/);
  const unwritable = new Proxy(new Uint8Array(1), {});
  await refused(t, () => writeFileAtomic(join(dir, 'file'), unwritable), 'WRITE_FAILED', /file: cannot be written/);
  t.deepEqual((await readdir(dir)).sort(), ['file', 'taken'], 'no temporary file is left');
  t.equal(await readFile(join(dir, 'file'), 'utf8'), 'old');
  await rm(dir, { recursive: true });
});

test('writeFailure: what a disk can say has a remedy', (t) => {
  const failure = (code: string) => writeFailure('out/a', Object.assign(new Error('it failed'), { code }));
  for (const [code, says] of [
    ['ENOSPC', /^out\/a: .*no space is left/],
    ['EDQUOT', /^out\/a: .*quota/],
    ['EROFS', /^out\/a: .*read-only/],
    ['EACCES', /^out\/a: .*permission/],
    ['EPERM', /^out\/a: .*permission/],
    ['EFBIG', /^out\/a: .*larger than.*limit.*\(EFBIG\)/],
    ['ENAMETOOLONG', /^out\/a: .*too long/],
    ['EBUSY', /^out\/a: .*in use/],
    ['ELOOP', /^out\/a: .*circle/],
    ['EMFILE', /^out\/a: .*too many files are open/],
    ['ENFILE', /^out\/a: .*too many files are open/],
    ['EIO', /^out\/a: .*device.*\(EIO\)/],
    ['ENOSYS', /^out\/a: .*it failed \(ENOSYS\)/],
  ] as const) {
    t.equal(failure(code).code, 'WRITE_FAILED');
    t.match(failure(code).message, says);
  }
  t.end();
});

test('ensureWritable: makes the folder and leaves nothing in it', async (t) => {
  const dir = await folder();
  await ensureWritable(join(dir, 'a', 'b'));
  await ensureWritable(join(dir, 'a', 'b'));
  t.deepEqual(await readdir(join(dir, 'a', 'b')), []);
  await writeFile(join(dir, 'file'), '');
  await refused(
    t,
    () => ensureWritable(join(dir, 'file')),
    'WRITE_FAILED',
    /file: cannot be written: a file stands.*\(EEXIST\)/,
  );
  await refused(
    t,
    () => ensureWritable(join(dir, 'file', 'b')),
    'WRITE_FAILED',
    /file\/b: cannot be written: a file stands/,
  );
  await rm(dir, { recursive: true });
});
