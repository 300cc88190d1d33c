import test from 'tape';
import { below, philox, purposes, shuffled, words } from '../../src/data/random.js';

const stream = (seed: number, index = 0) => ({ seed, purpose: purposes.shuffle, index });
const first = (seed: number, index: number, count: number): number[] => {
  const next = words(stream(seed, index));
  return Array.from({ length: count }, next);
};
const numbers = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

test('philox: the known answers of the authors (Random123, philox4x32 with 10 rounds)', (t) => {
  const hex = (counter: number[], key: number[]) => [...philox(counter, key)].map((word) => word.toString(16).padStart(8, '0')).join(' ');
  const ones = 0xffffffff;
  t.equal(hex([0, 0, 0, 0], [0, 0]), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  t.equal(hex([ones, ones, ones, ones], [ones, ones]), '408f276d 41c83b0e a20bc7c6 6d5451fd');
  t.equal(
    hex([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
  t.end();
});

test('words: the blocks follow each other, and the key and the counter are as documented', (t) => {
  const seed = 5 * 2 ** 32 + 7;
  const block = (number: number) => [...philox([number, 3, purposes.shuffle, 0], [7, 5])];
  t.deepEqual(first(seed, 3, 8), [...block(0), ...block(1)]);
  t.deepEqual(first(seed, 3, 8), first(seed, 3, 8), 'the same again');
  for (const other of [first(7, 3, 8), first(seed, 4, 8), first(seed + 1, 3, 8)]) {
    t.notOk(other.some((word, i) => word === block(Math.floor(i / 4))[i % 4]), 'another seed or index shares nothing');
  }
  t.end();
});

test('below: words that would favour small numbers are passed over', (t) => {
  const from = (...given: number[]) => below(3, () => given.shift()!);
  t.equal(from(0xfffffffe), 2, 'the last fair word');
  t.equal(from(0xffffffff, 4), 1, 'the one beyond it');
  t.equal(below(4, () => 0xffffffff), 3, 'every word is fair to a power of two');
  t.end();
});

test('shuffled: a permutation, of a copy, and always the same', (t) => {
  const values = numbers(1000);
  const result = shuffled(values, stream(1));
  t.deepEqual(values, numbers(1000));
  t.deepEqual(result.slice().sort(), numbers(1000));
  t.notDeepEqual(result, values);
  t.deepEqual(shuffled(numbers(10), stream(1)), Int32Array.of(6, 7, 4, 2, 3, 1, 5, 0, 8, 9));
  t.deepEqual(shuffled(new Int32Array(0), stream(1)), new Int32Array(0));
  t.end();
});

test('shuffled: every order of four is as likely as any other', (t) => {
  const runs = 24_000;
  const counts = new Map<string, number>();
  for (let index = 0; index < runs; index++) {
    const order = shuffled(numbers(4), stream(42, index)).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  const expected = runs / 24;
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  t.equal(counts.size, 24);
  // 23 degrees of freedom: 99.9 % of fair generators stay below 49.7, and above 7.5.
  t.ok(chiSquare < 49.7 && chiSquare > 7.5, `chi-square ${chiSquare.toFixed(1)}`);
  t.end();
});
