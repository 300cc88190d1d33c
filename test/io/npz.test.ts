import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import test from 'tape';
import { decodeNpy, decodeNpz, encodeNpy, encodeNpz, type NpyArray, type NpyInput } from '../../src/io/npz.js';
import { damaged } from './damage.js';
import { refused, survives } from './refused.js';

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/io/${name}`, import.meta.url));

interface Expected {
  dtype: string;
  shape: number[];
  values: string[];
}
const expected = JSON.parse(Buffer.from(fixture('expected.json')).toString()) as Record<string, Expected> & {
  refused: string[];
};

const constants: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: NaN, True: 1, False: 0 };

function matches(array: NpyArray | undefined, { dtype, shape, values }: Expected): boolean {
  const read = values.map((value) => (dtype === 'int64' ? BigInt(value) : (constants[value] ?? Number(value))));
  return (
    array?.dtype === dtype &&
    JSON.stringify(array.shape) === JSON.stringify(shape) &&
    array.data.length === read.length &&
    [...array.data].every((value, i) => Object.is(value, read[i]))
  );
}

/** A version 1.0 file with this header and these data. */
function npy(header: string, data: Uint8Array = new Uint8Array(0), version = [1, 0]): Uint8Array {
  const length = Buffer.alloc(version[0] === 1 ? 2 : 4);
  length.writeUIntLE(header.length, 0, length.length);
  return Buffer.concat([Buffer.from('\x93NUMPY', 'latin1'), Buffer.from(version), length, Buffer.from(header), data]);
}

test('npy: what numpy wrote is read, in every dtype, order and version', (t) => {
  const names = Object.keys(expected).filter((name) => name.endsWith('.npy'));
  t.ok(names.length > 20);
  for (const name of names) t.ok(matches(decodeNpy(fixture(name), name), expected[name]!), name);
  t.end();
});

test('npy: other spellings of a header that Python understands', (t) => {
  const data = new Uint8Array(8);
  for (const header of [
    `{"shape":(2,),"fortran_order":False,"descr":"<f4"}`,
    `{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }\n`,
    ` { 'fortran_order' : False , 'shape' : ( 2 , 1 ) , 'descr' : '<f4' } `,
  ]) {
    t.equal(decodeNpy(npy(header, data), 'x').data.length, 2, header);
  }
  t.end();
});

test('npy: arrays that numpy writes and that are not plain numbers are refused', async (t) => {
  for (const name of expected.refused) {
    const bytes = fixture(name);
    await refused(
      t,
      () => decodeNpy(bytes, name),
      'BAD_FILE',
      new RegExp(`^${name}: expected|^${name}: dtype: expected`),
      name,
    );
  }
});

test('npy: a bad file is refused by name', async (t) => {
  const bad = (bytes: Uint8Array, says: RegExp) =>
    refused(t, () => decodeNpy(bytes, 'w.npy'), 'BAD_FILE', new RegExp(`^w\\.npy: .*${says.source}`));
  const header = (descr: string, order: string, shape: string) =>
    `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const good = npy(header(`'<f4'`, 'False', '(2, 3)'), new Uint8Array(24));
  t.equal(decodeNpy(good, 'w').data.length, 6);

  await bad(new Uint8Array(0), /received 0 bytes that begin with nothing/);
  await bad(Buffer.from('PK\x03\x04 a ZIP archive'), /begin with 504b03042061/);
  await bad(npy(header(`'<f4'`, 'False', '()'), new Uint8Array(4), [4, 0]), /version 1.0, 2.0 or 3.0, received 4.0/);
  await bad(npy(header(`'<f4'`, 'False', '()'), new Uint8Array(4), [1, 1]), /received 1.1/);
  await bad(good.subarray(0, 40), /header of 59 bytes, received 30 \(truncated\)/);
  await bad(good.subarray(0, -1), /expected 24 bytes for float32 2x3, received 23 \(truncated\)/);
  await bad(Buffer.concat([good, Buffer.alloc(2)]), /received 26 \(2 bytes too many\)/);
  await bad(npy(' '.repeat(20_000), undefined, [2, 0]), /header of at most 10000 bytes, received 20000/);
  for (const [descr, order, shape] of [
    [`'<f4'`, 'None', '(2,)'],
    [`'<f4'`, 'False', '[2]'],
    [`'<f4'`, 'False', '(-2,)'],
    [`'<f4'`, 'False', '(2.0,)'],
    [`'<f4'`, 'False', '2'],
    [`'<f4'`, 'False', '(2 3)'],
    [`'<f4'`, `'False'`, '(2,)'],
    [`3`, 'False', '(2,)'],
    [`'<f4'`, 'False', `(2,), 'shape': (3,)`],
    [`'<f4'`, 'False', `(2,), 'more': (3,)`],
    [`'<f4'`, 'False', '(2,)}{'],
    [`__import__('os')`, 'False', '(2,)'],
  ] as const) {
    await bad(npy(header(descr, order, shape), new Uint8Array(8)), /expected a numpy header/);
  }
  await bad(npy(`{'descr': '<f4', 'fortran_order': False}`), /expected a numpy header/);
  await bad(npy(''), /expected a/);
  for (const descr of ['<f16', 'f4', '|f4', '=f4', '<c8', '|O', '|V8', '<m8[ns]', '']) {
    await bad(npy(header(`'${descr}'`, 'False', '(2,)'), new Uint8Array(8)), /dtype: expected one of b1/);
  }
  await bad(npy(header(`'<f4'`, 'False', '(9007199254740993,)')), /countable/);
  await bad(npy(header(`'<f4'`, 'False', '(4294967296, 4294967296)')), /countable/);
  await bad(npy(header(`'<f4'`, 'True', '(1000000000,)')), /expected 4000000000 bytes .* received 0/);
  await bad(npy(header(`'|b1'`, 'False', '(1,)'), Buffer.from([2])), /booleans/);
});

