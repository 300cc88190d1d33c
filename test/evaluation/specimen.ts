/** What the tests of evaluation measure. */
import { datasets, models, take, type Dataset, type nn } from '../../src/index.js';
import { finish } from '../training/trained.js';

export interface Specimen {
  model: nn.Sequential;
  other: nn.Sequential;
  data: Dataset;
}

let made: Promise<Specimen> | undefined;
/** Two networks that have learnt a little, and the examples that they are measured on. */
export const specimen = (): Promise<Specimen> => (made ??= makeSpecimen());

async function makeSpecimen(): Promise<Specimen> {
  const { train: examples, test: all } = await datasets.sample();
  const [model, other] = [models.mlp({ hidden: [20], seed: 1 }), models.lenet({ filters: [3, 4], dense: 12, seed: 2 })];
  await finish(model, examples, { epochs: 3, batchSize: 25 });
  await finish(other, examples, { epochs: 3, batchSize: 25, optimizer: { name: 'adam', rate: 0.01 } });
  return { model, other, data: take(all, 130) };
}
