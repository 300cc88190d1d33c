/** The box-constrained L-BFGS attack. */
import * as v from 'valibot';
import { vjp } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { atLeastOne } from './attack.js';
import {
  constantEntries,
  nobodyWalks,
  overConstants,
  standing,
  type Constant,
  type ConstantOptions,
  type Walk,
} from './constantSearch.js';
import {
  defineDistanceAttack,
  distanceEntries,
  ledEntry,
  nearer,
  spent,
  type Found,
  type Given,
  type LedOptions,
} from './distance.js';
import { ascentCotangent } from './linearization.js';
import { asRows, nonZero } from './norms.js';

/** Options of {@link lbfgs}. */
export interface LbfgsOptions extends LedOptions, ConstantOptions {
  /** The norm is L2. */
  norm?: 'l2';
  /** Evaluations for each constant at most, 100 by default. */
  steps?: number;
  /** How many constants are tried, 15 by default. */
  searchSteps?: number;
}

const schema = v.strictObject({
  ...distanceEntries,
  ...constantEntries,
  searchSteps: v.optional(atLeastOne, 15),
  norm: v.optional(v.picklist(['l2']), 'l2'),
  targets: ledEntry,
  steps: v.optional(atLeastOne, 100),
});

/** How many of the last steps the curvature is known from. */
const kept = 10;

/** Curvatures are remembered where the change of the gradient has more than this part of its square along the step. */
const singular = 2 ** -23;

/** What of the expected fall a step must bring, relative (Armijo). */
const least = 1e-4;

/**
 * A walk ends when its next step promises less of the loss than this. Rounding of float32 logits is well below: it must not
 * decide when a walk ends.
 */
const negligible = 2 ** -17;

/**
 * A walk of L-BFGS: where it stands (rows [B, D]), the loss [B, 1] and its gradient there, the way it tries next and how far
 * along that, [B, 1]; of the last steps, the newest first, what the point and the gradient changed by, [kept, B, D], and
 * the inverse of their product, [kept, B, 1], 0 where there is none.
 */
interface QuasiNewton extends Walk {
  at: Tensor;
  loss: Tensor;
  gradient: Tensor;
  way: Tensor;
  size: Tensor;
  steps: Tensor;
  changes: Tensor;
  inverses: Tensor;
}

const dot = (a: Tensor, b: Tensor): Tensor => ops.sum(ops.mul(a, b), { axes: [-1], keepDims: true });

/** log Σ_{k≠j} e^{z_k} - z_j, [B, 1]. */
function othersLead(logits: Tensor, own: Tensor): Tensor {
  const j = ops.reshape(own, [own.size, 1]);
  const mine = ops.takeAlong(logits, j);
  const isMine = ops.oneHot(own, { classes: logits.shape[1]!, dtype: logits.dtype as 'float32' | 'float64' });
  const others = ops.where(isMine, -Infinity, logits);
  const top = ops.max(others, { axes: [-1], keepDims: true });
  const sum = ops.sum(ops.exp(ops.sub(others, top)), { axes: [-1], keepDims: true });
  return ops.sub(ops.add(ops.log(sum), top), mine);
}

/** The two-loop recursion: what the inverse curvature makes of a gradient [B, D]. */
function preconditioned(gradient: Tensor, { steps, changes, inverses }: QuasiNewton): Tensor {
  const [, batch, width] = steps.shape as [number, number, number];
  const pairs = Array.from({ length: kept }, (_, i) => {
    const of = (all: Tensor, columns: number): Tensor => ops.reshape(ops.slice(all, [i], [i + 1]), [batch, columns]);
    return { s: of(steps, width), y: of(changes, width), inverse: of(inverses, 1) };
  });
  let q = gradient;
  const shares = pairs.map(({ s, y, inverse }) => {
    const share = ops.mul(inverse, dot(s, q));
    q = ops.sub(q, ops.mul(share, y));
    return share;
  });
  // The squared distance alone has the curvature 2.
  const { y, inverse } = pairs[0]!;
  let way = ops.mul(q, ops.where(inverse, ops.div(1, nonZero(ops.mul(inverse, dot(y, y)))), 0.5));
  for (let i = kept - 1; i >= 0; i--) {
    const pair = pairs[i]!;
    const over = ops.sub(shares[i]!, ops.mul(pair.inverse, dot(pair.y, way)));
    way = ops.add(way, ops.mul(over, pair.s));
  }
  return way;
}

/**
 * The attack of Szegedy et al. (2013, section 4.1): minimises ‖d‖² + c loss(x + d) inside the box by L-BFGS, with a search
 * over c for the shortest d. The loss is the cross-entropy of the target; without targets that of any class but the label,
 * -log(1 - p_y). Coordinates at a wall of the clip range are held there while the gradient leads out of it. One backward
 * row an evaluation; each evaluation is a step or, where the loss did not fall enough, a retry half as far.
 *
 * @param model - A network in evaluation mode, from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param y - Labels [B].
 * @param options - See {@link LbfgsOptions}.
 * @returns The nearest adversarial inputs found; an input without one comes back as it was, at distance Infinity.
 * @throws SparringError as every attack does; see `advAlpha`.
 *
 * @example
 * ```ts
 * import { attacks, nn, tensor } from 'sparring';
 *
 * // Two classes, logits 0 and 3 x + 4 y - 5: the boundary is 1 away from the origin.
 * const model = new nn.Linear(2, 2).eval();
 * model.loadStateDict({ weight: tensor([[0, 0], [3, 4]]), bias: tensor([0, -5]) });
 * const { distance } = await attacks.lbfgs(model, tensor([[0, 0]]), [0]);
 * console.log(Math.abs(distance.item() - 1) < 0.01); // true
 * ```
 */
