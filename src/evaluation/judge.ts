/** What an evaluation sees itself: attacks are not taken at their word. */
import type { Target } from '../adversary/attack.js';
import { asRows, type Norm } from '../adversary/norms.js';
import * as ops from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import type { Examples } from '../training/examples.js';

/** What the network makes of some inputs, each beside the clean one: found by plain evaluation, not by an attack. */
export interface Judgement {
  predicted: Int32Array;
  /** By how much the label's logit is above all others. */
  margins: Float64Array;
  /** The largest magnitude of a logit. */
  sizes: Float64Array;
  /** The sum of the logits tells whether they are finite. */
  sums: Float64Array;
  lengths: Float64Array;
  least: Float64Array;
  most: Float64Array;
}

/** Judges inputs by evaluating them. */
export class Judge {
  queries = 0;
  readonly #program;

  constructor(
    model: Target,
    readonly examples: Examples,
    norm: Norm,
    private readonly batchSize: number,
  ) {
    this.#program = planned((rows: Tensor, adversarial: Tensor) => {
      const { x, y } = examples.batch(rows);
      const logits = ops.cast(model.forward(adversarial), 'float64');
      const label = ops.oneHot(y, { classes: logits.shape[1]!, dtype: 'float64' });
      const own = ops.reshape(ops.takeAlong(logits, ops.reshape(y, [-1, 1])), [-1]);
      const moved = ops.sub(ops.cast(adversarial, 'float64'), ops.cast(x, 'float64'));
      const values = asRows(ops.cast(adversarial, 'float64'), x.shape.slice(1));
      return {
        predicted: ops.argmax(logits),
        margins: ops.sub(own, ops.max(ops.where(label, -Infinity, logits), { axes: [-1] })),
        sizes: ops.norm(logits, { order: 'linf', axes: [-1] }),
        sums: ops.sum(logits, { axes: [-1] }),
        lengths: norm.length(asRows(moved, x.shape.slice(1))),
        least: ops.min(values, { axes: [-1] }),
        most: ops.max(values, { axes: [-1] }),
      };
    });
  }

  /** Judges inputs that stand for the examples of some rows; without inputs, the examples themselves. */
  async judge(rows: Int32Array, adversarial?: Tensor): Promise<Judgement> {
    const count = rows.length;
    const judged: Judgement = {
      predicted: new Int32Array(count),
      margins: new Float64Array(count),
      sizes: new Float64Array(count),
      sums: new Float64Array(count),
      lengths: new Float64Array(count),
      least: new Float64Array(count),
      most: new Float64Array(count),
    };
    for (let start = 0; start < count; start += this.batchSize) {
      const end = Math.min(count, start + this.batchSize);
      await scope(async () => {
        const these = tensor(rows.subarray(start, end));
        const x = adversarial ? ops.slice(adversarial, [start], [end]) : this.examples.batch(these).x;
        const found = await this.#program(these, x);
        for (const key of Object.keys(judged) as (keyof Judgement)[]) judged[key].set(found[key].data(), start);
      });
      this.queries += end - start;
    }
    return judged;
  }

  dispose(): void {
    this.#program.dispose();
  }
}