test('npz: what numpy wrote is read, stored or deflated', (t) => {
  for (const name of ['stored.npz', 'deflated.npz']) {
    const arrays = decodeNpz(fixture(name), name);
    const members = expected[name] as unknown as Record<string, Expected>;
    t.deepEqual([...arrays.keys()], Object.keys(members), name);
    for (const [member, array] of arrays) t.ok(matches(array, members[member]!), `${name} ${member}`);
  }
  t.end();
});

test('npz: a flipped bit anywhere in the data is noticed', async (t) => {
  for (const name of ['stored.npz', 'deflated.npz']) {
    const bytes = Buffer.from(fixture(name));
    const at = bytes.indexOf('NUMPY') > 0 ? bytes.indexOf('NUMPY') + 200 : 200;
    bytes[at]! ^= 1;
    await refused(t, () => decodeNpz(bytes, name), 'BAD_FILE', /member 'weight\.npy'/, name);
  }
});

test('npz: a bad archive is refused by name', async (t) => {
  const good = Buffer.from(encodeNpz({ a: { shape: [2], data: new Float32Array([1, 2]) } }));
  const directory = good.indexOf('PK\x01\x02');
  const end = good.indexOf('PK\x05\x06');
  const bad = (change: (bytes: Buffer) => unknown, says: RegExp) => {
    const copy = Buffer.from(good);
    const changed = change(copy);
    const bytes = changed instanceof Uint8Array ? changed : copy;
    return refused(t, () => decodeNpz(bytes, 'w.npz'), 'BAD_FILE', new RegExp(`^w\\.npz: .*${says.source}`));
  };
  t.equal(decodeNpz(good, 'w').size, 1);
  await bad(() => new Uint8Array(0), /expected a ZIP archive/);
  await bad((b) => b.subarray(0, -1), /truncated/);
  await bad((b) => Buffer.concat([b, Buffer.from('more')]), /without its directory/);
  await bad((b) => Buffer.concat([Buffer.from('more'), b]), /directory is not where/);
  await bad((b) => b.writeUInt16LE(0xffff, end + 10), /no ZIP64/);
  await bad((b) => b.writeUInt16LE(2, end + 10), /expected 2 entries in the ZIP directory, received 1/);
  await bad((b) => b.writeUInt16LE(0, end + 10), /nothing after the last entry/);
  await bad((b) => b.writeUInt16LE(1, directory + 8), /encrypted/);
  await bad((b) => b.writeUInt16LE(99, directory + 10), /received method 99/);
  await bad((b) => b.writeUInt16LE(8, directory + 10), /expected 136 bytes for member 'a\.npy', received 6/);
  await bad((b) => b.writeUInt32LE(1, directory + 16), /checksum/);
  await bad((b) => b.writeUInt32LE(0xfffffff0, directory + 20), /beyond the archive/);
  await bad((b) => b.writeUInt32LE(0xfffffff0, directory + 24), /cannot expand to the 4294967280/);
  await bad((b) => b.writeUInt32LE(10, directory + 24), /expected 10 bytes/);
  await bad((b) => b.writeUInt32LE(7, directory + 42), /not where the ZIP directory says/);
  await bad((b) => b.write('a.txt', directory + 46), /expected \.npy members/);
  await bad((b) => b.write('X', b.indexOf('NUMPY')), /checksum/);

  const shared = (b: Buffer): Uint8Array => {
    const second = Buffer.from(b.subarray(directory, end));
    second.write('b', 46);
    b.writeUInt16LE(2, end + 10);
    b.writeUInt32LE(2 * (end - directory), end + 12);
    return Buffer.concat([b.subarray(0, end), second, b.subarray(end)]);
  };
  await bad(shared, /'b\.npy' reaches beyond the archive/);
  await bad((b) => {
    const both = Buffer.from(shared(b));
    both.write('a', end + 46);
    return both;
  }, /'a\.npy' is there twice/);

  const object = zipSync({ 'o.npy': fixture('object.npy') });
  await refused(t, () => decodeNpz(object, 'w.npz'), 'BAD_FILE', /^w\.npz: o\.npy: dtype/);
  const proto = zipSync({ '__proto__.npy': fixture('u1.npy') });
  await refused(t, () => decodeNpz(proto, 'w.npz'), 'BAD_FILE', /free names/);
});

