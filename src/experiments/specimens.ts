/** Images to look at: clean, the perturbation, and what the network makes of the sum. */
import * as attacks from '../adversary/index.js';
import type { Target } from '../adversary/attack.js';
import { asRows, norms } from '../adversary/norms.js';
import { subset, type Dataset } from '../data/dataset.js';
import type { Specimen } from '../report/images.js';
import { argmax, max, softmax, sub } from '../tensor/ops.js';
import { scope } from '../tensor/scope.js';
import { tensor, type Tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';

/** The first example of each of `count` classes. */
function oneOfEach(data: Dataset, count: number): Int32Array {
  const found = new Map<number, number>();
  for (const row of data.rows) {
    const label = data.labels[row]!;
    if (label < count && !found.has(label)) found.set(label, row);
  }
  return Int32Array.from([...found.entries()].sort(([a], [b]) => a - b).map(([, row]) => row));
}

function predictions(model: Target, x: Tensor, names: readonly string[]): { label: string; confidence: number }[] {
  const probabilities = softmax(model.forward(x));
  const labels = argmax(probabilities).data();
  const confidences = max(probabilities, { axes: [-1] }).data();
  return Array.from(labels, (label, index) => ({
    label: names[label] ?? String(label),
    confidence: confidences[index]!,
  }));
}

/** Moves inputs against a network. */
export type Perturber = (network: Target, x: Tensor, y: Tensor) => Promise<Tensor>;

/** An attack of the paper, of a given L2 length, as a perturber. */
export const budgeted =
  (attack: 'advAlpha' | 'advLoss' | 'advLossSign', epsilon: number): Perturber =>
  async (network, x, y) =>
    (await attacks[attack](network, x, y, { epsilon })).adversarial;

/**
 * One image of each class under a perturbation, as each of some networks sees it. Of each class it is the first in the
 * data set, not the prettiest.
 */
export async function specimens(
  networks: readonly { name: string; network: Target }[],
  data: Dataset,
  { attack, perturb, classes }: { attack: string; perturb: Perturber; classes: number },
): Promise<Specimen[]> {
  const rows = oneOfEach(data, classes);
  const examples = new Examples(subset(data, rows));
  const names = data.classNames ?? Array.from({ length: data.classes }, (_, label) => String(label));
  const result: Specimen[] = [];
  try {
    for (const { name, network } of networks) {
      await scope(async () => {
        const { x, y } = examples.batch(tensor(rows));
        const adversarial = await perturb(network, x, y);
        const [clean, moved] = [predictions(network, x, names), predictions(network, adversarial, names)];
        const lengths = norms.l2.length(asRows(sub(adversarial, x), x.shape.slice(1))).data();
        const [before, after, truth] = [x.data(), adversarial.data(), y.data()];
        const size = before.length / rows.length;
        rows.forEach((_, index) => {
          result.push({
            clean: before.slice(index * size, (index + 1) * size) as Float32Array,
            adversarial: after.slice(index * size, (index + 1) * size) as Float32Array,
            shape: data.shape as [number, number, number],
            label: names[truth[index]!] ?? String(truth[index]),
            predictedClean: clean[index]!,
            predictedAdversarial: moved[index]!,
            attack,
            model: name,
            norm: lengths[index]!,
          });
        });
      });
    }
  } finally {
    examples.dispose();
  }
  return result;
}
