/**
 * Algorithm 1 of the paper: the smallest perturbation at which the linearised network names another class. Written so
 * that it is exact however confident the network is; see {@link minimalOfLinearization}.
 */
import { vjp, type Classifier } from '../autodiff/autodiff.js';
import * as ops from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';
import { whileRows } from '../tensor/plan.js';
import { asRows, type Norm } from './norms.js';

/**
 * The cotangent of the logits that gives the loss's gradient by the input up to a positive factor, [B, K]. The
 * cross-entropy's own gradient is 1 - α_y times that of log Σ_{k≠y} e^{z_k} - z_y: the factor, which rounds to zero in a
 * confident network, is left out.
 */
export function ascentCotangent(logits: Tensor, labels: Tensor): Tensor {
  const classes = logits.shape[1]!;
  const label = ops.oneHot(labels, { classes, dtype: logits.dtype === 'float64' ? 'float64' : 'float32' });
  return ops.sub(ops.softmax(ops.where(label, -Infinity, logits)), label);
}

/** What is linearised: the probabilities, as in the paper, or the logits, whose lengths are distances. */
export type Linearize = 'probabilities' | 'logits';

/** A perturbation for each example: its direction, of length 1, and how long it is. */
export interface Perturbation {
  /** The logits of the inputs, [B, K]. */
  logits: Tensor;
  /** Unit directions, [B, D]; 0 where no direction leads anywhere. */
  direction: Tensor;
  /** Lengths, float64 [B]; infinite where no direction leads anywhere. They may be astronomic: see `linearize`. */
  length: Tensor;
  /** The class that each leads to, int32 [B]. */
  target: Tensor;
  /** How many rows were pulled back for each example, int32 [B]. */
  backwards: Tensor;
}

/**
 * The class constraints. For class j the constraint (T_j - T_J)·r >= α_J - α_j, divided by its right side, is u_j·r >= 1.
 * With d_k = z_k - z_J and D_k = Z_k - Z_J,
 *
 *     u_j = Σ_{k≠J} α_k D_k + a_j D_j,   a_j = α_j / (α_J - α_j) = e^{d_j} / (1 - e^{d_j}),
 *
 * and multiplied by (1 - e^{d_j}) e^{-m}, m the largest d_k of a runner-up, every weight is between 0 and 1 and nothing
 * cancels: the direction is that of gap_j Σ_k weight_k D_k + relative_j D_j, and ‖r_j‖ = gap_j e^{-m} / ‖that‖*. Of the logits
 * the constraint is D_j·r >= -d_j. All float64, [B, K] but for the scale -m, [B, 1].
 */
interface Constraints {
  /** weight_k, 0 for J; of the logits 0. */
  weights: Tensor;
  /** Σ_k weight_k (e_k - e_J). */
  mixed: Tensor;
  relative: Tensor;
  gaps: Tensor;
  scale: Tensor;
  /** 1 at J. */
  top: Tensor;
  /** The class of the second largest logit, int32 [B]. */
  runnerUp: Tensor;
}

function constraintsOf(logits: Tensor, predicted: Tensor, linearize: Linearize): Constraints {
  const [batch, classes] = logits.shape as [number, number];
  const z = ops.cast(logits, 'float64');
  const top = ops.oneHot(predicted, { classes, dtype: 'float64' });
  const d = ops.sub(z, ops.takeAlong(z, ops.reshape(predicted, [batch, 1])));
  const others = ops.where(top, -Infinity, d);
  const runnerUp = ops.argmax(others);
  if (linearize === 'logits') {
    const [none, all] = [
      ops.zeros([batch, classes], { dtype: 'float64' }),
      ops.ones([batch, classes], { dtype: 'float64' }),
    ];
    return {
      weights: none,
      mixed: none,
      relative: all,
      gaps: ops.neg(d),
      scale: ops.zeros([batch, 1], { dtype: 'float64' }),
      top,
      runnerUp,
    };
  }
  const largest = ops.max(others, { axes: [-1], keepDims: true });
  const relative = ops.exp(ops.sub(others, largest)); // e^{d_k - m}, 0 for J
  const total = ops.sum(ops.exp(others), { axes: [-1], keepDims: true });
  const weights = ops.div(relative, ops.affine(total, 1, 1)); // α_k e^{-m}
  const mixed = ops.sub(weights, ops.mul(top, ops.sum(weights, { axes: [-1], keepDims: true })));
  return { weights, mixed, relative, gaps: ops.affine(ops.exp(d), -1, 1), scale: ops.neg(largest), top, runnerUp };
}

