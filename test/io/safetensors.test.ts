import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import test from 'tape';
import { decodeSafetensors, encodeSafetensors, type SafetensorsEntry } from '../../src/io/safetensors.js';
import { damaged } from './damage.js';
import { refused, survives } from './refused.js';

const fixtures = new URL('../fixtures/io/', import.meta.url);

/** A file with this header, as text or as an object, and so many zero bytes of data. */
function file(header: unknown, bytes = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(bytes)]);
}

const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: offsets });

test('safetensors: the bytes are those of the reference writer', (t) => {
  const data = new Float32Array([0, 1, 2, 3, 4, 5]);
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  const values = text(new Uint8Array(data.buffer));
  t.equal(
    text(encodeSafetensors({ 'attn.0': { dtype: 'F32', shape: [1, 2, 3], data } })),
    `@\0\0\0\0\0\0\0{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}${values}`,
  );
  t.equal(
    text(encodeSafetensors({ attn0: { dtype: 'F32', shape: [1, 1, 2, 3], data } })),
    `H\0\0\0\0\0\0\0{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ${values}`,
    'the header is padded to a multiple of 8',
  );
  t.equal(text(encodeSafetensors({})), '\b\0\0\0\0\0\0\0{}      ');
  t.equal(text(encodeSafetensors({}, { framework: 'pt' })), '(\0\0\0\0\0\0\0{"__metadata__":{"framework":"pt"}}     ');
  t.end();
});

test('safetensors: every dtype is read as written by another program', async (t) => {
  const known = JSON.parse(await readFile(new URL('expected.json', fixtures), 'utf8')) as Record<string, unknown>;
  const expected = known['all.safetensors'] as Record<string, { dtype: string; shape: number[]; values: string[] }>;
  const bytes = await readFile(new URL('all.safetensors', fixtures));
  const { tensors, metadata } = decodeSafetensors(bytes, 'all.safetensors');
  t.deepEqual({ ...metadata }, { format: 'pt', note: 'ε ≤ 1.5' });
  t.deepEqual([...tensors.keys()].sort(), Object.keys(expected).sort());
  const numbers: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: NaN, True: 1, False: 0 };
  for (const [name, { dtype, shape, values }] of Object.entries(expected)) {
    const tensor = tensors.get(name)!;
    t.equal(tensor.dtype, dtype, name);
    t.deepEqual(tensor.shape, shape, name);
    const read = values.map((value) => (dtype === 'I64' ? BigInt(value) : (numbers[value] ?? Number(value))));
    t.ok([...tensor.data].every((value, i) => Object.is(value, read[i])) && read.length === tensor.data.length, name);
  }
});

test('safetensors: what is written is read back, whatever the order it was given in', (t) => {
  const shape = fc.array(fc.nat(3), { maxLength: 3 });
  const size = (dimensions: number[]) => dimensions.reduce((a, b) => a * b, 1);
  const of = <A>(values: (options: { minLength: number; maxLength: number }) => fc.Arbitrary<A>, dtype: string) =>
    shape.chain((dimensions) =>
      values({ minLength: size(dimensions), maxLength: size(dimensions) }).map(
        (data) => ({ dtype, shape: dimensions, data }) as unknown as SafetensorsEntry,
      ),
    );
  const tensor = fc.oneof(
    of(fc.float32Array, 'F32'),
    of(fc.float64Array, 'F64'),
    of(fc.int32Array, 'I32'),
    of(fc.bigInt64Array, 'I64'),
    of(fc.uint8Array, 'U8'),
    of((options) => fc.uint8Array({ ...options, max: 1 }), 'BOOL'),
  );
  const free = fc
    .string({ unit: 'grapheme' })
    .filter((name) => !/__metadata__|__proto__|constructor|prototype/.test(name));
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(free, tensor), { selector: ([name]) => name, maxLength: 6 }),
      fc.dictionary(free, fc.string({ unit: 'grapheme' })),
      (tensors, metadata) => {
        const bytes = encodeSafetensors(new Map(tensors), metadata);
        const read = decodeSafetensors(bytes, 'x');
        const same = Buffer.from(encodeSafetensors(new Map([...tensors].reverse()), metadata)).equals(bytes);
        return (
          same &&
          read.tensors.size === tensors.length &&
          JSON.stringify({ ...read.metadata }) === JSON.stringify({ ...metadata }) &&
          tensors.every(([name, { dtype, shape, data }]) => {
            const back = read.tensors.get(name)!;
            const alike =
              [...back.data].every((value, i) => Object.is(value, data[i])) && back.data.length === data.length;
            return back.dtype === dtype && JSON.stringify(back.shape) === JSON.stringify(shape) && alike;
          })
        );
      },
    ),
    { numRuns: 200 },
  );
  t.pass('round trips');
  t.end();
});

