/** Where a figure was measured: what a result file keeps beside it. */
import { readFileSync } from 'node:fs';
import { cpus, platform, release, totalmem } from 'node:os';
import { native } from './native.js';

/** The version of this library. */
export const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/**
 * The machine and the software that figures come from: library, Node, processor, threads, BLAS build and kernel, SIMD.
 *
 * @example
 * ```ts
 * import { environment } from 'sparring';
 *
 * console.log(environment().threads >= 1); // true
 * ```
 */
export function environment(): Record<string, string | number> {
  const processors = cpus();
  return {
    sparring: version,
    node: process.versions.node,
    platform: `${platform()} ${release()} ${process.arch}`,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    ...native.machine(),
  };
}