/** The cotangents of the logits for some (example, class) pairs: of the pairs' constraints, and `each`, 1 at their classes. */
const cotangentsOf = (
  { mixed, relative, gaps, top }: Pick<Constraints, 'mixed' | 'relative' | 'gaps' | 'top'>,
  each: Tensor,
): Tensor => ops.add(ops.mul(gaps, mixed), ops.mul(relative, ops.sub(each, top)));

/** 1 / ‖r_j‖, but for the scale: how strongly the row of a pair pushes over its gap. Infinite without a gap, 0 without a push. */
function strength(dual: Tensor, gap: Tensor): Tensor {
  return ops.where(ops.greater(dual, 0), ops.div(dual, gap), 0);
}

/** How an example's answer is searched for. */
interface Search extends Constraints {
  logits: Tensor;
  predicted: Tensor;
  /** 1 where Algorithm 1 is not defined, and the cotangents [B, K] that take its place there. */
  excepted?: { where: Tensor; cotangents: Tensor };
  pull: (cotangents: Tensor) => Tensor;
  pullRows: (cotangents: Tensor, rows: Tensor) => Tensor;
  dual: (rows: Tensor) => Tensor;
}

/** Room for the rows of a round of the bounded search, of a small batch. */
const leastRoom = 256;

/** What the search gives: the strongest pair of each example. */
type Found = Pick<ops.Best, 'value' | 'rows' | 'target' | 'tried'>;

/** How many rows are pulled back at once, at least where there are as many. */
const rowsAtOnce = 5120;

/**
 * All classes in one batched backward pass, or in several where they are many. What is excepted is pulled back in the place of
 * class J, whose row is not asked for.
 */
function searchAll({ logits, excepted, pull, dual, ...constraints }: Search): Found {
  const [batch, classes] = logits.shape as [number, number];
  const { mixed, relative, gaps, top } = constraints;
  const span = Math.max(1, Math.floor(rowsAtOnce / Math.max(batch, 1)));
  const strongestOf = (from: number, to: number): Omit<Found, 'tried'> => {
    const part = (x: Tensor): Tensor => ops.slice(x, [0, from], [batch, to]);
    const column = (x: Tensor): Tensor => ops.reshape(ops.permute(part(x), [1, 0]), [to - from, batch, 1]);
    const numbers = ops.slice(ops.range(classes), [from], [to]);
    const each = ops.reshape(ops.oneHot(numbers, { classes, dtype: 'float64' }), [to - from, 1, classes]);
    const rows = cotangentsOf({ mixed, relative: column(relative), gaps: column(gaps), top }, each);
    const cotangents =
      excepted === undefined ? rows : ops.where(column(top), ops.cast(excepted.cotangents, 'float64'), rows);
    const pulled = pull(ops.cast(cotangents, logits.dtype)); // [to - from, B, D]
    const duals = ops.permute(dual(pulled), [1, 0]); // [B, to - from]
    const asked = strength(duals, part(gaps));
    const infinite = ops.full([batch, 1], Infinity, { dtype: 'float64' });
    const staying =
      excepted === undefined ? -Infinity : ops.where(ops.reshape(excepted.where, [batch, 1]), infinite, -Infinity);
    const strengths = ops.where(part(top), staying, asked);
    const place = ops.argmax(strengths);
    const places = ops.add(ops.mul(place, batch), ops.range(batch));
    return {
      value: ops.reshape(ops.takeAlong(strengths, ops.reshape(place, [batch, 1])), [batch]),
      rows: ops.gather(ops.reshape(pulled, [(to - from) * batch, pulled.shape[2]!]), places),
      target: ops.add(place, from),
    };
  };
  let best = strongestOf(0, Math.min(span, classes));
  for (let from = span; from < classes; from += span) {
    const next = strongestOf(from, Math.min(from + span, classes));
    const better = ops.greater(next.value, best.value);
    best = {
      value: ops.where(better, next.value, best.value),
      rows: ops.where(ops.reshape(better, [batch, 1]), next.rows, best.rows),
      target: ops.where(better, next.target, best.target),
    };
  }
  return { ...best, tried: ops.full([batch], classes, { dtype: 'int32' }) };
}

