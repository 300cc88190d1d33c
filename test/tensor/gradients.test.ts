import test from 'tape';
import { vjp } from '../../src/autodiff/autodiff.js';
import { native } from '../../src/native.js';
import { add, call, mul, sum } from '../../src/tensor/ops.js';
import { planned } from '../../src/tensor/plan.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { farthest, identical, seeded, sizeOf } from './numbers.js';
import { examples, samples, updates, type Input, type Sample } from './samples.js';

type Real = 'float32' | 'float64';

/** Numbers of a list of tensors, as one point of a space. */
type Point = readonly Float64Array[];

function made({ shape, values }: Input, dtype: Real): Tensor {
  return tensor(values, { shape, dtype: values instanceof Int32Array ? 'int32' : dtype });
}

/** A sample as a function of the inputs that it is differentiated by. */
class Call {
  readonly by: readonly number[];
  readonly shapes: readonly (readonly number[])[];

  constructor(
    readonly op: string,
    readonly sample: Sample,
    readonly dtype: Real = 'float64',
  ) {
    const isReal = (index: number): boolean => sample.inputs[index]!.values instanceof Float64Array;
    this.by = sample.by ?? [...sample.inputs.keys()].filter(isReal);
    this.shapes = this.by.map((index) => sample.inputs[index]!.shape);
  }

  /** The sample's own numbers. */
  get point(): Point {
    return this.by.map((index) => this.sample.inputs[index]!.values as Float64Array);
  }

  tensors(point: Point): Tensor[] {
    return point.map((values, index) => tensor(values, { shape: this.shapes[index]!, dtype: this.dtype }));
  }

  apply(x: readonly Tensor[]): Tensor {
    const inputs = this.sample.inputs.map((input, index) => {
      const place = this.by.indexOf(index);
      return place < 0 ? made(input, this.dtype) : x[place]!;
    });
    return call(this.op, inputs, this.sample.attributes)[0]!;
  }

  pullback(x: readonly Tensor[], cotangent: Tensor): readonly Tensor[] {
    return vjp((inner: readonly Tensor[]) => this.apply(inner), x).pullback(cotangent);
  }

  /** The number <pullback of the cotangent at x, weights>, whose gradient is of second order. */
  paired(x: readonly Tensor[], cotangent: Tensor, weights: readonly Tensor[]): Tensor {
    return this.pullback(x, cotangent)
      .map((gradient, index) => sum(mul(gradient, weights[index]!)))
      .reduce((total, term) => add(total, term));
  }

  /** The gradient of `paired` by x and by the cotangent. */
  second(x: readonly Tensor[], cotangent: Tensor, weights: readonly Tensor[]): readonly Tensor[] {
    const { value, pullback } = vjp(
      (leaves: readonly Tensor[]) => this.paired(leaves.slice(0, -1), leaves.at(-1)!, weights),
      [...x, cotangent],
    );
    return pullback(tensor(1, { shape: value.shape, dtype: this.dtype }));
  }
}

const numbersOf = (tensors: readonly Tensor[]): Float64Array[] => tensors.map((each) => Float64Array.from(each.data()));

const moved = (point: Point, direction: Point, step: number): Point =>
  point.map((values, index) => values.map((value, i) => value + step * direction[index]![i]!));

function dot(a: Point, b: Point): number {
  return a.reduce((total, values, index) => values.reduce((part, value, i) => part + value * b[index]![i]!, total), 0);
}

/** The sum of the products' magnitudes: what the rounding of their sum is measured by. */
const magnitude = (a: Point, b: Point): number =>
  dot(
    a.map((values) => values.map(Math.abs)),
    b.map((values) => values.map(Math.abs)),
  );

/** The derivative of a function of one number at 0, by central differences of fourth order. */
function slope(f: (t: number) => Float64Array): Float64Array {
  const h = 1e-3;
  const [far, near, back, farBack] = [f(2 * h), f(h), f(-h), f(-2 * h)];
  return far.map((value, i) => (8 * (near[i]! - back[i]!) - (value - farBack[i]!)) / (12 * h));
}

