import fc from 'fast-check';
import test from 'tape';
import { cifarClassNames, decodeCifar, decodeCifarNames } from '../../src/data/cifar.js';
import { untar } from '../../src/data/tar.js';
import { damaged } from '../io/damage.js';
import { refused, survives } from '../io/refused.js';
import { tarHeader, tarMember } from './files.js';

/** So many records: the label is the row, the pixels are the row plus their channel. */
function batch(images: number): Uint8Array {
  const bytes = new Uint8Array(images * 3073);
  for (let row = 0; row < images; row++) {
    bytes[row * 3073] = row;
    for (let i = 0; i < 3072; i++) bytes[row * 3073 + 1 + i] = 10 * row + Math.floor(i / 1024);
  }
  return bytes;
}

test('decodeCifar: labels and channels', (t) => {
  const { inputs, labels } = decodeCifar(
    [
      { path: 'a', bytes: batch(3) },
      { path: 'b', bytes: batch(3) },
    ],
    { images: 3 },
  );
  t.deepEqual(labels, Uint8Array.of(0, 1, 2, 0, 1, 2));
  t.equal(inputs.length, 6 * 3072);
  t.deepEqual(
    [0, 1023, 1024, 3071, 3072, 6144 + 2048, 15360 + 1024].map((i) => inputs[i]),
    [0, 0, 1, 2, 10, 22, 21],
  );
  t.end();
});

test('decodeCifar: a bad file is refused by name', async (t) => {
  const path = 'data_batch_1.bin';
  const bad = (bytes: Uint8Array, says: RegExp) =>
    refused(t, () => decodeCifar([{ path, bytes }], { images: 2 }), 'BAD_FILE', says);
  await refused(
    t,
    () => decodeCifar([{ path, bytes: batch(2) }]),
    'BAD_FILE',
    /^data_batch_1\.bin: expected 30730000 bytes for 10000 images of 3073, received 6146 \(truncated\)/,
  );
  await bad(batch(2).subarray(0, -1), /expected 6146 bytes .* received 6145/);
  await bad(batch(3), /\(3073 bytes too many\)/);
  const wrong = batch(2);
  wrong[3073] = 10;
  await bad(wrong, /^data_batch_1\.bin: expected labels of 0 to 9, received 10 at row 1/);
});

test('decodeCifarNames: ten, a line each', async (t) => {
  const names = Buffer.from(`${cifarClassNames.join('\r\n')}\r\n\n`);
  t.deepEqual(decodeCifarNames(names, 'x'), cifarClassNames);
  await refused(t, () => decodeCifarNames(Buffer.from('a\nb\n'), 'm.txt'), 'BAD_FILE', /^m\.txt: expected 10 class names, received 2/);
});

test('untar: files by their whole name', (t) => {
  const archive = Buffer.concat([
    tarMember('folder/', new Uint8Array(0), { type: '5' }),
    tarMember('PaxHeaders/a', Buffer.from('19 mtime=1243529.5\n'), { type: 'x' }),
    tarMember('folder/a', Buffer.from('first')),
    tarMember('b', new Uint8Array(512).fill(7), { prefix: 'a/long/folder', type: '\0' }),
    tarMember('link', new Uint8Array(0), { type: '2' }),
    tarMember('empty', new Uint8Array(0)),
  ]);
  for (const bytes of [archive, Buffer.concat([archive, Buffer.alloc(1024)]), Buffer.concat([archive, Buffer.alloc(512), Buffer.from('rest')])]) {
    const files = untar(bytes, 'x.tar');
    t.deepEqual([...files.keys()], ['folder/a', 'a/long/folder/b', 'empty']);
    t.equal(Buffer.from(files.get('folder/a')!).toString(), 'first');
    t.deepEqual(Uint8Array.from(files.get('a/long/folder/b')!), new Uint8Array(512).fill(7));
  }
  t.equal(untar(new Uint8Array(0), 'x').size, 0);
  t.end();
});

test('untar: a bad archive is refused by name', async (t) => {
  const bad = (bytes: Uint8Array, says: RegExp) => refused(t, () => untar(bytes, 'x.tar'), 'BAD_FILE', says);
  const member = tarMember('a', Buffer.from('text'));
  await bad(member.subarray(0, 300), /^x\.tar: expected a tar header at byte 0/);
  await bad(Buffer.concat([member, Buffer.from('x'.repeat(512))]), /expected a tar header at byte 1024/);
  await bad(Buffer.concat([tarHeader('a', 600), Buffer.alloc(512)]), /^x\.tar: 'a': expected 600 bytes, received 512 \(truncated\)/);
  const flipped = Buffer.from(member);
  flipped[0]! ^= 1;
  await bad(flipped, /expected a tar header at byte 0/);
  const odd = tarHeader('a', 0);
  odd.write('9', 124);
  await bad(odd, /expected a tar header at byte 0/);
});

test('untar: no damage to an archive does more than refuse it', (t) => {
  const archive = Buffer.concat([tarMember('a', Buffer.from('text')), tarMember('b', Buffer.alloc(600)), Buffer.alloc(1024)]);
  fc.assert(
    fc.property(damaged(archive, archive.length), (bytes) => survives(() => untar(bytes, 'x'))),
    { numRuns: 1000 },
  );
  t.pass('survived');
  t.end();
});