test('npy and npz: what is written is read back', (t) => {
  const input: fc.Arbitrary<NpyInput> = fc.array(fc.nat(4), { maxLength: 4 }).chain((shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const length = { minLength: size, maxLength: size };
    const data = fc.oneof(
      fc.float32Array(length),
      fc.float64Array(length),
      fc.int32Array(length),
      fc.uint8Array(length),
    );
    return data.map((values) => ({ shape, data: values }));
  });
  const same = (a: NpyArray | undefined, b: NpyInput) =>
    a?.data.constructor === b.data.constructor &&
    JSON.stringify(a.shape) === JSON.stringify(b.shape) &&
    a.data.length === b.data.length &&
    [...a.data].every((value, i) => Object.is(value, b.data[i]));
  fc.assert(
    fc.property(input, (array) => same(decodeNpy(encodeNpy(array), 'x'), array)),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b.weight', 'ε', '0'), input), (arrays) => {
      const bytes = encodeNpz(arrays);
      const read = decodeNpz(bytes, 'x');
      const again = Buffer.from(encodeNpz(new Map(Object.entries(arrays)))).equals(bytes);
      return (
        again &&
        read.size === Object.keys(arrays).length &&
        Object.entries(arrays).every(([name, array]) => same(read.get(name), array))
      );
    }),
    { numRuns: 100 },
  );
  t.equal(
    (encodeNpy({ shape: [1], data: new Uint8Array(1) }).length - 1) % 64,
    0,
    'the data begin at a multiple of 64',
  );
  t.end();
});

test('npy and npz: bad arrays are refused before anything is written', async (t) => {
  const int16 = { shape: [1], data: new Int16Array(1) } as unknown as NpyInput;
  await refused(t, () => encodeNpy(int16), 'DTYPE_MISMATCH', /^encodeNpy: data: expected .*, received Int16Array/);
  await refused(t, () => encodeNpz({ w: int16 }), 'DTYPE_MISMATCH', /^encodeNpz: 'w': data/);
  await refused(
    t,
    () => encodeNpy({ shape: [3], data: new Uint8Array(2) }),
    'SHAPE_MISMATCH',
    /expected 3 elements .* received 2/,
  );
  await refused(
    t,
    () => encodeNpy({ shape: new Array<number>(33).fill(1), data: new Uint8Array(1) }),
    'SHAPE_MISMATCH',
    /at most 32/,
  );
  const proto = new Map([['__proto__', { shape: [1], data: new Uint8Array(1) }]]);
  await refused(t, () => encodeNpz(proto), 'INVALID_ARGUMENT', /reserved/);
});

test('npy and npz: no damage to a file does more than refuse it', (t) => {
  const array = fixture('fortran_3d.npy');
  fc.assert(
    fc.property(damaged(array, 128), (bytes) => survives(() => decodeNpy(bytes, 'x'))),
    { numRuns: 3000 },
  );
  const token = fc.constantFrom(
    '{',
    '}',
    '(',
    ')',
    ',',
    ':',
    ' ',
    '3',
    '0',
    'True',
    "'descr'",
    "'<f4'",
    "'shape'",
    "'fortran_order'",
    '"',
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 30 }), (header) => survives(() => decodeNpy(npy(header.join('')), 'x'))),
    { numRuns: 3000 },
  );
  for (const name of ['stored.npz', 'deflated.npz']) {
    const archive = fixture(name);
    fc.assert(
      fc.property(damaged(archive, archive.length), (bytes) => survives(() => decodeNpz(bytes, 'x'))),
      { numRuns: 1000 },
    );
    const directory = Buffer.from(archive).lastIndexOf('PK\x01\x02');
    const tail = fc.array(fc.tuple(fc.integer({ min: directory, max: archive.length - 1 }), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(tail, (changes) => {
        const bytes = new Uint8Array(archive);
        for (const [at, value] of changes) bytes[at] = value;
        return survives(() => decodeNpz(bytes, 'x'));
      }),
      { numRuns: 2000 },
    );
  }
  t.pass('survived');
  t.end();
});