function randomPoint(shapes: readonly (readonly number[])[], seed: number): Point {
  const next = seeded(seed);
  return shapes.map((shape) => Float64Array.from({ length: sizeOf(shape) }, () => 2 * next() - 1));
}

/** What two sides of an equation differ by, relative to what their terms amount to. */
function difference(a: number, b: number, scale: number): number {
  return a === b ? 0 : Math.abs(a - b) / Math.max(scale, Math.abs(a), Math.abs(b));
}

function differenceOf(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  const largest = Math.max(
    1e-30,
    ...b.map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)),
  );
  return Math.max(0, ...a.map((values, index) => farthest(values, b[index]!))) / largest;
}

function firstOrder(f: Call, shape: readonly number[]): number {
  const [v] = randomPoint([shape], 1);
  const w = randomPoint(f.shapes, 2);
  const numeric = slope((t) => numbersOf([f.apply(f.tensors(moved(f.point, w, t)))])[0]!);
  const exact = numbersOf(f.pullback(f.tensors(f.point), tensor(v!, { shape })));
  return difference(dot([v!], [numeric]), dot(exact, w), magnitude([v!], [numeric]) + magnitude(exact, w));
}

/** All elements of the Jacobian, which one pullback of the unit cotangents gives. */
function elements(f: Call, shape: readonly number[]): number {
  const n = sizeOf(shape);
  const units = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const rows = f.pullback(f.tensors(f.point), tensor(units, { shape: [n, ...shape] }));
  return Math.max(
    ...rows.map((jacobian, index) => {
      const exact = jacobian.data();
      const width = f.point[index]!.length;
      let most = 0;
      for (let i = 0; i < width; i++) {
        const direction = f.point.map((values, at) => values.map((_, j) => (at === index && j === i ? 1 : 0)));
        const numeric = slope((t) => numbersOf([f.apply(f.tensors(moved(f.point, direction, t)))])[0]!);
        numeric.forEach((value, k) => (most = Math.max(most, difference(value, exact[k * width + i]!, 1))));
      }
      return most;
    }),
  );
}

function secondOrder(f: Call, shape: readonly number[]): { byInput: number; byCotangent: number } {
  const [v, dv] = randomPoint([shape, shape], 3);
  const u = randomPoint(f.shapes, 4);
  const w = randomPoint(f.shapes, 5);
  const cotangent = tensor(v!, { shape });
  const exact = numbersOf(f.second(f.tensors(f.point), cotangent, f.tensors(u)));
  const byInput = exact.slice(0, -1);
  const numeric = slope((t) =>
    Float64Array.of(dot(numbersOf(f.pullback(f.tensors(moved(f.point, w, t)), cotangent)), u)),
  );
  // The pullback is linear in the cotangent: its derivative along dv is its value there.
  const along = numbersOf(f.pullback(f.tensors(f.point), tensor(dv!, { shape })));
  const gradients = numbersOf(f.pullback(f.tensors(f.point), cotangent));
  const scale = magnitude(byInput, w) + magnitude(gradients, u);
  return {
    byInput: difference(numeric[0]!, dot(byInput, w), scale),
    byCotangent: difference(dot(along, u), dot([exact.at(-1)!], [dv!]), magnitude(along, u)),
  };
}

/** The k-th of the entries along the first axis. */
function entry(each: Tensor, k: number): Float64Array {
  const width = sizeOf(each.shape.slice(1));
  return Float64Array.from(each.data()).slice(k * width, (k + 1) * width);
}

const lead = 3;

function batched(f: Call, shape: readonly number[]): number {
  const x = f.tensors(f.point);
  const many = tensor(randomPoint([[lead, ...shape]], 6)[0]!, { shape: [lead, ...shape] });
  const together = f.pullback(x, many);
  const worst = Array.from({ length: lead }, (_, k) => {
    const alone = numbersOf(f.pullback(x, tensor(entry(many, k), { shape })));
    return differenceOf(
      together.map((gradient) => entry(gradient, k)),
      alone,
    );
  });
  const shaped = together.every((gradient, index) => gradient.shape.join() === [lead, ...f.shapes[index]!].join());
  return shaped ? Math.max(...worst) : Infinity;
}

