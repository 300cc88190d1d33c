import test from 'tape';
import {
  attacks,
  mul,
  nn,
  oneHot,
  scope,
  softmax,
  tensor,
  uniform,
  vjp,
  type NormName,
  type Target,
  type Tensor,
} from '../../src/index.js';
import {
  argmaxOf,
  cosine,
  dense,
  linearized,
  linearNetwork,
  minus,
  moves,
  normNames,
  oneByOne,
  predictions,
  rowsOf,
  inputs,
  type Real,
} from './networks.js';
import { ascentOf, perClass, shortest, steepest } from './reference.js';

// A trained network is confident: in float32 its probabilities are 1 and 0, and what is computed from them is noise. The
// attacks must not notice. Judge: the formulas in float64, on the same weights.

/** A network whose logit gap between the first class and the next is about `gap` at every input, by its scale or its bias. */
function confident(gap: number, by: 'scale' | 'bias', dtype: Real): nn.Sequential {
  const model = dense(12, 6, 3, [16]);
  const last = model.layers.at(-1) as nn.Linear;
  scope(() => {
    const x = uniform([8, 12], { seed: 4 });
    const gaps = rowsOf(model.forward(x))
      .map((row) => row.sort((a, b) => b - a))
      .map(([a, b]) => a! - b!);
    const mean = gaps.reduce((sum, value) => sum + value) / gaps.length;
    if (by === 'scale') last.loadStateDict({ weight: mul(last.weight, gap / mean), bias: mul(last.bias!, gap / mean) });
    else last.loadStateDict({ weight: last.weight, bias: tensor([gap, 0, 0, 0, 0, 0]) });
  });
  return model.to(dtype);
}

interface Judged {
  cosine: number;
  sameTarget: boolean;
}

type Found = (
  model: Target,
  x: Tensor,
  y: number[],
  norm: NormName,
) => Promise<{ direction: number[][]; target: number[] }>;

/** What Algorithm 1 gives in float32 against float64, at each input. */
async function judge(
  find: Found,
  single: Target,
  exact: Target,
  points: number[][],
  norm: NormName,
): Promise<Judged[]> {
  const [x, same] = [inputs(points), inputs(points, 'float64')];
  const found = await find(single, x, predictions(single, x), norm);
  return scope(() =>
    oneByOne(same).map((at, i) => {
      const { logits, rows } = linearized(exact, at);
      const expected = shortest(perClass(logits, rows, norm).map((each) => ({ ...each, length: each.log })));
      return {
        cosine: cosine(found.direction[i]!, expected.direction),
        sameTarget: found.target[i] === expected.target,
      };
    }),
  );
}

const ours: Found = async (model, x, y, norm) => {
  const { direction, target } = await attacks.minimal(model, x, y, { norm });
  return { direction: rowsOf(direction), target: Array.from(target.data()) };
};

/** As one would write it down from the paper: the rows of T through the softmax, in the network's own precision. */
const naive: Found = (model, x, _y, norm) =>
  scope(() => {
    const found = oneByOne(x).map((at) => {
      const { value, pullback } = vjp((input) => softmax(model.forward(input)), at);
      const alpha = Array.from(value.data());
      const T = alpha.map((_, k) => Array.from(pullback(tensor([alpha.map((__, i) => (i === k ? 1 : 0))])).data()));
      const top = argmaxOf(alpha);
      const dualOf = (u: number[]): number =>
        norm === 'l2'
          ? Math.hypot(...u)
          : norm === 'linf'
            ? u.reduce((sum, each) => sum + Math.abs(each), 0)
            : Math.max(...u.map(Math.abs));
      const all = alpha.flatMap((value, target) => {
        if (target === top) return [];
        const u = minus(T[target]!, T[top]!);
        return [{ target, length: (alpha[top]! - value) / dualOf(u), direction: steepest(u, norm) }];
      });
      return shortest(all);
    });
    return Promise.resolve({
      direction: found.map(({ direction }) => direction),
      target: found.map(({ target }) => target),
    });
  });

const points = rowsOf(scope(() => uniform([12, 12], { seed: 5 })));
const worst = (all: Judged[]): number => all.reduce((least, { cosine: each }) => (each >= least ? least : each), 1);

for (const by of ['scale', 'bias'] as const) {
  for (const gap of [20, 40, 80, 200]) {
    test(`saturation: Algorithm 1 at a logit gap of ${gap} by ${by}`, async (t) => {
      const [single, exact] = [confident(gap, by, 'float32'), confident(gap, by, 'float64')];
      for (const norm of normNames) {
        const judged = await judge(ours, single, exact, points, norm);
        t.ok(worst(judged) >= 0.999, `${norm}: cosine ${worst(judged)}`);
        t.ok(
          judged.every(({ sameTarget }) => sameTarget),
          `${norm}: target`,
        );
        // At a gap of 20 a sign or a largest coordinate may survive the noise.
        if (gap === 20 && norm !== 'l2') continue;
        const byHand = worst(await judge(naive, single, exact, points, norm));
        t.notOk(byHand >= 0.999, `${norm}: through a float32 softmax it would be ${byHand}`);
      }
      [single, exact].forEach((model) => {
        model.dispose();
      });
    });
  }
}