/** Where numbers exceed those of their example, [B, K] and [B], counted: float64 [B]. */
const countAbove = (numbers: Tensor, of: Tensor): Tensor =>
  ops.sum(ops.cast(ops.greater(numbers, ops.reshape(of, [of.size, 1])), 'float64'), { axes: [-1] });

/**
 * The same answer from fewer rows. The strength of class j is at most ‖m‖* + relative_j / gap_j · ‖D_j‖*, m = Σ_k weight_k D_k, and
 * where what the network can do at most, `reach`, leaves a class below the strongest so far, its row is not pulled
 * back. The runner-up's row u = gap m + relative D comes first, and tells of m too:
 *
 *     m = part u + (1 - part gap) Σ_k weight_k D_k,   part = weight / (gap weight + relative),
 *
 * weight, gap and relative being the runner-up's and the sum over the others. Where the others are far below it that is all about
 * m; where it leaves classes in the race that m may put out of it, m is pulled back itself.
 */
function searchBounded(search: Search, reach: Tensor): Found {
  const { logits, predicted, excepted, pull, pullRows, dual, ...constraints } = search;
  const [batch, classes] = logits.shape as [number, number];
  const { weights, mixed, relative, gaps, top, runnerUp } = constraints;
  const each = ops.oneHot(runnerUp, { classes, dtype: 'float64' });
  const column = ops.reshape(runnerUp, [batch, 1]);
  const own = (x: Tensor): Tensor => ops.takeAlong(x, column);
  const rows = cotangentsOf({ mixed, relative: own(relative), gaps: own(gaps), top }, each);
  const first =
    excepted === undefined
      ? rows
      : ops.where(ops.reshape(excepted.where, [batch, 1]), ops.cast(excepted.cotangents, 'float64'), rows);
  const pulled = pull(ops.cast(first, logits.dtype)); // [B, D]
  const duals = dual(pulled);
  const value = strength(duals, ops.reshape(own(gaps), [batch]));
  const best = {
    value: excepted === undefined ? value : ops.where(excepted.where, Infinity, value),
    rows: pulled,
    target: excepted === undefined ? runnerUp : ops.where(excepted.where, predicted, runnerUp),
    tried: ops.ones([batch], { dtype: 'int32' }),
  };
  const furthest = ops.gather(reach, predicted); // ‖D_j‖*, [B, K]
  const part = ops.div(own(weights), ops.add(ops.mul(own(gaps), own(weights)), own(relative)));
  const known = ops.mul(part, ops.reshape(duals, [batch, 1]));
  const others = ops.where(each, 0, ops.mul(weights, furthest));
  const unknown = ops.mul(ops.affine(ops.mul(part, own(gaps)), -1, 1), ops.sum(others, { axes: [-1], keepDims: true }));
  const shared = ops.add(known, unknown); // ‖m‖* at most, [B, 1]
  const alone = ops.where(ops.greater(furthest, 0), ops.mul(ops.div(relative, gaps), furthest), 0);
  const boundsBy = (most: Tensor): Tensor =>
    ops.where(ops.maximum(top, each), -Infinity, ops.affine(ops.add(most, alone), 1 + 1e-4));

  // As if all of m were known: what pulling it back may spare.
  const spared = ops.sub(countAbove(boundsBy(shared), best.value), countAbove(boundsBy(known), best.value));
  const wanted = ops.reshape(ops.affine(spared, 1, -1), [batch, 1]);
  const room = Math.max(batch, leastRoom);
  const none = { value: ops.zeros([batch], { dtype: 'float64' }), tried: ops.zeros([batch], { dtype: 'int32' }) };
  whileRows(
    () => {
      const { example, count } = ops.selectPairs(wanted, none, { room });
      return { rows: [example], count };
    },
    (example) => {
      const cotangents = ops.cast(ops.gather(mixed, example), logits.dtype);
      const found = dual(pullRows(cotangents, example));
      ops.assignRows(shared, example, ops.reshape(found, [example.size, 1]));
      ops.assignRows(best.tried, example, ops.add(ops.gather(best.tried, example), 1));
    },
  );

  const bounds = boundsBy(shared);
  whileRows(
    () => {
      const { example, candidate, count } = ops.selectPairs(bounds, best, { room });
      return { rows: [example, candidate], count };
    },
    (example, candidate) => {
      const of = (x: Tensor): Tensor => ops.gather(x, example);
      const place = ops.reshape(candidate, [candidate.size, 1]);
      const at = (x: Tensor): Tensor => ops.takeAlong(of(x), place);
      const gap = at(gaps);
      const cotangents = cotangentsOf(
        { mixed: of(mixed), relative: at(relative), gaps: gap, top: of(top) },
        ops.oneHot(candidate, { classes, dtype: 'float64' }),
      );
      const candidates = pullRows(ops.cast(cotangents, logits.dtype), example);
      const strengths = strength(dual(candidates), ops.reshape(gap, [candidate.size]));
      ops.keepBest(best, { example, candidate, value: strengths, rows: candidates });
    },
  );
  return best;
}

