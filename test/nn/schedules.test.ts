import test from 'tape';
import { schedules, type SparringError } from '../../src/index.js';

test('piecewise: each factor for its share of the steps', (t) => {
  // The authors' rates on CIFAR-10, at 3 steps an epoch.
  const schedule = schedules.piecewise([
    [50, 1],
    [5, 0.12],
    [5, 0.04],
    [5, 0.004],
  ]);
  const factors = Array.from({ length: 195 }, (_, step) => schedule(step, 195));
  const expected = [1, 0.12, 0.04, 0.004].flatMap((factor, i) => new Array<number>([150, 15, 15, 15][i]!).fill(factor));
  t.deepEqual(factors, expected, 'in epochs');
  t.deepEqual(
    [0, 1, 2, 3, 4].map((step) =>
      schedules.piecewise([
        [1, 3],
        [1, 2],
      ])(step, 5),
    ),
    [3, 3, 3, 2, 2],
    'a step that spans two belongs to the one it begins in',
  );
  t.equal(schedule(195, 195), 0.004, 'after the end the last one holds');
  for (const pieces of [[], [[0, 1]], [[1, -1]], [[1, NaN]], [[-1, 1]]] as [number, number][][]) {
    try {
      schedules.piecewise(pieces);
      t.fail(`${JSON.stringify(pieces)} is taken`);
    } catch (error) {
      t.equal((error as SparringError).code, 'INVALID_ARGUMENT', JSON.stringify(pieces));
    }
  }
  t.end();
});