/** A batched pullback inside a function that is itself differentiated, and its own batched pullback. */
function batchedSecond(f: Call, shape: readonly number[]): { sums: number; rows: number } {
  const x = f.tensors(f.point);
  const shapes = [[lead, ...shape], ...f.shapes.map((each) => [lead, ...each])];
  const [v, ...u] = randomPoint(shapes, 7).map((values, index) => tensor(values, { shape: shapes[index]! }));
  const together = numbersOf(f.second(x, v!, u));
  const parts = Array.from({ length: lead }, (_, k) => {
    const weights = u.map((each, index) => tensor(entry(each, k), { shape: f.shapes[index]! }));
    return numbersOf(f.second(x, tensor(entry(v!, k), { shape }), weights));
  });
  const summed = f.shapes.map((_, index) =>
    parts[0]![index]!.map((__, i) => parts.reduce((total, part) => total + part[index]![i]!, 0)),
  );
  const sums = Math.max(
    differenceOf(together.slice(0, -1), summed),
    ...parts.map((part, k) => differenceOf([entry(tensor(together.at(-1)!, { shape: v!.shape }), k)], [part.at(-1)!])),
  );

  // Two leads at once: [2, lead, ...] cotangents of a pullback of [lead, ...] ones, for each input's gradient.
  const rows = f.shapes.map((own, index) => {
    const gradient = (leaves: readonly Tensor[]): Tensor => f.pullback(leaves.slice(0, -1), leaves.at(-1)!)[index]!;
    const { pullback } = vjp(gradient, [...x, v!]);
    const outer = [lead, ...own];
    const many = tensor(randomPoint([[2, ...outer]], 8)[0]!, { shape: [2, ...outer] });
    const both = pullback(many);
    return Math.max(
      ...[0, 1].map((k) => {
        const alone = numbersOf(pullback(tensor(entry(many, k), { shape: outer })));
        return differenceOf(
          both.map((each) => entry(each, k)),
          alone,
        );
      }),
    );
  });
  return { sums, rows: Math.max(...rows) };
}

function inSingle(op: string, sample: Sample): number {
  const rounded: Sample = {
    ...sample,
    inputs: sample.inputs.map(({ shape, values }) => ({
      shape,
      values: values instanceof Int32Array ? values : Float64Array.from(values, Math.fround),
    })),
  };
  const results = (['float32', 'float64'] as const).map((dtype) => {
    const f = new Call(op, rounded, dtype);
    const x = f.tensors(f.point);
    const value = f.apply(x);
    const cotangent = randomPoint([value.shape], 9)[0]!.map(Math.fround);
    const gradients = f.pullback(x, tensor(cotangent, { shape: value.shape, dtype: value.dtype }));
    return numbersOf([value, ...gradients]);
  });
  const [single, double] = results as [Float64Array[], Float64Array[]];
  return Math.max(...double.map((expected, index) => differenceOf([single[index]!], [expected])));
}

/** Value, gradient and second-order gradient, eagerly and by a plan. */
function asPlanned(op: string, sample: Sample, dtype: Real): boolean {
  const f = new Call(op, sample, dtype);
  const value = f.apply(f.tensors(f.point));
  const [v] = randomPoint([value.shape], 10);
  const cotangent = tensor(v!, { shape: value.shape, dtype: value.dtype });
  const inputs = [...f.tensors(f.point), cotangent, ...f.tensors(randomPoint(f.shapes, 11))];
  const all = (...given: Tensor[]): Tensor[] => {
    const [x, v, u] = [given.slice(0, f.shapes.length), given[f.shapes.length]!, given.slice(f.shapes.length + 1)];
    return [f.apply(x), ...f.pullback(x, v), ...f.second(x, v, u)];
  };
  const eager = all(...inputs);
  const plan = planned(all);
  const replayed = [plan.sync(...inputs), plan.sync(...inputs)];
  plan.dispose();
  return replayed.every((each) => each.every((output, index) => identical(output, eager[index]!)));
}

