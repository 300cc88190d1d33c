import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memory } from '../../src/tensor/scope.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Has everything collected that no program can reach, and freed. A test that counts tensors across an `await` begins
 * with it, or what earlier tests lost would be freed while it counts.
 */
export async function collected(): Promise<void> {
  for (let round = 0, before = Infinity; round < 50 && memory().tensors < before; round++) {
    before = memory().tensors;
    collect();
    await new Promise((done) => setTimeout(done, 2));
  }
}
