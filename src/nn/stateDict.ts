import { SparringError } from '../errors.js';
import { native } from '../native.js';
import { nearest } from '../options.js';
import { idOf, type Tensor } from '../tensor/tensor.js';

/** Writes the numbers of a state dict into the tensors of the same names; when one does not fit, nothing is changed. */
export function loadTensors(own: readonly [string, Tensor][], state: Readonly<Record<string, Tensor>>): void {
  const names = own.map(([name]) => name);
  const unknown = Object.keys(state).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, names);
    throw new SparringError(
      'INVALID_ARGUMENT',
      `loadStateDict: unknown parameter '${unknown}'${meant === undefined ? '' : ` (did you mean '${meant}'?)`}; expected ${names.join(', ')}`,
    );
  }
  const writes = own.map(([name, tensor]) => {
    const given = state[name];
    if (given === undefined)
      throw new SparringError('INVALID_ARGUMENT', `loadStateDict: expected a tensor for '${name}', received none`);
    idOf(given, 'loadStateDict');
    if (given.shape.join() !== tensor.shape.join()) {
      throw new SparringError(
        'SHAPE_MISMATCH',
        `loadStateDict: ${name} expects shape [${tensor.shape.join(',')}], received [${given.shape.join(',')}]`,
      );
    }
    const numbers = given.data();
    return {
      id: tensor.id,
      numbers: tensor.dtype === 'float64' ? Float64Array.from(numbers) : Float32Array.from(numbers),
    };
  });
  for (const { id, numbers } of writes) native.write(id, numbers);
}
