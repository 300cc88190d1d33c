/** The shortest way to a hyperplane inside a box, by a solver that knows nothing of projections. */
import loadHighs from 'highs';
import type { NormName } from '../../src/index.js';

interface Solver {
  solve(program: string, options: Readonly<Record<string, unknown>>): { Status: string; ObjectiveValue: number };
}

/** min ‖d‖ with w·d >= offset and low <= x + d <= high, or Infinity where the box does not reach it. */
export type Nearest = (
  norm: NormName,
  w: readonly number[],
  offset: number,
  x: readonly number[],
  box?: readonly [number, number],
) => number;

const term = (factor: number, name: string): string =>
  `${factor < 0 ? '-' : '+'} ${Math.abs(factor).toFixed(15)} ${name}`;

/** Loads the solver. */
export async function solver(): Promise<Nearest> {
  const highs = await (loadHighs as unknown as () => Promise<Solver>)();
  return (norm, w, offset, x, box) => {
    const names = w.map((_, i) => `d${i}`);
    const sizes = w.map((_, i) => `s${i}`);
    const ties = {
      l1: names.flatMap((name, i) => [`s${i} - ${name} >= 0`, `s${i} + ${name} >= 0`]),
      linf: names.flatMap((name) => [`t - ${name} >= 0`, `t + ${name} >= 0`]),
      l2: [],
    }[norm];
    const objective = {
      l1: sizes.join(' + '),
      linf: 't',
      l2: `[ ${names.map((name) => `${name}^2`).join(' + ')} ] / 2`,
    }[norm];
    const bounds = names.map((name, i) =>
      box === undefined
        ? `${name} free`
        : `${(box[0] - x[i]!).toFixed(15)} <= ${name} <= ${(box[1] - x[i]!).toFixed(15)}`,
    );
    const reach = `${names.map((name, i) => term(w[i]!, name)).join(' ')} >= ${offset.toFixed(15)}`;
    const program = [
      `Minimize\n obj: ${objective}`,
      `Subject To\n${[...ties, reach].map((line, i) => ` c${i}: ${line}`).join('\n')}`,
      `Bounds\n${bounds.map((line) => ` ${line}`).join('\n')}`,
      'End',
    ].join('\n');
    const { Status, ObjectiveValue } = highs.solve(program, {
      output_flag: false,
      primal_feasibility_tolerance: 1e-9,
      dual_feasibility_tolerance: 1e-9,
    });
    if (Status === 'Infeasible') return Infinity;
    if (Status !== 'Optimal') throw new Error(`the solver ended with ${Status}`);
    return norm === 'l2' ? Math.sqrt(2 * Math.max(0, ObjectiveValue)) : ObjectiveValue;
  };
}
