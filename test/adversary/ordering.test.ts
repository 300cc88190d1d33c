import test from 'tape';
import { attacks, cast, datasets, models, take, type DefinedAttack, type DistanceResult } from '../../src/index.js';
import { greaterEqual } from '../../src/tensor/ops.js';
import { tensor, type Tensor } from '../../src/tensor/tensor.js';
import { Examples } from '../../src/training/examples.js';
import { finish } from '../training/trained.js';
import { predictions } from './networks.js';

// Attacks that look for the shortest perturbation by different means come to the same distances on digits.

type AnyDistanceAttack = DefinedAttack<Record<string, unknown>, DistanceResult>;

const settings = {
  fmn: {},
  ddn: {},
  fab: {},
  carliniWagner: { steps: 400, searchSteps: 6, rate: 0.03, constant: 1 },
} as const;

/** A network that has learnt digits, and some that it has not seen. */
const digits = async (): Promise<{ model: ReturnType<typeof models.mlp>; x: Tensor }> => {
  const { train, test: held } = await datasets.sample({ scale: 1 / 255 });
  const model = models.mlp({ hidden: [30], seed: 1 });
  await finish(model, train, { epochs: 6, batchSize: 25 });
  const some = take(held, 20);
  return { model: model.eval(), x: new Examples(some).batch(tensor(some.rows)).x };
};

/** How far each attack says that the nearest boundary is. */
async function distances(
  names: readonly (keyof typeof settings)[],
  model: ReturnType<typeof models.mlp>,
  x: Tensor,
): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const name of names) {
    const attack = attacks[name] as unknown as AnyDistanceAttack;
    const { distance } = await attack(model, x, predictions(model, x), { ...settings[name], clip: [0, 1] });
    found.set(name, Array.from(distance.data()));
  }
  return found;
}

/** By how much distances are longer than others, relative, on average. */
const excess = (distance: readonly number[], least: readonly number[]): number =>
  distance.reduce((sum, each, i) => sum + each / least[i]! - 1, 0) / distance.length;

test('ordering: on digits the attacks agree on how far the nearest boundary is', async (t) => {
  const { model, x } = await digits();
  const found = await distances(['fmn', 'ddn', 'fab', 'carliniWagner'], model, x);
  const all = [...found.values()];
  const least = all[0]!.map((_, i) => Math.min(...all.map((distance) => distance[i]!)));
  for (const [name, distance] of found) {
    const more = excess(distance, least);
    t.ok(more < 0.03, `${name}: ${more.toFixed(4)} longer than the shortest found`);
  }
});

test('ordering: Carlini-Wagner is as good where every pixel is black or white', async (t) => {
  const { model, x } = await digits();
  // Every pixel at a wall: an attack that cannot leave it finds nothing.
  const found = await distances(['fmn', 'carliniWagner'], model, cast(greaterEqual(x, 0.5), 'float32'));
  const more = excess(found.get('carliniWagner')!, found.get('fmn')!);
  t.ok(more < 0.03, `${more.toFixed(4)} longer than FMN's`);
});
