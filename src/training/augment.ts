/** Training images moved and mirrored at random, inside the plan of a step. */
import * as v from 'valibot';
import { nextRandomness } from '../nn/randomness.js';
import { add, affine, cast, gather, less, mul, pad, range, reshape, uniform } from '../tensor/ops.js';
import type { Tensor } from '../tensor/tensor.js';

/** The schema of {@link AugmentOptions}. */
export const augmentSchema = v.strictObject({
  crop: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (width) => Number.isSafeInteger(width) && width >= 0,
        ({ input }) => `expected a whole number of pixels of at least 0, received ${input}`,
      ),
    ),
    0,
  ),
  mirror: v.optional(v.boolean(), false),
});

/**
 * How training images are varied. With `crop` n an image is surrounded by n zeros and a window of its size is cut out
 * anywhere: it moves by up to n pixels each way. With `mirror` every other one, at random, is seen in a mirror, left and
 * right exchanged.
 */
export type AugmentOptions = v.InferInput<typeof augmentSchema>;

/** The images [B, channels, height, width], each varied by numbers of its own: one gather for the whole batch. */
export function augmented(x: Tensor, { crop, mirror }: v.InferOutput<typeof augmentSchema>): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const [high, wide] = [height + 2 * crop, width + 2 * crop];
  const around = [0, 0, crop, crop];
  const draw = (below: number): Tensor =>
    uniform([batch, 1, 1, 1], { high: below, dtype: 'float64', ...nextRandomness() });
  const shift = (): Tensor => cast(draw(2 * crop + 1), 'int32');
  const column = range(width);
  const seen = (): Tensor => add(column, mul(cast(less(draw(1), 0.5), 'int32'), affine(column, -2, width - 1)));
  const rows = add(reshape(range(height), [height, 1]), shift());
  const columns = add(mirror ? seen() : column, shift());
  const images = mul(reshape(range(batch * channels), [batch, channels, 1, 1]), high * wide);
  const places = add(images, add(mul(rows, wide), columns));
  return gather(reshape(pad(x, around, around), [-1]), places);
}
