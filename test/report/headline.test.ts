import test from 'tape';
import { headline, summarize } from '../../src/report/headline.js';
import { cost, curve, learning, result, row, table } from './sample.js';

test('summarize: a table', (t) => {
  t.equal(
    summarize(table()),
    'At an L2 length of 1.5, Normal falls from 98.3 % to 7.2 % under the strongest attack tried; LWA keeps 86.3 %.',
  );
  const of = (rows: ReturnType<typeof row>[], settings = {}) => summarize(result({ rows, settings }));
  t.equal(
    of([row('normal', { test: 980, pgd: 0 })]),
    'Normal falls from 98.0 % to 0.0 % under the strongest attack tried.',
    'one network, unknown length',
  );
  t.equal(
    of([row('lwa', { advLoss: 500 }), row('normal', { advLoss: 500 })], { epsilon: 0.1 + 0.2, norm: 'linf' }),
    'At an L∞ length of 0.3, Normal is left with 50.0 % under the strongest attack tried; no other method tried keeps more.',
    'no clean accuracy, and nothing better',
  );
  t.equal(
    of([row('mine', { test: 900, pgd: 900 }), row('vat', { test: 900, pgd: 700 })]),
    'VAT falls from 90.0 % to 70.0 % under the strongest attack tried; mine keeps 90.0 %.',
    'without Normal, the weakest is the reference',
  );
  t.equal(
    of([row('lwa', { test: 900, pgd: 900 })]),
    'LWA goes from 90.0 % to 90.0 % under the strongest attack tried.',
    'no fall',
  );
  t.end();
});

test('summarize: only like is compared with like', (t) => {
  const rows = [
    row('normal', { test: 980, advAlpha: 80 }, { epsilon: 1.5 }),
    row('goodfellow', { test: 990, advAlpha: 950 }, { epsilon: 0.5 }),
    row('dropout', { test: 990, advAlpha: 960 }, { epsilon: 1.5, model: 'lenet' }),
    row('lwa', { test: 990, advAlpha: 850 }, { epsilon: 1.5 }),
  ];
  t.equal(
    summarize(result({ rows })),
    'At an L2 length of 1.5, Normal falls from 98.0 % to 8.0 % under the strongest attack tried; LWA keeps 85.0 %.',
  );
  t.end();
});

test('summarize: a curve', (t) => {
  t.equal(summarize(curve()), 'At an L2 length of 3, Normal is wrong more often than right.');
  const two = (lwa: number) =>
    result({
      settings: {},
      rows: [0, 1, 2].flatMap((epsilon) => [
        row('normal', { pgd: 900 - 450 * epsilon }, { epsilon }),
        row('lwa', { pgd: 900 - lwa * epsilon }, { epsilon }),
      ]),
    });
  t.equal(summarize(two(250)), 'At an L2 length of 1, Normal is wrong more often than right; LWA only from 2 on.');
  t.equal(
    summarize(two(100)),
    'At an L2 length of 1, Normal is wrong more often than right; LWA keeps at least 70.0 % up to 2.',
  );
  t.equal(summarize(two(450)), 'At an L2 length of 1, Normal is wrong more often than right.');
  const mild = result({ rows: [0, 1].map((epsilon) => row('normal', { pgd: 900 - 100 * epsilon }, { epsilon })) });
  t.equal(summarize(mild), 'Up to an L2 length of 1, Normal keeps at least 80.0 %.');
  t.end();
});

test('summarize: a learning curve by its end, a cost, nothing', (t) => {
  t.equal(
    summarize(learning()),
    'At an L2 length of 1.5, Normal falls from 98.5 % to 30.0 % under the strongest attack tried; LWA keeps 60.0 %.',
  );
  t.equal(summarize(cost()), 'Adv_Alpha takes 4.00 times as long as Adv_Loss.');
  t.equal(summarize(result({ rows: [] })), undefined);
  t.equal(summarize(result({ rows: [row('lwa', { validation: 990 })] })), undefined, 'nobody attacked');
  t.end();
});

test('headline: the first table before curves, curves before the rest', (t) => {
  t.equal(headline([cost(), curve(), table()]), summarize(table()));
  t.equal(headline([cost(), curve()]), summarize(curve()));
  t.equal(headline([result({ rows: [] }), cost()]), summarize(cost()));
  t.equal(headline([]), 'Results');
  t.end();
});
