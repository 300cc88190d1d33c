import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'tape';
import { vjp } from '../../src/autodiff/autodiff.js';
import type { Attributes, NumberArray } from '../../src/native.js';
import { call } from '../../src/tensor/ops.js';
import { scope } from '../../src/tensor/scope.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';

// What PyTorch gives for the same numbers; fixtures/make_torch.py made the file.

type Real = 'float32' | 'float64';

interface Encoded {
  shape: number[];
  dtype: Real | 'int32';
  data: string;
}

interface Computed {
  output: Encoded;
  cotangent?: Encoded;
  gradients?: Encoded[];
}

interface Case extends Record<Real, Computed> {
  op: string;
  attributes: Attributes;
  inputs: Encoded[];
  by: number[];
}

interface Optimized extends Record<Real, Encoded[]> {
  op: string;
  attributes: Attributes;
  rate: number;
  start: Encoded;
  gradients: Encoded[];
}

const file = new URL('../fixtures/torch-ops.json.gz', import.meta.url);
const { cases, optimizers } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
  cases: Case[];
  optimizers: Optimized[];
};

const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

function numbers({ dtype, data }: Encoded): NumberArray {
  return new arrays[dtype](Uint8Array.from(Buffer.from(data, 'base64')).buffer);
}

/** The array as a tensor; real numbers in the dtype asked for. */
const read = (array: Encoded, dtype: Real): Tensor =>
  tensor(numbers(array), { shape: array.shape, dtype: array.dtype === 'int32' ? 'int32' : dtype });

const tolerances: Record<Real, number> = { float64: 2e-13, float32: 1e-5 };

/** Where two arrays part, if they do: NaN equals NaN, and zeros of either sign each other. */
function parting(actual: Tensor, expected: Encoded, dtype: Real): string | undefined {
  if (actual.shape.join() !== expected.shape.join())
    return `shape [${actual.shape.join()}] for [${expected.shape.join()}]`;
  const [ours, theirs] = [actual.data(), numbers(expected)];
  const finite = Array.from(theirs, Math.abs).filter(Number.isFinite);
  const floor = Math.min(1, Math.max(0, ...finite));
  for (let i = 0; i < theirs.length; i++) {
    const [a, b] = [ours[i]!, theirs[i]!];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!(Math.abs(a - b) <= tolerances[dtype] * (Math.abs(b) + floor))) return `${a} for ${b} at ${i}`;
  }
  return undefined;
}

for (const op of new Set(cases.map((each) => each.op))) {
  test(`torch: ${op}`, (t) => {
    for (const { inputs, attributes, by, ...computed } of cases.filter((each) => each.op === op)) {
      const at = `${inputs.map(({ shape }) => `[${shape.join()}]`).join(' ')} ${JSON.stringify(attributes)}`;
      for (const dtype of ['float64', 'float32'] as const) {
        scope(() => {
          const x = inputs.map((input) => read(input, dtype));
          const { output, cotangent, gradients } = computed[dtype];
          const f = (leaves: readonly Tensor[]): Tensor => {
            const given = x.map((input, index) => (by.includes(index) ? leaves[by.indexOf(index)]! : input));
            return call(op, given, attributes)[0]!;
          };
          const leaves = by.map((index) => x[index]!);
          t.equal(parting(f(leaves), output, dtype), undefined, `${dtype} output of ${at}`);
          if (cotangent === undefined || gradients === undefined) return;
          vjp(f, leaves)
            .pullback(read(cotangent, dtype))
            .forEach((gradient, index) =>
              t.equal(parting(gradient, gradients[index]!, dtype), undefined, `${dtype} gradient ${index} of ${at}`),
            );
        });
      }
    }
    t.end();
  });
}

test('torch: optimizers, step after step', (t) => {
  for (const { op, attributes, rate, start, gradients, ...after } of optimizers) {
    for (const dtype of ['float64', 'float32'] as const) {
      scope(() => {
        const parameter = read(start, dtype);
        const state = op === 'sgdUpdate' ? 1 : 2;
        const zeros = Array.from({ length: state }, () => tensor(new Float64Array(6), { shape: [2, 3], dtype }));
        gradients.forEach((gradient, index) => {
          const step = op === 'sgdUpdate' ? [] : [tensor(index + 1, { dtype: 'int32' })];
          call(
            op,
            [parameter, read(gradient, dtype), ...zeros, tensor(rate, { dtype: 'float64' }), ...step],
            attributes,
          );
          const what = `${op} ${JSON.stringify(attributes)} in ${dtype}, step ${index + 1}`;
          t.equal(parting(parameter, after[dtype][index]!, dtype), undefined, what);
        });
      });
    }
  }
  t.end();
});
