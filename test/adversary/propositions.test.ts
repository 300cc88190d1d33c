import loadHighs from 'highs';
import test from 'tape';
import { attacks, scope, softmaxJacobian, type AttackResult, type NormName, type Tensor } from '../../src/index.js';
import { argmaxOf, dot, inputs, length, linearNetwork, matrix, minus, normNames, numbers, rowsOf } from './networks.js';
import { farthest } from '../tensor/numbers.js';
import { perClass, perClassOfLogits } from './reference.js';

// Propositions 2.1 and 2.2 against a solver that knows nothing of the closed forms. A constraint is u·r >= 1: the paper's
// (T_j - T_J)·r >= α_J - α_j divided by its right side, so that the solver's tolerances mean the same for all.

interface Solver {
  solve(program: string, options: Readonly<Record<string, unknown>>): { Status: string; ObjectiveValue: number };
}

let highs: Solver;

test('propositions: the solver', async (t) => {
  // The package's types describe its CommonJS face.
  highs = await (loadHighs as unknown as () => Promise<Solver>)();
  t.equal(least('l2', [3, 4]).toFixed(9), '0.200000000', 'knows how far a line is');
});

const term = (factor: number, name: string): string =>
  `${factor < 0 ? '-' : '+'} ${Math.abs(factor).toFixed(15)} ${name}`;
const terms = (u: readonly number[], names: (i: number) => [string, number][]): string =>
  u.flatMap((value, i) => names(i).map(([name, sign]) => term(sign * value, name))).join(' ');

/** How a norm is written as a program: what is minimised, what ties its variables, how r_i reads, which are free. */
const programs: Record<
  NormName,
  (D: number) => { objective: string; ties: string[]; r: (i: number) => [string, number][]; free: string[] }
> = {
  l1: (D) => ({
    objective: Array.from({ length: D }, (_, i) => `p${i} + n${i}`).join(' + '),
    ties: [],
    r: (i) => [
      [`p${i}`, 1],
      [`n${i}`, -1],
    ],
    free: [],
  }),
  linf: (D) => ({
    objective: 't',
    ties: Array.from({ length: D }, (_, i) => [`t - r${i} >= 0`, `t + r${i} >= 0`]).flat(),
    r: (i) => [[`r${i}`, 1]],
    free: Array.from({ length: D }, (_, i) => `r${i} free`),
  }),
  l2: (D) => ({
    objective: `[ ${Array.from({ length: D }, (_, i) => `r${i}^2`).join(' + ')} ] / 2`,
    ties: [],
    r: (i) => [[`r${i}`, 1]],
    free: Array.from({ length: D }, (_, i) => `r${i} free`),
  }),
};

function solve(norm: NormName, D: number, constraints: string[], binaries: string[] = []): number {
  const { objective, ties, free } = programs[norm](D);
  const lines = [
    'Minimize',
    `  obj: ${objective}`,
    'Subject To',
    ...[...ties, ...constraints].map((line, i) => `  c${i}: ${line}`),
  ];
  lines.push(
    'Bounds',
    ...free.map((line) => `  ${line}`),
    ...(binaries.length > 0 ? ['Binary', `  ${binaries.join(' ')}`] : []),
    'End',
  );
  const { Status, ObjectiveValue } = highs.solve(lines.join('\n'), {
    output_flag: false,
    mip_rel_gap: 1e-9,
    primal_feasibility_tolerance: 1e-9,
    mip_feasibility_tolerance: 1e-9,
  });
  if (Status !== 'Optimal') throw new Error(`the solver ended with ${Status}`);
  return norm === 'l2' ? Math.sqrt(2 * ObjectiveValue) : ObjectiveValue;
}

/** min ‖r‖ with u·r >= 1, by the solver. */
const least = (norm: NormName, u: readonly number[]): number =>
  solve(norm, u.length, [`${terms(u, programs[norm](u.length).r)} >= 1`]);

/** min ‖r‖ with u_j·r >= 1 for some j, as one mixed-integer program: of the choices s_j at least one is made. */
function leastOfAny(norm: NormName, us: readonly (readonly number[])[], bound: number): number {
  const D = us[0]!.length;
  const { r } = programs[norm](D);
  const choice = us.map((u, j) => {
    // With ‖r‖ no more than `bound`, u·r cannot be less than -slack: without its choice a constraint is idle.
    const slack = 1 + bound * length.l1(u);
    return `${terms(u, r)} - ${slack.toFixed(9)} s${j} >= ${(1 - slack).toFixed(9)}`;
  });
  const names = us.map((_, j) => `s${j}`);
  return solve(norm, D, [...choice, `${names.join(' + ')} >= 1`], names);
}

const release = (model: { dispose(): void }, x: Tensor, found: AttackResult): void => {
  for (const each of [model, x, ...(Object.values(found) as Tensor[])]) each.dispose();
};

/** Probabilities and their Jacobian T of a linear network, by the textbook: T_k = α_k (W_k - Σ α_l W_l). */
function softmaxOf(logits: readonly number[], weight: readonly number[][]): { alpha: number[]; T: number[][] } {
  const raised = logits.map(Math.exp);
  const total = raised.reduce((sum, value) => sum + value);
  const alpha = raised.map((value) => value / total);
  const mean = weight[0]!.map((_, i) => weight.reduce((sum, row, k) => sum + alpha[k]! * row[i]!, 0));
  return { alpha, T: weight.map((row, k) => minus(row, mean).map((value) => alpha[k]! * value)) };
}

