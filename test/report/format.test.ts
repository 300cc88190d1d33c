import test from 'tape';
import {
  accuracy,
  cut,
  duration,
  list,
  percent,
  plainNumber,
  points,
  quantity,
  significant,
} from '../../src/report/format.js';
import { byColumnOrder, columnIndex, displayName, isClean, sameName, titleOf, words } from '../../src/report/names.js';

test('percent: never 0 or 100 for what is not', (t) => {
  t.equal(percent(0.8819, 1), '88.2');
  t.equal(percent(0, 1), '0.0');
  t.equal(percent(1, 2), '100.00');
  t.equal(percent(0.0004, 1), '<0.1');
  t.equal(percent(0.99996, 1), '>99.9');
  t.equal(percent(0.99996, 2), '>99.99');
  t.equal(percent(0.001, 0), '<1');
  t.end();
});

test('accuracy: the wider side of a lopsided interval, none for one run', (t) => {
  t.equal(accuracy({ mean: 0.882, low: 0.876, high: 0.885, n: 3 }, 1), '88.2 ± 0.6');
  t.equal(accuracy({ mean: 0.882, low: 0.882, high: 0.882, n: 1 }, 1), '88.2');
  t.equal(accuracy({ mean: 0.882, low: 0.882, high: 0.882, n: 3 }, 1), '88.2 ± 0.0');
  t.equal(accuracy({ mean: 1, low: 0.9996, high: 1, n: 9999 }, 1), '100.0 ± <0.1');
  t.end();
});

test('differences, quantities, times', (t) => {
  t.deepEqual(
    [points(0.025, 1), points(-0.025, 1), points(0.0001, 1), points(-0.0001, 1)],
    ['+2.5', '−2.5', '0.0', '0.0'],
  );
  t.deepEqual([0, 9.998, 0.998, 999.7, 123456, 1.234e-7, -2.5, 1e9].map(significant), [
    '0',
    '10.0',
    '0.998',
    '1000',
    '123456',
    '1.23e−7',
    '−2.50',
    '1.00e+9',
  ]);
  t.equal(quantity({ mean: 4.312, low: 4.29, high: 4.33, n: 5 }), '4.31 ± 0.02');
  t.equal(quantity({ mean: 10, low: 9.99, high: 10.01, n: 5 }), '10.0 ± <0.1');
  t.equal(quantity({ mean: 3, low: 3, high: 3, n: 1 }), '3.00');
  t.equal(quantity({ mean: 2e-9, low: 1e-9, high: 3e-9, n: 2 }), '2.00e−9 ± 1.00e−9');
  t.deepEqual([0, 4.2e-6, 0.0153, 12, 250, 9000].map(duration), [
    '0 µs',
    '4.20 µs',
    '15.3 ms',
    '12.0 s',
    '4.17 min',
    '2.50 h',
  ]);
  t.deepEqual([plainNumber(0.1 + 0.2), plainNumber(1.5), plainNumber(2)], ['0.3', '1.5', '2']);
  t.deepEqual([list([]), list(['a']), list(['a', 'b', 'c'])], ['', 'a', 'a, b and c']);
  t.deepEqual([cut('abc', 3), cut('abcd', 3), cut('𝒂𝒃𝒄𝒅', 3)], ['abc', 'ab…', '𝒂𝒃…']);
  t.end();
});

test('names: known ones in the paper\u2019s spelling and order, others as they are', (t) => {
  t.ok(sameName('Adv_Loss_Sign', 'advLossSign'));
  t.notOk(sameName('advLoss', 'advLossSign'));
  t.deepEqual(['lwaRep', 'LWA_Rep', 'linf', 'myOwn', 'a\u0007b'].map(displayName), [
    'LWA_Rep',
    'LWA_Rep',
    'L∞',
    'myOwn',
    'a b',
  ]);
  t.deepEqual(['backwardRows', 'top-1 share', 'queriesPerImage'].map(words), [
    'Backward rows',
    'Top 1 share',
    'Queries per image',
  ]);
  t.deepEqual(['table1', 'robustness-by-method'].map(titleOf), ['Table 1', 'Robustness by method']);
  t.deepEqual(['zeta', 'advAlpha', 'apgd', 'test', 'fixed', 'validation'].sort(byColumnOrder), [
    'validation',
    'test',
    'fixed',
    'advAlpha',
    'apgd',
    'zeta',
  ]);
  t.ok(isClean('Validation'));
  t.notOk(isClean('fixed'));
  t.equal(columnIndex('Adv_Loss', ['x']), 4, 'a known column has one colour everywhere');
  t.deepEqual(
    ['x', 'y'].map((column) => columnIndex(column, ['advAlpha', 'x', 'y'])),
    [9, 10],
  );
  t.end();
});
