import test from 'tape';
import { norms, scope } from '../../src/index.js';
import { projectedOnBall } from '../../src/adversary/ball.js';
import { projectedOnPlane } from '../../src/adversary/hyperplane.js';
import { dot, inputs, length, matrix, normNames, numbers, rowsOf, type Real } from './networks.js';
import { solver } from './solver.js';

// The projections against a solver for the boxed hyperplane, and against the textbook's sorting for the balls.

const cases = [
  [2, 1, 0.05],
  [5, 2, 0.4],
  [9, 3, 0.8],
  [20, 4, 1.5],
  [20, 5, -1.5],
  [40, 6, 30],
] as const;

for (const dtype of ['float64', 'float32'] as const) {
  test(`projections: on a hyperplane inside a box, ${dtype}`, async (t) => {
    const nearest = await solver();
    const tolerance = dtype === 'float64' ? 1e-6 : 1e-5;
    for (const norm of normNames) {
      const faults: string[] = [];
      for (const [D, seed, offset] of cases) {
        for (const box of [undefined, [0, 1] as [number, number]]) {
          const w = numbers(D, seed).map((value, i) => (i % 3 === 2 ? 0.001 * value : value));
          // Some at the walls, where half of the directions are closed.
          const x = numbers(D, seed + 50, 0, 1).map((value) => (value < 0.2 ? 0 : value > 0.8 ? 1 : value));
          const d = scope(
            () =>
              rowsOf(
                projectedOnPlane(inputs([x], dtype), inputs([w], dtype), inputs([[offset]], dtype), {
                  norm: norms[norm],
                  clip: box,
                }),
              )[0]!,
          );
          const flipped = offset < 0 ? w.map((value) => -value) : w;
          const best = nearest(norm, flipped, Math.abs(offset), x, box);
          const reached = dot(flipped, d);
          const what = `${norm}, D ${D}, offset ${offset}, ${box === undefined ? 'no box' : 'box'}`;
          if (box && d.some((value, i) => value + x[i]! < -1e-7 || value + x[i]! > 1 + 1e-7))
            faults.push(`${what}: outside`);
          if (best === Infinity) {
            const corner = flipped.reduce((sum, value, i) => sum + value * (value > 0 ? 1 - x[i]! : -x[i]!), 0);
            if (Math.abs(reached - corner) > tolerance * (1 + corner))
              faults.push(`${what}: ${reached}, corner ${corner}`);
          } else {
            if (Math.abs(reached - Math.abs(offset)) > tolerance * Math.abs(offset))
              faults.push(`${what}: reaches ${reached}`);
            if (Math.abs(length[norm](d) - best) > 2 * tolerance * best)
              faults.push(`${what}: ${length[norm](d)}, the solver ${best}`);
          }
        }
      }
      t.deepEqual(faults, [], norm);
    }
  });
}

test('projections: a hyperplane through the point, or none, moves nothing; tiny normals have a direction', (t) => {
  scope(() => {
    for (const norm of normNames) {
      for (const clip of [undefined, [0, 1] as [number, number]]) {
        const project = (w: number[], offset: number, dtype: Real = 'float32'): number[] =>
          rowsOf(
            projectedOnPlane(inputs([[0.5, 0.5]], dtype), inputs([w], dtype), inputs([[offset]], dtype), {
              norm: norms[norm],
              clip,
            }),
          )[0]!;
        t.ok(length.linf(project([0, 0], 1)) === 0 && length.linf(project([3, 4], 0)) === 0, `${norm}: nothing moves`);
        for (const scale of [1e-30, 1e-10, 1e10]) {
          const d = project([3 * scale, 4 * scale], scale);
          const best = { l1: 1 / 4, l2: 1 / 5, linf: 1 / 7 }[norm];
          t.ok(Math.abs(length[norm](d) - best) < 1e-6, `${norm}, ${scale}: ${length[norm](d)}`);
        }
      }
    }
  });
  t.end();
});

/** The projection on an L1 ball, by sorting. */
function onL1Ball(row: readonly number[], radius: number): number[] {
  if (length.l1(row) <= radius) return [...row];
  const sorted = row.map(Math.abs).sort((a, b) => b - a);
  let sum = 0;
  let theta = 0;
  sorted.forEach((value, i) => {
    sum += value;
    theta = Math.max(theta, (sum - radius) / (i + 1));
  });
  return row.map((value) => Math.sign(value) * Math.max(0, Math.abs(value) - theta));
}

test('projections: on balls, and what is inside stays', (t) => {
  const rows = [...matrix(6, 30, 1), ...matrix(4, 30, 2, -1e-3, 1e-3), numbers(30, 3, 0, 0)];
  const radii = rows.map((_, i) => [0, 0.3, 2, 5, 0.01, 1e3][i % 6]!);
  for (const norm of normNames) {
    const projected = scope(() =>
      rowsOf(
        projectedOnBall(
          inputs(rows, 'float64'),
          inputs(
            radii.map((radius) => [radius]),
            'float64',
          ),
          norms[norm],
        ),
      ),
    );
    rows.forEach((row, i) => {
      const radius = radii[i]!;
      const expected = {
        l1: onL1Ball(row, radius),
        l2: length.l2(row) > radius ? row.map((value) => (value * radius) / length.l2(row)) : row,
        linf: row.map((value) => Math.min(radius, Math.max(-radius, value))),
      }[norm];
      const off = length.linf(expected.map((value, at) => value - projected[i]![at]!));
      t.ok(off <= 1e-8 * (1 + radius), `${norm}, radius ${radius}: off by ${off}`);
    });
  }
  t.end();
});