/** The constraints' rows u_j, by class, of what is linearised. */
function constraintsOf(values: readonly number[], rows: readonly number[][]): { target: number; u: number[] }[] {
  const top = argmaxOf(values);
  return values.flatMap((value, target) =>
    target === top
      ? []
      : [{ target, u: minus(rows[target]!, rows[top]!).map((entry) => entry / (values[top]! - value)) }],
  );
}

const sizes = [
  [2, 2],
  [2, 9],
  [3, 5],
  [4, 20],
  [5, 13],
  [7, 3],
  [9, 2],
  [12, 7],
] as const;
const near = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance * Math.abs(b);

for (const linearize of ['probabilities', 'logits'] as const) {
  for (const norm of normNames) {
    test(`propositions: the smallest perturbation of the linearised ${linearize} in ${norm} is a solver's`, async (t) => {
      for (const [seed, [K, D]] of sizes.entries()) {
        const [weight, bias] = [matrix(K, D, 10 * seed + 1), numbers(K, 10 * seed + 2)];
        const exact = linearNetwork(weight, bias, 'float64');
        const x = inputs(matrix(2, D, 10 * seed + 3), 'float64');
        const found = await attacks.minimal(exact, x, rowsOf(exact.forward(x)).map(argmaxOf), { norm, linearize });
        const [directions, lengths, targets] = [rowsOf(found.direction), found.length.data(), found.target.data()];
        const faults: string[] = [];
        for (const [row, numbers] of rowsOf(x).entries()) {
          scope(() => {
            const at = inputs([numbers], 'float64');
            const logits = weight.map((row, k) => dot(row, numbers) + bias[k]!);
            const { alpha, T } = softmaxOf(logits, weight);
            const constraints = linearize === 'logits' ? constraintsOf(logits, weight) : constraintsOf(alpha, T);
            const { probabilities, jacobian } = softmaxJacobian(exact, at);
            if (farthest(probabilities.data(), alpha) > 1e-14) faults.push('softmaxJacobian: probabilities');
            if (farthest(jacobian.data(), T.flat()) > 1e-14) faults.push('softmaxJacobian: jacobian');
            const solved = constraints.map(({ u }) => least(norm, u));
            const best = Math.min(...solved);

            const closed =
              linearize === 'logits' ? perClassOfLogits(logits, weight, norm) : perClass(logits, weight, norm);
            closed.forEach((each, i) => {
              if (!near(each.length, solved[i]!, 2e-6))
                faults.push(`2.1: class ${each.target}: ${each.length}, the solver ${solved[i]}`);
            });

            const [size, target] = [lengths[row]!, targets[row]!];
            const chosen = constraints.findIndex((each) => each.target === target);
            const r = directions[row]!.map((value) => value * size);
            if (!near(size, best, 2e-6)) faults.push(`2.2: length ${size}, the solver ${best}`);
            if (!near(length[norm](r), size, 1e-9)) faults.push(`direction of length ${length[norm](r) / size}`);
            if (!(dot(constraints[chosen]!.u, r) >= 1 - 1e-9))
              faults.push(`not feasible: ${dot(constraints[chosen]!.u, r)}`);
            if (!near(solved[chosen]!, best, 2e-6))
              faults.push(`target ${target} costs ${solved[chosen]}, the best ${best}`);
          });
        }
        t.deepEqual(faults, [], `${K} classes, ${D} inputs`);
        release(exact, x, found);
      }
    });
  }
}

test('propositions: Proposition 2.2 as it is posed, with the choice of the class left to the solver', async (t) => {
  for (const norm of ['l1', 'linf'] as const) {
    for (const [seed, [K, D]] of (
      [
        [3, 5],
        [6, 4],
        [8, 9],
      ] as const
    ).entries()) {
      const weight = matrix(K, D, 50 + seed);
      const exact = linearNetwork(weight, numbers(K, 60 + seed), 'float64');
      const x = inputs(matrix(1, D, 70 + seed), 'float64');
      const logits = rowsOf(exact.forward(x))[0]!;
      const found = await attacks.minimal(exact, x, [argmaxOf(logits)], { norm });
      const { alpha, T } = softmaxOf(logits, weight);
      const constraints = constraintsOf(alpha, T);
      const solved = leastOfAny(
        norm,
        constraints.map(({ u }) => u),
        2 * found.length.item(),
      );
      t.ok(
        near(found.length.item(), solved, 1e-5),
        `${norm}, ${K} classes, ${D} inputs: ${found.length.item()}, the solver ${solved}`,
      );
      t.notEqual(found.target.item(), argmaxOf(logits), 'and it leads to another class');
      release(exact, x, found);
    }
  }
});

test('propositions: float32 networks give the same to single precision', async (t) => {
  for (const norm of normNames) {
    const [weight, bias, points] = [matrix(6, 11, 1), numbers(6, 2), matrix(9, 11, 3)];
    const [single, exact] = [linearNetwork(weight, bias), linearNetwork(weight, bias, 'float64')];
    const [x, same] = [inputs(points), inputs(points, 'float64')];
    const labels = rowsOf(exact.forward(same)).map(argmaxOf);
    const a = await attacks.minimal(single, x, labels, { norm });
    const b = await attacks.minimal(exact, same, labels, { norm });
    t.equal(a.length.dtype, 'float64', 'lengths are float64');
    t.deepEqual(a.target.toArray(), b.target.toArray(), `${norm}: targets`);
    t.ok(
      a.length.data().every((value, i) => near(value, b.length.data()[i]!, 1e-5)),
      'lengths',
    );
    t.ok(
      rowsOf(a.direction).every((row, i) => length.linf(minus(row, rowsOf(b.direction)[i]!)) < 1e-5),
      'directions',
    );
  }
});
