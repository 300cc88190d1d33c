import fc from 'fast-check';
import test from 'tape';
import { paperTable2 } from '../../src/report/paper.js';
import { markdownTable, textTable } from '../../src/report/table.js';
import { cost, curve, learning, result, row, table } from './sample.js';

test('textTable: ours, the paper beneath our means, aligned', (t) => {
  t.equal(
    textTable(table()),
    `Table 1, MLP, L2 length 1.5, 3 seeds, quick profile
accuracy in %, ± 95 % interval, the paper beneath

         Validation        Test       Fixed  Adv_Loss_Sign    Adv_Loss   Adv_Alpha
Normal   98.3 ± 1.0  98.1 ± 1.0  35.4 ± 3.0     28.1 ± 2.9  19.5 ± 2.6   7.2 ± 1.8
  paper  98.0                    31.4           19.3         9.1         7.8
LWA      99.0 ± 0.8  98.9 ± 0.9  97.4 ± 1.2     94.5 ± 1.6  86.8 ± 2.2  86.3 ± 2.3
  paper  98.7                    96.2           93.5        86.0        85.7

paper: Huang, Xu, Schuurmans, Szepesvári: Learning with Adversary, Table 1
`,
  );
  t.end();
});

test('textTable: curves, learning curves, costs, nothing', (t) => {
  const of = (file: Parameters<typeof textTable>[0]) => textTable(file).trimEnd().split('\n');
  t.equal(of(curve())[0], 'Figure 1, LeNet, Normal, 3 seeds, quick profile', 'what all lines share is said once');
  t.match(of(curve())[4]!, /^L2 length 0 +99\.0/, 'what sets them apart names them');
  t.equal(of(learning()).length, 6, 'a learning curve has a line per network');
  t.match(of(learning())[0]!, /epoch 3/);
  t.match(of(learning())[5]!, /^LWA +98\.5 .* 60\.0/);
  t.match(of(cost()).join('\n'), /Time\nAdv_Loss +4\.00 ms\nAdv_Alpha +16\.0 ms$/);
  t.deepEqual(of(result({ rows: [] })), ['Table 1, 3 seeds, quick profile'], 'no rows, no table');
  t.end();
});

test('textTable: a column that a network lacks, a method the paper lacks, other spellings', (t) => {
  const file = result({
    rows: [
      row('normal', { validation: 990 }),
      row('LWA', { 'Adv-Loss': 950 }, { model: 'lenet' }),
      row('mine', { pgd: 10 }),
    ],
    paper: {
      source: 'them',
      rows: [
        { method: 'lwa', model: 'LeNet', accuracy: { advLoss: 0.9533 } },
        { method: 'mine', model: 'lenet', accuracy: { pgd: 1 } },
      ],
    },
  });
  const text = textTable(file);
  t.match(text, /Validation +Adv_Loss +PGD/);
  t.match(text, /LeNet, LWA +– +95\.00 ± 1\.5\d +–\n {2}paper +95\.33/, 'the paper by any spelling, in its decimals');
  t.notOk(text.includes('100.00'), 'not of another model');
  t.end();
});

test('textTable: narrower than 100 columns whatever it holds', (t) => {
  const name = fc.string({ minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(name, { minLength: 1, maxLength: 12 }),
      fc.array(name, { minLength: 1, maxLength: 4 }),
      name,
      (columns, methods, source) => {
        const values = Object.fromEntries(columns.map((column) => [column, 500]));
        const file = result({
          profile: methods.join(' '),
          rows: methods.map((method) => row(method, values)),
          paper: {
            source,
            rows: methods.map((method) => ({
              method,
              accuracy: Object.fromEntries(columns.map((column) => [column, 0.5])),
            })),
          },
        });
        return textTable(file)
          .split('\n')
          .every((line) => Array.from(line).length < 100 && !/[\p{Cc}]/u.test(line));
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});

test('markdownTable: the paper in brackets, the best in bold', (t) => {
  t.equal(
    markdownTable(table()),
    `| Table 1 | Validation | Test | Fixed | Adv_Loss_Sign | Adv_Loss | Adv_Alpha |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| Normal | 98.3 ± 1.0 (98.0) | 98.1 ± 1.0 | 35.4 ± 3.0 (31.4) | 28.1 ± 2.9 (19.3) | 19.5 ± 2.6 (9.1) | 7.2 ± 1.8 (7.8) |
| LWA | **99.0 ± 0.8** (98.7) | **98.9 ± 0.9** | **97.4 ± 1.2** (96.2) | **94.5 ± 1.6** (93.5) | **86.8 ± 2.2** (86.0) | **86.3 ± 2.3** (85.7) |

MLP, L2 length 1.5, 3 seeds, quick profile; accuracy in %, ± 95 % interval, in brackets the paper (Huang, Xu, Schuurmans, Szepesvári: Learning with Adversary, Table 1).
`,
  );
  t.end();
});

test('markdownTable: equals are both the best, one alone is not, names are escaped', (t) => {
  const equals = markdownTable(result({ rows: [row('lwa', { test: 900 }), row('vat', { test: 900 })] }));
  t.equal(equals.match(/\*\*90\.0/g)?.length, 2);
  t.notOk(markdownTable(result({ paper: paperTable2 })).includes('**'));
  const wild = markdownTable(result({ rows: [row('a|b*c_d_<e>\n[f]', { test: 900 })] }));
  t.match(wild, /\| a\\\|b\\\*c_d\\_\\<e\\> \\\[f\\\] \|/);
  t.end();
});
