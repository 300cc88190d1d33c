import fc from 'fast-check';
import test from 'tape';
import { batches, describe, fromArrays, split, subset, take, type Dataset } from '../../src/data/dataset.js';
import { refused } from '../io/refused.js';

/** So many examples of two bytes, with classes 0, 1, 2 in turn. */
function numbered(examples: number): Dataset {
  return fromArrays({
    name: 'numbered',
    inputs: Uint8Array.from({ length: 2 * examples }, (_, i) => i % 256),
    labels: Uint8Array.from({ length: examples }, (_, i) => i % 3),
    shape: [2],
    classes: 3,
  });
}

test('fromArrays: the arrays themselves, with what was left unsaid', (t) => {
  const inputs = new Float32Array([0, 0.5, 1, 0.25]);
  const labels = new Int32Array([0, 1]);
  const data = fromArrays({ inputs, labels, shape: [2], classes: 2 });
  t.equal(data.inputs, inputs, 'not a copy');
  t.equal(data.labels, labels, 'not a copy');
  t.deepEqual(data, { name: 'data', inputs, labels, shape: [2], classes: 2, scale: 1, range: [0, 1], rows: Int32Array.of(0, 1) });
  t.equal(numbered(2).scale, 1 / 255, 'bytes are scaled to [0, 1]');
  const bytes = { inputs: new Uint8Array([0, 1]), labels, shape: [1], classes: 2 };
  t.equal(fromArrays({ ...bytes, scale: 1 }).scale, 1, 'bytes that stay in the range at another scale');
  const tenth = { inputs: new Float32Array([0.1]), labels: new Uint8Array(1), shape: [1, 1, 1], classes: 2 };
  t.ok(fromArrays({ ...tenth, range: [0, 0.1] }), 'a bound that float32 rounds up');
  t.deepEqual(fromArrays({ ...tenth, classNames: ['a', 'b'] }).classNames, ['a', 'b']);
  t.end();
});

test('fromArrays: bad arrays are refused, naming the row', async (t) => {
  const good = { inputs: new Float32Array(6), labels: new Int32Array([0, 1, 2]), shape: [2], classes: 3 };
  const bad = (change: object, code: Parameters<typeof refused>[2], says: RegExp) =>
    refused(t, () => fromArrays({ ...good, ...change }), code, says);
  const at = (place: number, value: number) => ({ inputs: good.inputs.slice().fill(value, place, place + 1) });
  t.ok(fromArrays(good));

  await bad({ labels: new Int32Array([0, 3, 9]) }, 'OUT_OF_RANGE', /^fromArrays: labels: expected 0 to 2, received 3 at row 1$/);
  await bad({ labels: new Int32Array([0, 1, -1]) }, 'OUT_OF_RANGE', /received -1 at row 2/);
  await bad(at(3, NaN), 'NOT_FINITE', /inputs: expected finite values, received NaN at row 1/);
  await bad(at(5, -Infinity), 'NOT_FINITE', /received -Infinity at row 2/);
  await bad(at(2, 1.5), 'OUT_OF_RANGE', /expected values of 0 to 1 after scaling, received 1.5 at row 1/);
  await bad(at(0, -0.25), 'OUT_OF_RANGE', /received -0.25 at row 0/);
  await bad({ ...at(4, 1), scale: 2 }, 'OUT_OF_RANGE', /received 2 at row 2/);
  await bad({ inputs: new Uint8Array([0, 0, 0, 255, 0, 0]), scale: 0.5 }, 'OUT_OF_RANGE', /received 127.5 at row 1/);
  await bad({ inputs: new Float32Array(5) }, 'SHAPE_MISMATCH', /expected 3 x 2 values for 3 labels and shape \[2\].* received 5/);
  await bad({ inputs: new Float32Array(0), labels: new Int32Array(0) }, 'SHAPE_MISMATCH', /at least one example/);
  await bad({ classNames: ['a'] }, 'SHAPE_MISMATCH', /classNames: expected 3 names, received 1/);

  await bad({ inputs: new Float64Array(6) }, 'INVALID_ARGUMENT', /inputs: expected \(Uint8Array \| Float32Array\)/);
  await bad({ labels: [0, 1, 2] }, 'INVALID_ARGUMENT', /labels: expected/);
  await bad({ labels: undefined }, 'INVALID_ARGUMENT', /labels/);
  await bad({ shape: [] }, 'INVALID_ARGUMENT', /shape: expected at least one dimension/);
  await bad({ shape: [2, 0] }, 'INVALID_ARGUMENT', /shape.1: expected an integer of at least 1, received 0/);
  await bad({ classes: 1 }, 'INVALID_ARGUMENT', /classes: expected an integer of at least 2, received 1/);
  await bad({ classes: 2.5 }, 'INVALID_ARGUMENT', /received 2.5/);
  await bad({ scale: 0 }, 'INVALID_ARGUMENT', /scale: expected a positive number, received 0/);
  await bad({ scale: Infinity }, 'INVALID_ARGUMENT', /scale: expected a positive number, received Infinity/);
  await bad({ range: [1, 0] }, 'INVALID_ARGUMENT', /range: expected \[low, high\] with low < high, received \[1,0\]/);
  await bad({ clases: 3 }, 'INVALID_ARGUMENT', /clases.*did you mean 'classes'/);
});