test('safetensors: arrays lie at multiples of their width', (t) => {
  const bytes = encodeSafetensors({
    a: { dtype: 'U8', shape: [3], data: new Uint8Array(3) },
    b: { dtype: 'F32', shape: [1], data: new Float32Array(1) },
    c: { dtype: 'F64', shape: [1], data: new Float64Array(1) },
  });
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(bytes.subarray(8, start)).toString()) as Record<
    string,
    { data_offsets: number[] }
  >;
  t.equal(start % 8, 0);
  t.deepEqual(
    ['c', 'b', 'a'].map((name) => header[name]?.data_offsets[0]),
    [0, 8, 12],
  );
  t.end();
});

test('safetensors: what is read is a copy of its own, wherever the bytes lie', (t) => {
  const bytes = encodeSafetensors({ w: { dtype: 'F64', shape: [2], data: new Float64Array([1.5, -2]) } });
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  const data = decodeSafetensors(shifted.subarray(3), 'x').tensors.get('w')!.data;
  shifted.fill(0);
  t.deepEqual(data, new Float64Array([1.5, -2]));
  t.end();
});

test('safetensors: a bad file is refused by name', async (t) => {
  const bad = (bytes: Uint8Array, says: RegExp) =>
    refused(
      t,
      () => decodeSafetensors(bytes, 'm.safetensors'),
      'BAD_FILE',
      new RegExp(`^m\\.safetensors: .*${says.source}`),
    );
  const good = file({ w: entry([2], [0, 8]) }, 8);
  t.equal(decodeSafetensors(good, 'm').tensors.size, 1);

  await bad(new Uint8Array(7), /received 7 bytes \(truncated\)/);
  await bad(
    Buffer.from([255, 255, 255, 255, 255, 255, 255, 255, 1]),
    /at most 100000000 bytes, received 18446744073709551615/,
  );
  await bad(Buffer.from([1, 225, 245, 5, 0, 0, 0, 0, 1]), /at most 100000000 bytes, received 100000001/);
  await bad(good.subarray(0, 30), /header of 54 bytes, received 22 \(truncated\)/);
  await bad(good.subarray(0, -1), /expected 8 bytes for the tensors, received 7 \(truncated\)/);
  await bad(Buffer.concat([good, Buffer.alloc(1)]), /received 9 \(1 bytes too many\)/);
  await bad(file('{'), /expected a JSON header/);
  await bad(file('[]'), /JSON object/);
  await bad(file('null'), /JSON object/);
  await bad(file(' {}'), /JSON object/);
  await bad(file('\ufeff{}'), /expected a JSON header/);
  await bad(Buffer.concat([file('{"a'), Buffer.from([0xff])]), /expected a JSON header/);
  const notText = Buffer.from(file('{"?":1}'));
  notText[10] = 0xff;
  await bad(notText, /expected a JSON header/);
  await bad(file('['.repeat(1_000_000)), /expected a JSON header/);

  await bad(file({ w: 1 }), /tensor 'w': expected an object/);
  await bad(file({ w: entry([2], [0, 8], 'F8_E4M3') }, 8), /dtype: expected one of F32, .*, received "F8_E4M3"/);
  await bad(file({ w: entry([2], [0, 8], 'toString') }, 8), /received "toString"/);
  await bad(file({ w: entry([2], [0, 8], 7) }, 8), /dtype: .*, received 7/);
  await bad(file({ w: { shape: [2], data_offsets: [0, 8] } }, 8), /dtype: .* received nothing/);
  await bad(file({ w: entry([-2], [0, 8]) }, 8), /shape: expected a list of sizes, received \[-2\]/);
  await bad(file({ w: entry([1.5], [0, 6]) }, 6), /shape: .* received \[1.5\]/);
  await bad(file({ w: entry(2, [0, 8]) }, 8), /shape: .* received 2/);
  await bad(file({ w: entry(['2'], [0, 8]) }, 8), /shape: .* received \["2"\]/);
  await bad(file({ w: entry([2 ** 30, 2 ** 30], [0, 8]) }, 8), /shape: .* received \[1073741824,1073741824\]/);
  await bad(file({ w: entry([2], [0]) }, 8), /data_offsets: expected \[begin, end\], received \[0\]/);
  await bad(file({ w: entry([2], [-8, 0]) }, 8), /data_offsets: .* received \[-8,0\]/);
  await bad(file({ w: entry([2], [8, 0]) }, 8), /expected 8 bytes for F32 2, received -8/);
  await bad(
    file({ w: entry([2], [0, 12]) }, 12),
    /tensor 'w': data_offsets \[0, 12\]: expected 8 bytes for F32 2, received 12/,
  );
  await bad(
    file({ a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12),
    /'b': expected data_offsets to begin at 8, received 4 \(overlaps/,
  );
  await bad(file({ a: entry([2], [0, 8]), b: entry([2], [0, 8]) }, 8), /begin at 8, received 0 \(overlaps/);
  await bad(file({ a: entry([2], [0, 8]), b: entry([2], [12, 20]) }, 20), /begin at 8, received 12 \(leaves a gap/);
  await bad(file({ a: entry([2], [4, 12]) }, 12), /begin at 0, received 4 \(leaves a gap/);
  await bad(file({ w: entry([1], [0, 1], 'BOOL') }, 0).subarray(0), /truncated/);
  await bad(Buffer.concat([file({ w: entry([1], [0, 1], 'BOOL') }), Buffer.from([2])]), /booleans to be bytes 0 and 1/);

  const twice = JSON.stringify(entry([2], [0, 8]));
  await bad(file(`{"w":${twice},"w":${twice}}`, 8), /each name once, received 'w' twice/);
  await bad(file(`{"w":${twice},"\\u0077":${twice}}`, 8), /received 'w' twice/);
  await bad(file('{"w":{"dtype":"F32","shape":[2],"shape":[1,2],"data_offsets":[0,8]}}', 8), /received 'shape' twice/);
  await bad(file('{"__metadata__":{"a":"1","a":"2"}}'), /received 'a' twice/);
  t.equal(
    decodeSafetensors(file('{"__metadata__":{"a\\"b":"a","{":"a","a":"a"}}'), 'm').metadata['a'],
    'a',
    'quotes and braces in text are text',
  );

  for (const name of ['__proto__', 'constructor', 'prototype', 'layer.__proto__.polluted']) {
    await bad(file(`{${JSON.stringify(name)}:${twice}}`, 8), /reserved name/);
    await bad(file(`{"__metadata__":{${JSON.stringify(name)}:"1"}}`), /reserved name/);
  }
  await bad(file({ __metadata__: { a: 1 } }), /metadata 'a': expected text, received number/);
  await bad(file({ __metadata__: 'a' }), /__metadata__ to be an object of texts/);
});

test('safetensors: bad arrays are refused before anything is written', async (t) => {
  const bad = (tensor: object, code: 'DTYPE_MISMATCH' | 'SHAPE_MISMATCH', says: RegExp) =>
    refused(t, () => encodeSafetensors({ w: tensor as SafetensorsEntry }), code, says);
  const data = new Float32Array(2);
  await bad(
    { dtype: 'F23', shape: [2], data },
    'DTYPE_MISMATCH',
    /'w': dtype: expected one of .* \(did you mean 'F32'\?\)/,
  );
  await bad({ dtype: 'F16', shape: [2], data }, 'DTYPE_MISMATCH', /'w': dtype/);
  await bad(
    { dtype: 'F64', shape: [2], data },
    'DTYPE_MISMATCH',
    /expected Float64Array for F64, received Float32Array/,
  );
  await bad({ dtype: 'F32', shape: [3], data }, 'SHAPE_MISMATCH', /expected 3 elements for shape \[3\], received 2/);
  await bad({ dtype: 'F32', shape: [-1, -2], data }, 'SHAPE_MISMATCH', /shape \[-1, -2\]/);
  for (const name of ['__metadata__', '__proto__', 'a.constructor', '\ud800']) {
    const tensors = new Map([[name, { dtype: 'F32', shape: [2], data } as const]]);
    await refused(t, () => encodeSafetensors(tensors), 'INVALID_ARGUMENT', /reserved or not text/);
  }
  const numeric = { seed: 1 } as unknown as Record<string, string>;
  await refused(t, () => encodeSafetensors({}, numeric), 'INVALID_ARGUMENT', /metadata 'seed'/);
});

test('safetensors: no damage to a file does more than refuse it', async (t) => {
  const whole = await readFile(new URL('all.safetensors', fixtures));
  fc.assert(
    fc.property(damaged(whole, 800), (bytes) => survives(() => decodeSafetensors(bytes, 'x'))),
    { numRuns: 3000 },
  );
  const value = fc.oneof(
    fc.constantFrom('F32', 'BOOL', 'BF16'),
    fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 3 }),
    fc.jsonValue(),
  );
  const header = fc.dictionary(
    fc.constantFrom('a', 'b', '__metadata__', '__proto__'),
    fc.record({ dtype: value, shape: value, data_offsets: value }),
  );
  fc.assert(
    fc.property(header, fc.nat(20), (object, length) => survives(() => decodeSafetensors(file(object, length), 'x'))),
    { numRuns: 3000 },
  );
  t.pass('survived');
});
