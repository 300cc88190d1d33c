import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'tape';
import { pgd40 } from '../../src/experiments/columns.js';
import { checkResults, type Checked } from '../../src/experiments/check.js';
import { readResults, writeResults } from '../../src/report/results.js';
import { refused } from '../io/refused.js';
import { folder, run, tiny } from './tiny.js';

test('checkResults: what was measured comes out again, and what was not is noticed', async (t) => {
  const out = await folder();
  await run(['table2'], { out });
  const path = join(out, 'table2.json');
  const before = await readFile(path, 'utf8');
  const check = async (profile = tiny, name = 'table2'): Promise<Checked[]> => {
    const found: Checked[] = [];
    for await (const event of checkResults(name, { profile, out })) if (event.type === 'checked') found.push(event);
    return found;
  };
  const [found] = await check();
  t.deepEqual([found!.row, found!.seed, found!.exact, found!.columns.length], ['lenet normal', 0, true, 9]);
  t.ok(found!.columns.every(({ expected, received }) => expected === received));
  t.equal(await readFile(path, 'utf8'), before, 'nothing is changed');

  const result = await readResults(path);
  const { advLoss } = result.rows[0]!.accuracy;
  advLoss!.values![0] = advLoss!.values![0]! === 0.5 ? 0.4 : 0.5;
  await writeResults(path, result);
  await refused(
    t,
    () => check(),
    'INTERNAL',
    /table2\.json: lenet normal, seed 0, advLoss: expected 0\.\d+ again, received/,
  );

  const [first] = tiny.table2.recipes;
  const other = { ...tiny, table2: { recipes: [{ ...first!, epochs: 3 }], epsilon: 0.5 } };
  await refused(t, () => check(other), 'BAD_FILE', /received some that were made with other settings/);
  const fewer = { ...tiny, table2: { ...tiny.table2, columns: [pgd40(30)] } };
  await refused(t, () => check(fewer), 'BAD_FILE', /received some that were made with other settings/);
  await refused(
    t,
    () => check(tiny, 'figure1'),
    'INVALID_ARGUMENT',
    /check: expected one of table1, table2, fashion, cifar10/,
  );
  await refused(t, () => check(tiny, 'table1'), 'NOT_FOUND', /table1\.json/);
  await rm(out, { recursive: true });
});