test('subset and take: views of the same arrays', async (t) => {
  const data = numbered(10);
  const odd = subset(data, [9, 7, 7, 1]);
  t.deepEqual(odd.rows, Int32Array.of(9, 7, 7, 1));
  t.equal(odd.inputs, data.inputs);
  t.deepEqual(subset(odd, odd.rows.slice(0, 2)).rows, Int32Array.of(9, 7));
  t.deepEqual(take(odd, 3).rows, Int32Array.of(9, 7, 7));
  await refused(t, () => subset(odd, [9, 8]), 'OUT_OF_RANGE', /^subset: rows: expected rows of 'numbered', received 8 at 1$/);
  for (const row of [-1, 10, 1.5, NaN]) await refused(t, () => subset(data, [row]), 'OUT_OF_RANGE', /at 0/);
  await refused(t, () => subset(data, []), 'OUT_OF_RANGE', /received none/);
  for (const n of [0, 5, 1.5, NaN]) await refused(t, () => take(odd, n), 'OUT_OF_RANGE', /^take: n: expected an integer of 1 to 4/);
});

test('split: disjoint, random, and the same for a seed', async (t) => {
  const data = numbered(100);
  const parts = split(data, { sizes: [70, 20], seed: 3 });
  t.deepEqual(parts.map(({ rows }) => rows.length), [70, 20]);
  const all = parts.flatMap(({ rows }) => [...rows]);
  t.equal(new Set(all).size, 90, 'no row is in two parts');
  t.ok(parts.every(({ inputs, labels }) => inputs === data.inputs && labels === data.labels), 'views of the same arrays');
  t.notDeepEqual(all.slice().sort((a, b) => a - b), all, 'not the first ones');
  t.deepEqual(split(data, { sizes: [70, 20], seed: 3 }), parts, 'the same seed');
  t.notDeepEqual(split(data, { sizes: [70, 20], seed: 4 }), parts, 'another seed');
  t.notDeepEqual(split(data, { sizes: [70, 20], seed: 3 + 2 ** 32 }), parts, 'the upper half of a seed counts');
  const nested = split(parts[1]!, { sizes: [10, 10], seed: 1 }).flatMap(({ rows }) => [...rows]);
  t.deepEqual(nested.sort(), [...parts[1]!.rows].sort(), 'a split of a split stays in it');

  const bad = (options: object, code: Parameters<typeof refused>[2], says: RegExp) =>
    refused(t, () => split(data, options as never), code, says);
  await bad({ sizes: [90, 20], seed: 1 }, 'OUT_OF_RANGE', /expected at most the 100 examples of 'numbered', received 90 \+ 20 = 110/);
  await bad({ sizes: [], seed: 1 }, 'INVALID_ARGUMENT', /sizes: expected at least one size/);
  await bad({ sizes: [0], seed: 1 }, 'INVALID_ARGUMENT', /sizes.0: expected an integer of at least 1/);
  await bad({ sizes: [1] }, 'INVALID_ARGUMENT', /seed/);
  await bad({ sizes: [1], seed: 2 ** 53 }, 'INVALID_ARGUMENT', /seed: expected an integer/);
});

