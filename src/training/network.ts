/** Trained networks in files: the weights, and beside them what it takes to build the network and feed it. */
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { readSafetensors, saveSafetensors } from '../io/weights.js';
import type { Sequential } from '../nn/layers.js';
import * as models from '../nn/models.js';
import { scope } from '../tensor/scope.js';

const description = v.object({
  /** The name of the model, and the options it is made with. */
  model: v.picklist(Object.keys(models) as (keyof typeof models)[]),
  options: v.record(v.string(), v.unknown()),
  /** The shape of one input, and from its stored numbers to those that the network takes. */
  input: v.object({ shape: v.array(v.number()), scale: v.number() }),
  /** How it was trained: the data set, the seed (of the split as well), and whatever else is worth keeping. */
  training: v.looseObject({ data: v.string(), seed: v.number(), method: v.string() }),
});

/** What is kept of a network besides its weights. */
export type Description = v.InferOutput<typeof description>;

/** A network with its description. */
export type SavedNetwork = Description & { network: Sequential };

/** The network that a description is of, with new weights. */
export function build({ model, options }: Pick<Description, 'model' | 'options'>): Sequential {
  return models[model](options);
}

/** Writes a network. */
export async function saveNetwork(path: string, network: Sequential, description: Description): Promise<void> {
  const metadata = Object.fromEntries(Object.entries(description).map(([key, value]) => [key, JSON.stringify(value)]));
  await saveSafetensors(path, network.stateDict(), { metadata });
}

function describe(path: string, metadata: Readonly<Record<string, string>>): Description {
  try {
    const parts = Object.keys(description.entries).map((key) => [key, JSON.parse(metadata[key] ?? 'null') as unknown]);
    return v.parse(description, Object.fromEntries(parts));
  } catch (cause) {
    throw new SparringError(
      'BAD_FILE',
      `${path}: expected a network that sparring train has saved, received a file that does not say how to build one`,
      { cause },
    );
  }
}

/**
 * Reads a network, in evaluation mode.
 *
 * @throws SparringError `NOT_FOUND`, or `BAD_FILE` saying what is wrong with the file.
 */
export async function loadNetwork(path: string): Promise<SavedNetwork> {
  return scope(async () => {
    const { tensors, metadata } = await readSafetensors(path);
    const described = describe(path, metadata);
    try {
      const network = build(described).eval();
      network.loadStateDict(tensors);
      return { ...described, network };
    } catch (cause) {
      throw new SparringError('BAD_FILE', `${path}: ${(cause as Error).message}`, { cause });
    }
  });
}
