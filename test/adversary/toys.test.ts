import test from 'tape';
import { attacks, concat, mul, sub, sum, type AttackOptions, type DefinedAttack } from '../../src/index.js';
import { faults } from './faults.js';
import { dense, inputs, length, matrix, minus, network, normNames, predictions } from './networks.js';

// The attacks of a given length where the nearest boundary is known: they reach it when they can, and never else.

type Budgeted = DefinedAttack<AttackOptions & { epsilon: number }>;

/** What each is asked beside the length, and whether it must break what can be broken with 5 % to spare. */
const entries: Record<string, [options: Record<string, unknown>, isThorough: boolean]> = {
  fgm: [{}, false],
  advAlpha: [{}, false],
  noise: [{ repeats: 20 }, false],
  square: [{ queries: 60 }, false],
  pgd: [{ steps: 60, restarts: 3 }, true],
  apgd: [{ steps: 60, restarts: 3 }, true],
  autoAttack: [{ steps: 50, queries: 60 }, true],
};

/** Of two entries the steps of apgd for l1 move both alike, and so never go along an edge of the ball. */
const mustFind = (name: string, norm: string): boolean => entries[name]![1] && !(name === 'apgd' && norm === 'l1');

const nearestOf = (
  at: readonly number[],
  boundary: readonly (readonly number[])[],
  norm: (typeof normNames)[number],
): number => boundary.reduce((least, point) => Math.min(least, length[norm](minus(point, at))), Infinity);

test('toys: beside an ellipse, a quadratic classifier', async (t) => {
  // Class 1 inside x² + 4 y² = 1, class 0 outside.
  const ellipse = network((x) => {
    const value = sum(mul(mul(x, x), inputs([[1, 4]], x.dtype as 'float64')), { axes: [-1], keepDims: true });
    return concat([sub(value, 1), mul(value, 0)], { axis: 1 });
  });
  const boundary = Array.from({ length: 20000 }, (_, i) => (2 * Math.PI * i) / 20000).map((angle) => [
    Math.cos(angle),
    Math.sin(angle) / 2,
  ]);
  const points = [
    [2, 0.1],
    [1.2, 0.9],
    [-0.8, 0.9],
  ];
  for (const norm of normNames) {
    for (const point of points) {
      const [x, least] = [inputs([point], 'float64'), nearestOf(point, boundary, norm)];
      for (const [name, [options]] of Object.entries(entries)) {
        const attack = (attacks as unknown as Record<string, Budgeted>)[name]!;
        for (const epsilon of [0.999 * least, 1.05 * least]) {
          const asked = { ...options, norm, epsilon };
          const result = await attack(ellipse, x, [0], asked);
          t.deepEqual(faults(ellipse, x, [0], result, asked), [], `${name}, ${norm}: sound`);
          if (epsilon < least) t.equal(result.success.item(), 0, 'no nearer than the boundary is');
          else if (mustFind(name, norm)) t.equal(result.success.item(), 1, 'and there');
        }
      }
    }
  }
});

test('toys: a network of two inputs that is searched in full', async (t) => {
  const model = dense(2, 3, 5, [12]).to('float64').eval();
  const [step, side] = [0.02, 201];
  const grid = Array.from({ length: side * side }, (_, i) => [
    -2 + step * (i % side),
    -2 + step * Math.floor(i / side),
  ]);
  const classes = predictions(model, inputs(grid, 'float64'));
  const points = matrix(8, 2, 21, -1, 1);
  const x = inputs(points, 'float64');
  const y = predictions(model, x);
  for (const norm of normNames) {
    const nearest = points.map((point, i) => {
      const others = grid.filter((_, j) => classes[j] !== y[i]);
      return nearestOf(point, others, norm);
    });
    const epsilon = [...nearest].sort((a, b) => a - b)[4]! * 1.01;
    for (const [name, [options]] of Object.entries(entries)) {
      const asked = { ...options, norm, epsilon };
      const result = await (attacks as unknown as Record<string, Budgeted>)[name]!(model, x, y, asked);
      t.deepEqual(faults(model, x, y, result, asked), [], `${name}, ${norm}: sound`);
      const wrong = Array.from(result.success.data()).filter((broken, i) => {
        // The grid is right to a cell.
        if (broken === 1) return nearest[i]! - 2 * step > epsilon;
        return mustFind(name, norm) && nearest[i]! * 1.05 < epsilon;
      });
      t.deepEqual(wrong, [], 'as the search has it');
    }
  }
});