const shapesOf = (sample: Sample): string =>
  `${sample.inputs.map(({ shape }) => `[${shape.join()}]`).join(' ')} ${JSON.stringify(sample.attributes ?? {})}`;

test('gradients: every op of the engine is checked', (t) => {
  const listed = new Map(native.ops().map((op) => [op.name, op]));
  for (const { name, differentiable, inPlace } of listed.values()) {
    const [place, table]: [string, Record<string, unknown[]>] = inPlace
      ? ['updates', updates]
      : differentiable
        ? ['samples', samples]
        : ['examples', examples];
    t.ok(table[name]?.length, `${name} stands among the ${place}`);
  }
  const known = Object.keys({ ...samples, ...examples, ...updates });
  t.deepEqual(
    known.filter((name) => !listed.has(name)),
    [],
    'no sample is of an op that there is not',
  );
  t.end();
});

for (const [op, list] of Object.entries(samples)) {
  test(`gradients: ${op}`, (t) => {
    for (const sample of list) {
      scope(() => {
        const f = new Call(op, sample);
        const shape = f.apply(f.tensors(f.point)).shape;
        const at = shapesOf(sample);
        const check = (what: string, found: number, allowed: number): void =>
          t.ok(found <= allowed, `${what} of ${at}: off by ${found.toExponential(1)}`);
        check('first order', firstOrder(f, shape), 1e-9);
        const small = sizeOf(shape) <= 24 && f.point.every((values) => values.length <= 24);
        if (small && sizeOf(shape) > 0) check('elements', elements(f, shape), 1e-8);
        const { byInput, byCotangent } = secondOrder(f, shape);
        check('second order', byInput, 1e-8);
        check('by cotangent', byCotangent, 1e-12);
        check('batched cotangents', batched(f, shape), 1e-13);
        const { sums, rows } = batchedSecond(f, shape);
        check('batched, second order', sums, 1e-12);
        check('batched twice', rows, 1e-12);
        check('float32', inSingle(op, sample), 4e-6);
        for (const dtype of ['float32', 'float64'] as const) {
          t.ok(asPlanned(op, sample, dtype), `plan of ${at} in ${dtype}: bit for bit`);
        }
      });
    }
    t.end();
  });
}

for (const [op, list] of Object.entries(examples)) {
  test(`gradients: ${op}, which has none`, (t) => {
    for (const { inputs, attributes, output, shape } of list) {
      scope(() => {
        const x = inputs.map((input) => made(input, 'float64'));
        const [value] = call(op, x, attributes);
        t.deepEqual(value!.shape, shape, 'shape');
        t.ok(farthest(value!.data(), output) <= 1e-14, `${String(value!.data())} for ${output.join()}`);
        const plan = planned(() => call(op, x, attributes));
        t.ok(identical(plan.sync()[0]!, value!), 'the plan gives the same');
        plan.dispose();
        const reals = x.filter((input) => input.dtype === 'float64');
        if (reals.length === 0 || value!.dtype !== 'float64') return;
        const { pullback } = vjp((inner: readonly Tensor[]) => call(op, inner, attributes)[0]!, reals);
        const gradients = pullback(value!);
        t.ok(
          gradients.every((gradient) => gradient.data().every((number) => number === 0)),
          'the gradient is zero',
        );
      });
    }
    t.end();
  });
}

for (const [op, list] of Object.entries(updates)) {
  test(`gradients: ${op}, which writes to its inputs`, (t) => {
    for (const { inputs, attributes, after } of list) {
      for (const run of ['eager', 'planned'] as const) {
        scope(() => {
          const x = inputs.map((input) => made(input, 'float64'));
          const update = (): Tensor[] => call(op, x, attributes);
          const plan = planned(update);
          if (run === 'planned') plan.sync();
          else update();
          plan.dispose();
          after.forEach((expected, index) =>
            t.ok(farthest(x[index]!.data(), expected) <= 1e-14, `${run}: input ${index} holds ${expected.join()}`),
          );
        });
      }
    }
    t.end();
  });
}
