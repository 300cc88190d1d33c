import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import test from 'tape';
import { inflated, readBytes } from '../../src/io/read.js';
import { SparringError } from '../../src/errors.js';
import { damaged } from './damage.js';
import { refused } from './refused.js';

test('readBytes: a missing file and one that cannot be read', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-read-'));
  await writeFile(join(dir, 'a'), 'abc');
  t.deepEqual([...(await readBytes(join(dir, 'a')))], [97, 98, 99]);
  await refused(t, () => readBytes(join(dir, 'b')), 'NOT_FOUND', /b: no such file/);
  await refused(t, () => readBytes(dir), 'BAD_FILE', /cannot be read \(EISDIR\)/);
  await refused(t, () => readBytes('/dev/zero'), 'BAD_FILE', /expected a file, received a device/);
  await rm(dir, { recursive: true });
});

test('inflated: the contents decide', async (t) => {
  const plain = Buffer.from('plain');
  t.equal(await inflated(plain, 'a.gz'), plain);
  t.equal(Buffer.from(await inflated(gzipSync(plain), 'a')).toString(), 'plain');
  const bad = (bytes: Uint8Array, says: RegExp) => refused(t, () => inflated(bytes, 'a.gz'), 'BAD_FILE', says);
  const whole = gzipSync(plain);
  await bad(
    whole.subarray(0, -3),
    /^a\.gz: expected a whole gzip stream, received 22 bytes \(unexpected end of file\)/,
  );
  await bad(Buffer.concat([whole, Buffer.from('more')]), /incorrect header check/);
  const flipped = Buffer.from(whole);
  flipped[flipped.length - 6]! ^= 1;
  await bad(flipped, /incorrect data check/);
});

test('inflated: what expands beyond the limit is refused', async (t) => {
  const bomb = gzipSync(new Uint8Array(1_000_000));
  t.equal((await inflated(bomb, 'bomb.gz')).length, 1_000_000);
  await refused(t, () => inflated(bomb, 'bomb.gz', 999_999), 'BAD_FILE', /expands to more than 999999 bytes/);
});

test('inflated: no damage to a file does more than refuse it', async (t) => {
  const file = gzipSync(Buffer.from('some text, some more text, and more text still'));
  await fc.assert(
    fc.asyncProperty(damaged(file, file.length), async (bytes) => {
      try {
        await inflated(bytes, 'x');
      } catch (error) {
        if (!(error instanceof SparringError) || error.code !== 'BAD_FILE') throw error;
      }
    }),
    { numRuns: 300 },
  );
  t.pass('survived');
});
