/** Convolutions: forward, and with both gradients, or with the input's only. */
import { vjp } from '../autodiff/autodiff.js';
import { conv2d, uniform } from '../tensor/ops.js';
import { planned } from '../tensor/plan.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Workload } from './harness.js';

/** Batch, channels, size, filters, kernel and padding of the peers' convolutions. */
const shapes = {
  conv_1x28_20k5: [128, 1, 28, 20, 5, 0],
  conv_20x12_50k5: [128, 20, 12, 50, 5, 0],
  conv_3x32_64k3p1: [128, 3, 32, 64, 3, 1],
  conv_64x32_64k3p1: [64, 64, 32, 64, 3, 1],
  conv_128x16_128k3p1: [64, 128, 16, 128, 3, 1],
} as const;

export const convolutions: readonly Workload[] = Object.entries(shapes).flatMap(
  ([name, [batch, channels, size, filters, kernel, padding]]) => {
    const out = size + 2 * padding - kernel + 1;
    const flops = 2 * batch * out * out * filters * channels * kernel * kernel;
    const workload = (
      pass: string,
      products: number,
      program: (x: Tensor, w: Tensor, ct: Tensor) => Tensor[],
    ): Workload => ({
      name: `${name}/${pass}`,
      items: batch,
      flops: products * flops,
      prepare: () => {
        const [x, w, ct] = scope(
          () =>
            [
              uniform([batch, channels, size, size], { seed: 1 }),
              uniform([filters, channels, kernel, kernel], { seed: 2, low: -0.1, high: 0.1 }),
              uniform([batch, filters, out, out], { seed: 3 }),
            ] as const,
        );
        const plan = planned(program);
        return {
          run: () =>
            scope(async () => {
              await plan(x, w, ct);
            }),
          profile: () => plan.profile(x, w, ct),
          dispose: () => {
            plan.dispose();
            for (const tensor of [x, w, ct]) tensor.dispose();
          },
        };
      },
    });
    return [
      workload('fwd', 1, (x, w) => [conv2d(x, w, { padding })]),
      workload('fwdbwd', 3, (x, w, ct) => {
        const { value, pullback } = vjp(
          (inputs: readonly Tensor[]) => conv2d(inputs[0]!, inputs[1]!, { padding }),
          [x, w],
        );
        return [value, ...pullback(ct)];
      }),
      workload('fwdbwd_x_only', 2, (x, w, ct) => {
        const { value, pullback } = vjp((input: Tensor) => conv2d(input, w, { padding }), x);
        return [value, pullback(ct)];
      }),
    ];
  },
);