test('batches: each example once, in an order of its own for each epoch', async (t) => {
  const data = take(numbered(100), 90);
  const walk = (options: Parameters<typeof batches>[1]) => [...batches(data, options)];
  t.deepEqual(walk({ size: 40 }), [data.rows.slice(0, 40), data.rows.slice(40, 80), data.rows.slice(80)], 'in order');
  t.deepEqual(walk({ size: 40, dropLast: true }).map((rows) => rows.length), [40, 40]);
  t.deepEqual(walk({ size: 45, dropLast: true }).map((rows) => rows.length), [45, 45], 'a full last batch stays');
  t.deepEqual(walk({ size: 100 }).map((rows) => rows.length), [90]);
  t.deepEqual(walk({ size: 40, seed: 1, shuffle: false }), walk({ size: 40 }));

  const order = (options: Parameters<typeof batches>[1]) => walk(options).flatMap((rows) => [...rows]);
  const epoch = order({ size: 7, seed: 1, epoch: 5 });
  t.deepEqual(epoch.slice().sort((a, b) => a - b), [...data.rows]);
  t.deepEqual(order({ size: 7, seed: 1, epoch: 5, shuffle: true }), epoch);
  t.deepEqual(order({ size: 40, seed: 1, epoch: 5 }), epoch, 'the order does not depend on the size');
  t.notDeepEqual(order({ size: 7, seed: 1, epoch: 6 }), epoch);
  t.notDeepEqual(order({ size: 7, seed: 2, epoch: 5 }), epoch);
  t.notDeepEqual(split(data, { sizes: [90], seed: 1 })[0]!.rows, Int32Array.from(order({ size: 7, seed: 1 })), 'nor is it that of a split');

  const pass = batches(data, { size: 32, seed: 1 });
  t.deepEqual([...pass], [...pass], 'it can be walked twice');
  for (const rows of batches(data, { size: 32 })) rows.fill(0);
  t.deepEqual(data.rows, take(numbered(100), 90).rows, 'a batch is the caller\'s own');

  const bad = (options: object, says: RegExp) => refused(t, () => batches(data, options as never), 'INVALID_ARGUMENT', says);
  await bad({ size: 0 }, /size: expected an integer of at least 1/);
  await bad({ size: 10, shuffle: true }, /seed: expected one to shuffle by/);
  await bad({ size: 10, epoch: -1 }, /epoch/);
  await bad({ size: 91, dropLast: true }, /size: expected at most the 90 examples/);
  await bad({ size: 10, drop: true }, /unknown option.*'drop'/);
});

test('batches: the length is the number of batches', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 70 }), fc.boolean(), (examples, size, dropLast) => {
      if (dropLast && size > examples) return true;
      const pass = batches(numbered(examples), { size, dropLast, seed: 1 });
      return pass.length === [...pass].length;
    }),
  );
  t.pass('for all sizes');
  t.end();
});

test('describe: the balance and the spread, of the rows alone', (t) => {
  const data = fromArrays({
    inputs: new Float32Array([0, 0.5, 1, 0.5, 0.25, 0.25]),
    labels: new Uint8Array([1, 1, 0]),
    shape: [2],
    classes: 3,
    classNames: ['a', 'b', 'c'],
  });
  t.deepEqual(describe(take(data, 2)), {
    name: 'data',
    examples: 2,
    shape: [2],
    classes: 3,
    classNames: ['a', 'b', 'c'],
    counts: [0, 2, 0],
    mean: 0.5,
    std: Math.sqrt(0.125),
  });
  t.equal(describe(numbered(1)).mean, 0.5 / 255, 'after scaling');
  t.end();
});
