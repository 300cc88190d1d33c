import test from 'tape';
import * as v from 'valibot';
import {
  accuracyCurve,
  attacks,
  batches,
  evaluate,
  fromArrays,
  models,
  nn,
  train,
  type Dataset,
  type EvaluateOptions,
  tensor,
} from '../src/index.js';
import { parseOptions, wholeFrom } from '../src/options.js';
import { refused } from './adversary/refused.js';

// Whatever is wrong with an option, the message says which, what was expected and what was received.

test('options: every kind of fault says what was expected and what was received', async (t) => {
  const schema = v.strictObject({
    whole: v.optional(wholeFrom(2)),
    integer: v.optional(v.pipe(v.number(), v.integer())),
    bounded: v.optional(v.pipe(v.number(), v.finite(), v.minValue(1), v.maxValue(3))),
    list: v.optional(v.pipe(v.array(v.number()), v.minLength(1))),
    text: v.optional(v.pipe(v.string(), v.nonEmpty())),
    call: v.optional(v.custom((value) => typeof value === 'function', 'expected a function')),
    mine: v.optional(
      v.pipe(
        v.number(),
        v.check(() => false, 'expected something else'),
      ),
    ),
    either: v.optional(
      v.union([v.picklist(['one', 'two']), v.strictObject({ three: v.pipe(v.number(), v.minValue(0)) })]),
    ),
    kind: v.optional(v.union([v.instance(Uint8Array), v.instance(Float32Array)])),
    flag: v.optional(v.boolean()),
  });
  const cases: [object, string][] = [
    [{ whole: 1.5 }, 'whole: expected a whole number of at least 2, received 1.5'],
    [{ integer: 1.5 }, 'integer: expected a whole number, received 1.5'],
    [{ bounded: Infinity }, 'bounded: expected a finite number, received Infinity'],
    [{ bounded: 0 }, 'bounded: expected at least 1, received 0'],
    [{ bounded: 4 }, 'bounded: expected at most 3, received 4'],
    [{ list: [] }, 'list: expected a length of at least 1, received []'],
    [{ list: [1, '2'] }, 'list.1: expected number, received "2"'],
    [{ text: '' }, 'text: expected a text that is not empty, received ""'],
    [{ call: 1 }, 'call: expected a function, received 1'],
    [{ call: {} }, 'call: expected a function, received an object'],
    [{ mine: 7 }, 'mine: expected something else, received 7'],
    [{ either: 'twi' }, "either: expected one of one, two, received 'twi' (did you mean 'two'?)"],
    [{ either: { three: -1 } }, 'either.three: expected at least 0, received -1'],
    [{ either: 5 }, 'either: expected (("one" | "two") | Object), received 5'],
    [{ kind: [1] }, 'kind: expected (Uint8Array | Float32Array), received [1]'],
    [{ flag: () => 1 }, 'flag: expected boolean, received a function'],
    [{ flga: true }, 'unknown option: expected one of whole, integer, bounded'],
  ];
  for (const [value, said] of cases)
    await refused(
      t,
      JSON.stringify(value),
      () => parseOptions(schema, value, 'call'),
      'INVALID_ARGUMENT',
      `call: ${said}`,
    );
  const required = v.strictObject({ epsilon: v.pipe(v.number(), v.minValue(0)) });
  for (const [value, said] of [
    [{}, 'call: epsilon: expected number, received nothing'],
    [{ epsilom: 1 }, "call: unknown option: expected one of epsilon, received 'epsilom' (did you mean 'epsilon'?)"],
    [5, 'call: expected Object, received 5'],
    ['epsilon', 'call: expected Object, received "epsilon"'],
  ] as const)
    await refused(t, JSON.stringify(value), () => parseOptions(required, value, 'call'), 'INVALID_ARGUMENT', said);
});

test('options: no call of the library leaves out what it received', async (t) => {
  const model = models.mlp({ inputs: 2, hidden: [], classes: 2, seed: 1 }).eval();
  const data = fromArrays({ inputs: new Float32Array(4), labels: new Uint8Array(2), shape: [2], classes: 2 });
  const trained = (options: object) => () => train(model, data, options).next();
  const attacked = (options: object) => () => attacks.advLoss(model, tensor([[0, 0]]), [0], { epsilon: 1, ...options });
  const cases: [() => unknown, string][] = [
    [trained({ epochs: 0 }), 'train: epochs: expected a whole number of at least 1, received 0'],
    [trained({ epochs: 1.5 }), 'train: epochs: expected a whole number of at least 1, received 1.5'],
    [trained({ method: 1 }), 'train: method: expected a method or its name, received 1'],
    [trained({ schedule: 'cosine' }), 'train: schedule: expected a function of step and total, received "cosine"'],
    [trained({ validation: 3 }), 'train: validation: expected a data set, received 3'],
    [attacked({ onProgress: 1 }), 'advLoss: onProgress: expected a function, received 1'],
    [attacked({ epsilon: undefined }), 'advLoss: epsilon: expected number, received undefined'],
    [
      () => evaluate(model, data, { epsilons: [1], onProgress: 1 } as unknown as EvaluateOptions),
      'evaluate: onProgress: expected a function, received 1',
    ],
    [
      () => accuracyCurve(model, data, { epsilons: [] }),
      'accuracyCurve: epsilons: expected at least one length, received none',
    ],
    [() => models.mlp({ hidden: [0] }), 'mlp: hidden.0: expected a whole number of at least 1, received 0'],
    [() => models.mlp({ dropout: 1 }), 'mlp: dropout: expected at most 0.999, received 1'],
    [() => new nn.SGD([], { rate: -1 }), 'SGD: rate: expected at least 0, received -1'],
    [() => batches(data, { size: 0 }), 'batches: size: expected an integer of at least 1, received 0'],
    [
      () => fromArrays({ inputs: [1] } as unknown as Parameters<typeof fromArrays>[0]),
      'fromArrays: inputs: expected (Uint8Array | Float32Array), received [1]',
    ],
    [() => fromArrays({} as Dataset), 'fromArrays: inputs: expected (Uint8Array | Float32Array), received nothing'],
  ];
  for (const [call, said] of cases) await refused(t, said, call, 'INVALID_ARGUMENT', said);
});