export const lbfgs = defineDistanceAttack<LbfgsOptions, typeof schema>(
  'lbfgs',
  schema,
  ({ steps: evaluations, searchSteps, constant, clip }, context) => {
    const { model, norm, targeted, fooled, program, iterate } = context;
    const inside = (rows: Tensor): Tensor =>
      clip === undefined ? rows : ops.clamp(rows, { low: clip[0], high: clip[1] });
    /** 1 where the box lets a coordinate follow the falling gradient. */
    const freedom = (at: Tensor, gradient: Tensor): Tensor | number =>
      clip === undefined ? 1 : ops.where(ops.less(gradient, 0), ops.less(at, clip[1]), ops.greater(at, clip[0]));

    const begin = program(({ x, ...state }: Given & Found) => {
      const at = asRows(x, x.shape.slice(1));
      const [batch, width] = at.shape as [number, number];
      const none = (shape: readonly number[]): Tensor => ops.zeros(shape, { dtype: x.dtype });
      return {
        ...standing(state),
        at: ops.mul(at, 1),
        loss: ops.full([batch, 1], Infinity, { dtype: 'float64' }),
        gradient: ops.mul(at, 0),
        way: ops.mul(at, 0),
        size: ops.add(none([batch, 1]), 1),
        steps: none([kept, batch, width]),
        changes: none([kept, batch, width]),
        inverses: none([kept, batch, 1]),
      };
    });

    const step = program((state: Given & QuasiNewton & Constant & { tick: Tensor }) => {
      const { x, aim, walking } = state;
      const [batch] = x.shape as [number];
      const column = (each: Tensor): Tensor => ops.reshape(each, [batch, 1]);
      const tried = inside(ops.add(state.at, ops.mul(state.way, state.size)));
      const point = ops.reshape(tried, x.shape);
      const { value: logits, pullback } = vjp((input: Tensor) => model.forward(input), point);
      const won = ops.mul(ops.cast(fooled(logits, aim), 'float64'), walking);

      // log(1 + e^m) for m by how much the wrong side leads: without targets that is the label's.
      const lead = othersLead(ops.cast(logits, 'float64'), aim);
      const miss = targeted ? lead : ops.neg(lead);
      const entropy = ops.add(ops.relu(miss), ops.log(ops.affine(ops.exp(ops.neg(ops.abs(miss))), 1, 1)));
      const c = column(state.constant);
      const apart = ops.sub(tried, asRows(x, x.shape.slice(1)));
      const loss = ops.add(ops.cast(dot(apart, apart), 'float64'), ops.mul(c, entropy));
      const weight = ops.cast(ops.mul(c, ops.sigmoid(miss)), x.dtype);
      const rise = ascentCotangent(logits, aim);
      const pulled = pullback(ops.mul(targeted ? rise : ops.neg(rise), weight));
      const slope = ops.add(ops.affine(apart, 2), asRows(pulled, x.shape.slice(1)));

      const moved = ops.sub(tried, state.at);
      const expected = ops.cast(dot(state.gradient, moved), 'float64');
      const falls = ops.lessEqual(loss, ops.add(state.loss, ops.affine(expected, least)));
      const accepted = ops.cast(ops.mul(falls, column(walking)), x.dtype);
      const changed = ops.sub(slope, state.gradient);
      const curvature = dot(moved, changed);
      const curved = ops.mul(accepted, ops.greater(curvature, ops.affine(dot(changed, changed), singular)));
      const remembered = (newest: Tensor, all: Tensor): Tensor =>
        ops.where(
          ops.reshape(curved, [1, batch, 1]),
          ops.concat([ops.reshape(newest, [1, ...newest.shape]), ops.slice(all, [0], [kept - 1])]),
          all,
        );
      const history = {
        steps: remembered(moved, state.steps),
        changes: remembered(changed, state.changes),
        inverses: remembered(ops.div(1, ops.where(curved, curvature, 1)), state.inverses),
      };
      const [at, gradient] = [ops.where(accepted, tried, state.at), ops.where(accepted, slope, state.gradient)];
      const value = ops.where(accepted, loss, state.loss);
      const free = freedom(at, gradient);
      const way = ops.mul(preconditioned(ops.mul(gradient, free), { ...state, ...history }), free);
      const size = ops.where(accepted, 1, ops.affine(state.size, 0.5));

      const promised = ops.mul(ops.cast(dot(gradient, way), 'float64'), ops.cast(size, 'float64'));
      const over = ops.lessEqual(promised, ops.affine(value, negligible));
      return {
        ...nearer(norm, x, state, point, won),
        ...spent(state, { queries: 1, backwards: 1 }, walking),
        ...history,
        at,
        gradient,
        loss: value,
        way: ops.neg(way),
        size,
        before: state.before,
        walking: ops.mul(walking, ops.affine(ops.reshape(over, [batch]), -1, 1)),
        // Judged where the walk stands: what a step overshot to says nothing of the constant.
        succeeded: ops.where(ops.reshape(accepted, [batch]), won, state.succeeded),
      };
    });

    return overConstants(context, { searchSteps, constant }, async (given, found) =>
      iterate(given, { ...found, ...(await begin({ ...given, ...found })) }, evaluations, step, nobodyWalks(5)),
    );
  },
);
