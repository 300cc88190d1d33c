/** Matrix products: the rate that everything else is measured against. */
import { matmul, uniform } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import type { Workload } from './harness.js';

const product = (size: number): Workload => ({
  name: `gemm_${size}`,
  flops: 2 * size ** 3,
  prepare: () => {
    const [a, b] = scope(() => [uniform([size, size], { seed: 1 }), uniform([size, size], { seed: 2 })] as const);
    return {
      run: () => {
        scope(() => void matmul(a, b));
      },
      dispose: () => {
        a.dispose();
        b.dispose();
      },
    };
  },
});

export const products: readonly Workload[] = [product(1024), product(2048)];
