import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import test from 'tape';
import { decodeIdx, readIdx } from '../../src/data/idx.js';
import { damaged } from '../io/damage.js';
import { refused, survives } from '../io/refused.js';
import { idx } from './files.js';

test('decodeIdx: each type, big-endian', (t) => {
  const raw = (type: number, ...bytes: number[]) => decodeIdx(idx([2], Uint8Array.from(bytes), type), 'x').data;
  t.deepEqual(raw(0x08, 0, 255), new Uint8Array([0, 255]));
  t.deepEqual(raw(0x09, 0, 255), new Int8Array([0, -1]));
  t.deepEqual(raw(0x0b, 1, 2, 255, 254), new Int16Array([258, -2]));
  t.deepEqual(raw(0x0c, 0, 0, 1, 2, 255, 255, 255, 254), new Int32Array([258, -2]));
  t.deepEqual(raw(0x0d, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0), new Float32Array([1, -2]));
  t.deepEqual(raw(0x0e, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0), new Float64Array([1, -2]));
  const images = decodeIdx(idx([2, 1, 3], Uint8Array.of(1, 2, 3, 4, 5, 6)), 'x', { rank: 3 });
  t.deepEqual(images, { shape: [2, 1, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  t.end();
});

test('decodeIdx: a bad file is refused by name', async (t) => {
  const name = 'train-images-idx3-ubyte';
  const bad = (bytes: Uint8Array, says: RegExp, rank?: number) =>
    refused(t, () => decodeIdx(bytes, name, rank === undefined ? {} : { rank }), 'BAD_FILE', new RegExp(`^${name}: ${says.source}`));
  const header = idx([60000, 28, 28], new Uint8Array(0));
  await bad(Buffer.concat([header, new Uint8Array(1218)]), /expected 47040016 bytes for 60000x28x28, received 1234 \(truncated\)$/);
  await bad(idx([2], new Uint8Array(5)), /expected 10 bytes for 2, received 13 \(3 bytes too many\)/);
  await bad(idx([2], new Uint8Array(3), 0x0c), /expected 16 bytes for 2, received 11/);
  await bad(idx([2], new Uint8Array(2)), /expected 3 dimensions, received 1/, 3);
  await bad(header.subarray(0, 15), /expected a header of 16 bytes, received 15 \(truncated\)/);
  await bad(new Uint8Array(0), /expected an IDX file .*, received 0 bytes that begin with nothing/);
  await bad(Uint8Array.of(0, 0, 8), /expected an IDX file .*, received 3 bytes that begin with 000008/);
  await bad(Buffer.from('<!DOCTYPE html>'), /expected an IDX file .* begin with 3c21444f/);
  await bad(Uint8Array.of(0, 1, 8, 1, 0, 0, 0, 0), /expected an IDX file/);
  await bad(Uint8Array.of(0, 0, 7, 1, 0, 0, 0, 0), /expected an IDX file/);
  await bad(Uint8Array.of(0, 0, 8, 0), /expected an IDX file/);
  await bad(idx([2 ** 32 - 1, 2 ** 32 - 1], new Uint8Array(9)), /expected a countable number of elements/);
  await bad(idx([2 ** 31, 2 ** 21], new Uint8Array(9)), /expected 4503599627370508 bytes .* received 21/);
});

test('readIdx: plain or gzip, whatever the name says', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-idx-'));
  const bytes = idx([3], Uint8Array.of(7, 2, 1));
  await writeFile(join(dir, 'packed'), gzipSync(bytes));
  await writeFile(join(dir, 'plain.gz'), bytes);
  await writeFile(join(dir, 'cut.gz'), gzipSync(bytes).subarray(0, 20));
  for (const name of ['packed', 'plain.gz']) t.deepEqual((await readIdx(join(dir, name))).data, Uint8Array.of(7, 2, 1), name);
  await refused(t, () => readIdx(join(dir, 'cut.gz')), 'BAD_FILE', /cut\.gz: expected a whole gzip stream, received 20 bytes/);
  await refused(t, () => readIdx(join(dir, 'packed'), { rank: 3 }), 'BAD_FILE', /packed: expected 3 dimensions/);
  await refused(t, () => readIdx(join(dir, 'none')), 'NOT_FOUND', /none: no such file/);
  await rm(dir, { recursive: true });
});

test('decodeIdx: no damage to a file does more than refuse it', (t) => {
  const file = idx([2, 3, 4], new Uint8Array(24));
  fc.assert(
    fc.property(damaged(file, 16), (bytes) => survives(() => decodeIdx(bytes, 'x', { rank: 3 }))),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(damaged(idx([3], new Uint8Array(24), 0x0e), 8), (bytes) => survives(() => decodeIdx(bytes, 'x'))),
    { numRuns: 3000 },
  );
  t.pass('survived');
  t.end();
});