/** ‖·‖* in terms of ‖·‖₂, on rows of a length. */
const dualOfL2 = { l2: () => 1, linf: (width: number) => Math.sqrt(width), l1: () => 1 };

/**
 * The minimal perturbation of the linearised network for each example (Propositions 2.1 and 2.2): of the classes j ≠ J
 * the one whose r_j is shortest. It may be traced into a plan.
 *
 * @param model - A network from inputs [B, ...] to logits [B, K].
 * @param x - Inputs [B, ...].
 * @param from - The class to leave, int32 [B]; by default the predicted one.
 * @param labels - With labels, int32 [B], misclassified inputs, for which Algorithm 1 is not defined, get the direction in
 * which their loss grows fastest.
 * @param reach - Upper bounds of ‖∂(z_j - z_k)/∂x‖₂, float64 [K, K]: with them, the classes that cannot win are left out, and
 * the answer is the same. Without, all classes take part in one batched backward pass. The network must then work example by
 * example.
 */
export function minimalOfLinearization(
  model: Classifier,
  x: Tensor,
  {
    norm,
    linearize,
    from,
    labels,
    reach,
  }: { norm: Norm; linearize: Linearize; from?: Tensor; labels?: Tensor; reach?: Tensor | undefined },
): Perturbation {
  const { value: logits, pullback, pullbackRows } = vjp((input: Tensor) => model.forward(input), x);
  const batch = logits.shape[0]!;
  const predicted = from ?? ops.argmax(logits);
  const constraints = constraintsOf(logits, predicted, linearize);
  const example = x.shape.slice(1);
  const search: Search = {
    ...constraints,
    logits,
    predicted,
    ...(labels && {
      excepted: { where: ops.notEqual(predicted, labels), cotangents: ascentCotangent(logits, labels) },
    }),
    pull: (cotangents) => asRows(pullback(cotangents), example),
    pullRows: (cotangents, rows) => asRows(pullbackRows(cotangents, rows), example),
    dual: (rows) => ops.cast(norm.dual(rows), 'float64'),
  };
  const { value, rows, target, tried } =
    reach === undefined
      ? searchAll(search)
      : searchBounded(search, ops.affine(reach, dualOfL2[norm.name](x.size / batch)));
  // e^{-m} is capped where float64 would overflow: such a length means only «far».
  const scale = ops.reshape(ops.exp(ops.minimum(constraints.scale, 700)), [batch]);
  const length = ops.div(scale, value);
  return { logits, direction: norm.steepest(rows), length, target, backwards: tried };
}
