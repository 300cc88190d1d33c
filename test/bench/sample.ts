import type { PeersResult } from '../../src/bench/peers.js';

/** A comparison as a run stores it. */
export const comparison: PeersResult = {
  format: 'sparring-peers',
  version: 1,
  environment: { cpu: 'A Processor' },
  settings: { threads: 2, dtype: 'float32', rounds: 3, seconds: 0.3 },
  machineGflops: 120,
  peers: { pytorch: { version: '1.13' } },
  missing: [
    { title: 'TensorFlow.js', install: 'npm ci --ignore-scripts --prefix bench/peers' },
    { title: 'onnxruntime', reason: 'it ran out of memory' },
  ],
  workloads: [
    {
      name: 'mlp_train_b128',
      ours: 0.0125,
      pytorch: { best: 0.02, configuration: 'tuned, foreach', plain: 0.025 },
      ratio: 1.6,
      gflops: 90,
      fraction: 0.75,
    },
    {
      name: 'lenet_infer_b1',
      ours: 0.0004,
      pytorch: { best: 0.0002, configuration: 'frozen', plain: 0.0003 },
      ratio: 0.5,
      gflops: 12,
      fraction: 0.1,
    },
  ],
};