test('saturation: lengths are those of the linearised network, in float64, and adversarial inputs stay finite', async (t) => {
  for (const gap of [20, 40, 80, 200, 600, 2000]) {
    const [single, exact] = [confident(gap, 'bias', 'float32'), confident(gap, 'bias', 'float64')];
    const [x, same] = [inputs(points), inputs(points, 'float64')];
    for (const norm of normNames) {
      for (const steps of [1, 4]) {
        const linearize = steps > 1 ? 'logits' : 'probabilities';
        const found = await attacks.minimal(single, x, predictions(single, x), { norm, steps, linearize });
        const lengths = Array.from(found.length.data());
        t.ok(
          Array.from(found.adversarial.data()).every(Number.isFinite),
          `gap ${gap}, ${norm}, ${steps} steps: finite inputs`,
        );
        t.ok(
          Array.from(found.norms.data()).every((value) => value <= 4e30),
          'finite moves',
        );
        t.ok(
          lengths.every((value) => value > 0),
          'lengths are numbers',
        );
        if (gap > 200 || steps > 1) continue;
        const off = scope(() =>
          oneByOne(same).map((at, i) => {
            const { logits, rows } = linearized(exact, at);
            return Math.abs(Math.log(lengths[i]!) - Math.min(...perClass(logits, rows, norm).map(({ log }) => log)));
          }),
        );
        t.ok(Math.max(...off) < 1e-3, `lengths off by a factor e^${Math.max(...off)}`);
      }
    }
  }
});

test('saturation: Adv_Alpha and Adv_Loss step in the direction of the formulas', async (t) => {
  const epsilon = 0.25;
  for (const gap of [20, 40, 80, 200]) {
    for (const by of ['scale', 'bias'] as const) {
      const [single, exact] = [confident(gap, by, 'float32'), confident(gap, by, 'float64')];
      const [x, same] = [inputs(points), inputs(points, 'float64')];
      const labels = predictions(single, x);
      for (const norm of normNames) {
        const [alpha, loss, sign] = [
          await attacks.advAlpha(single, x, labels, { norm, epsilon }),
          await attacks.advLoss(single, x, labels, { norm, epsilon }),
          await attacks.advLossSign(single, x, labels, { norm, epsilon }),
        ].map(({ adversarial }) => moves(x, adversarial));
        const least = { alpha: 1, loss: 1, sign: 1, naive: 1 };
        oneByOne(same).forEach((at, i) => {
          const { logits, rows } = linearized(exact, at);
          const nearest = shortest(perClass(logits, rows, norm).map((each) => ({ ...each, length: each.log })));
          const ascent = ascentOf(logits, rows, labels[i]!);
          least.alpha = Math.min(least.alpha, cosine(alpha![i]!, nearest.direction));
          least.loss = Math.min(least.loss, cosine(loss![i]!, steepest(ascent, norm)));
          least.sign = Math.min(least.sign, cosine(sign![i]!, ascent.map(Math.sign)));
          // The likelihood's own gradient, in float32.
          const T = scope(() => {
            const one = inputs([points[i]!]);
            const { value, pullback } = vjp((input) => softmax(single.forward(input)), one);
            return Array.from(
              pullback(mul(oneHot(tensor([labels[i]!], { dtype: 'int32' }), { classes: value.size }), -1)).data(),
            );
          });
          const byHand = cosine(T, ascent);
          least.naive = byHand >= least.naive ? least.naive : byHand;
        });
        t.ok(least.alpha >= 0.999, `gap ${gap} by ${by}, ${norm}: Adv_Alpha ${least.alpha}`);
        t.ok(least.loss >= 0.999, `Adv_Loss ${least.loss}`);
        t.ok(least.sign >= 0.999, `Adv_Loss_Sign ${least.sign}`);
        t.notOk(least.naive >= 0.999, `through a float32 softmax Adv_Loss would be ${least.naive}`);
      }
    }
  }
});

test('saturation: ties', async (t) => {
  const weight = [
    [1, 0, 0.3],
    [0, 1, -0.2],
    [0, -1, 0.4],
    [0.5, 0.1, -1],
  ];
  for (const gap of [0, 1e-6, 1, 30, 80]) {
    for (const near of [0, 1e-6]) {
      const [single, exact] = (['float32', 'float64'] as const).map((dtype) =>
        linearNetwork(weight, [gap, 0, near, -1], dtype),
      );
      const at = inputs([[0, 0, 0]], 'float64');
      const { logits, rows } = linearized(exact!, at);
      for (const norm of normNames) {
        const found = await attacks.minimal(single!, inputs([[0, 0, 0]]), [argmaxOf(logits)], { norm });
        const all = perClass(logits, rows, norm);
        const [best, chosen] = [shortest(all), all.find(({ target }) => target === found.target.item())!];
        const what = `gap ${gap}, runners-up ${near} apart, ${norm}`;
        if (best.length === 0) t.equal(found.length.item(), 0, `${what}: no length`);
        else
          t.ok(
            chosen.length <= best.length * 1.001 && Math.abs(found.length.item() / best.length - 1) < 0.01,
            `${what}: length ${found.length.item()}`,
          );
        t.ok(cosine(rowsOf(found.direction)[0]!, chosen.direction) >= 0.999, `${what}: direction`);
      }
    }
  }
});
