import test from 'tape';
import { attacks, pockets, robustness, slice, tensor } from '../../src/index.js';
import { inputs, linearNetwork } from '../adversary/networks.js';
import { refused } from '../adversary/refused.js';

/** The probability that a standard normal number is below x, by integration. */
function normalBelow(x: number): number {
  let sum = 0;
  for (let at = -8; at < x; at += 1e-4) sum += Math.exp((-at * at) / 2) * 1e-4;
  return sum / Math.sqrt(2 * Math.PI);
}

const plane = linearNetwork(
  [
    [0, 0],
    [3, 4],
  ],
  [0, -5],
);

test('pockets: beside a plane the fraction is the normal distribution of the distance', async (t) => {
  // At distances 1 and 0.2 behind the plane, and once more among other company.
  const x = inputs([
    [1.2, 1.6],
    [0.72, 0.96],
    [0.72, 0.96],
  ]);
  const y = tensor(Int32Array.of(0, 0, 0));
  const found = await pockets(plane, x, y, { levels: [0, 0.3, 1], draws: 2000 });
  for (const { level, fraction } of found) {
    const expected = [1, 0.2, 0.2].map((distance) => (level === 0 ? 1 : normalBelow(distance / level)));
    const off = expected.map((each, i) => Math.abs(each - fraction.data()[i]!));
    // Four standard deviations of 2000 draws.
    t.ok(Math.max(...off) < 4 * Math.sqrt(0.25 / 2000), `level ${level}: ${fraction.toArray().toString()}`);
  }
  const level = { levels: [0.3], draws: 500 };
  const [all] = await pockets(plane, x, y, level);
  for (const row of [1, 2]) {
    const one = [slice(x, [row], [row + 1]), slice(y, [row], [row + 1])] as const;
    const [alone] = await pockets(plane, ...one, { ...level, rows: Int32Array.of(row) });
    t.equal(alone!.fraction.item(), all!.fraction.data()[row], 'an input meets the same noise alone, under its number');
  }
  await refused(t, 'rows', () => pockets(plane, x, y, { ...level, rows: Int32Array.of(2) }), 'SHAPE_MISMATCH', 'rows');
  await refused(t, 'no level', () => pockets(plane, x, y, { levels: [] }), 'INVALID_ARGUMENT', 'levels');
});

test('robustness: the mean distance over the mean length, of what was found', async (t) => {
  const x = inputs([
    [0, 0],
    [0, 1],
    [3, 4],
  ]);
  const { distance } = await attacks.fab(plane, x, [0, 0, 0], { steps: 50 });
  const { rho, examples } = robustness(x, distance);
  // 1 and 1/5 from the plane, and one that is wrong already.
  t.ok(examples === 3 && Math.abs(rho / (1.2 / 6) - 1) < 0.01, `rho ${rho}`);
  t.deepEqual(robustness(x, tensor([1, Infinity, 2])), { rho: 3 / 5, examples: 2 }, 'without those not found');
  await refused(t, 'distances of others', () => robustness(x, tensor([1])), 'SHAPE_MISMATCH', 'expected distances [3]');
});
