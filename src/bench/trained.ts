/** Networks that have learned a little: attacks and Jacobians take another time on them than on new ones. */
import { join } from 'node:path';
import { datasets } from '../data/datasets.js';
import { loadSafetensors, saveSafetensors } from '../io/weights.js';
import type { Module } from '../nn/module.js';
import * as models from '../nn/models.js';
import { constant } from '../nn/schedules.js';
import { scope } from '../tensor/scope.js';
import { tensor } from '../tensor/tensor.js';
import { Examples } from '../training/examples.js';
import { train } from '../training/train.js';
import { numbered } from '../adversary/attack.js';
import type { Given } from './harness.js';

/** The networks of the workloads. */
export type NetworkName = 'mlp' | 'lenet';

/** How the workloads' networks learn. */
export const optimizer = { name: 'sgd', rate: 0.01, momentum: 0.9 } as const;

const stepsLearned = 300;

/** Weights by network, learned once for all workloads of a process. */
const learned = new Map<NetworkName, Promise<Record<string, Float32Array>>>();

async function learn(name: NetworkName): Promise<Record<string, Float32Array>> {
  const { train: data } = await datasets.mnist();
  const model = models[name]({ seed: 1 });
  for await (const event of train(model, data, { batchSize: 128, optimizer, schedule: constant() })) {
    if (event.type === 'step' && event.step === stepsLearned) break;
  }
  const weights = Object.entries(model.stateDict()).map(([key, value]) => [key, value.data() as Float32Array]);
  model.dispose();
  return Object.fromEntries(weights) as Record<string, Float32Array>;
}

/** A network that has learned MNIST for 300 steps: read from the folder that is given, else trained here. */
export async function trainedNetwork(name: NetworkName, { networks }: Given = {}): Promise<Module> {
  const model = models[name]({ seed: 1 });
  await scope(async () => {
    if (networks !== undefined) {
      model.loadStateDict(await loadSafetensors(join(networks, `${name}.safetensors`)));
      return;
    }
    let weights = learned.get(name);
    if (weights === undefined) learned.set(name, (weights = learn(name)));
    const found = await weights;
    model.loadStateDict(
      Object.fromEntries(
        Object.entries(model.stateDict()).map(([key, { shape }]) => [key, tensor(found[key]!, { shape })]),
      ),
    );
  });
  return model;
}

const imagesToTrainOn = 12_800;

/** Writes what other systems' programs work on: images of MNIST as sparring sees them, and the trained networks. */
export async function writeMaterial(folder: string, given: Given = {}): Promise<void> {
  const { train: data, test } = await datasets.mnist();
  await scope(async () => {
    const parts = { train: [data, imagesToTrainOn], test: [test, test.rows.length] } as const;
    const images = Object.entries(parts).flatMap(([part, [dataset, count]]) => {
      const examples = new Examples(dataset);
      const { x, y } = examples.batch(tensor(numbered(count)));
      examples.dispose();
      return [
        [`${part}.x`, x],
        [`${part}.y`, y],
      ] as const;
    });
    await saveSafetensors(join(folder, 'images.safetensors'), Object.fromEntries(images));
  });
  for (const name of ['mlp', 'lenet'] as const) {
    const model = await trainedNetwork(name, given);
    await saveSafetensors(join(folder, `${name}.safetensors`), model.stateDict());
    model.dispose();
  }
}
