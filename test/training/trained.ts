/** What the tests of training share. */
import {
  train,
  type Dataset,
  type nn,
  type SummaryEvent,
  type TrainEvent,
  type TrainOptions,
} from '../../src/index.js';
import { sameBits } from '../tensor/numbers.js';

/** All that a training tells. */
export async function events(model: nn.Module, data: Dataset, options: TrainOptions = {}): Promise<TrainEvent[]> {
  const told: TrainEvent[] = [];
  for await (const event of train(model, data, options)) told.push(event);
  return told;
}

/** Trains to the end. */
export async function finish(model: nn.Module, data: Dataset, options: TrainOptions = {}): Promise<SummaryEvent> {
  return (await events(model, data, options)).at(-1) as SummaryEvent;
}

/** Whether two networks have the same weights to the bit. */
export function sameWeights(a: nn.Module, b: nn.Module): boolean {
  const [ours, theirs] = [a.stateDict(), b.stateDict()];
  return (
    Object.keys(ours).join() === Object.keys(theirs).join() &&
    Object.entries(ours).every(([name, value]) => sameBits(value.data(), theirs[name]!.data()))
  );
}
