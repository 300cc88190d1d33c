import { accuracyCurve } from '../evaluation/curve.js';
import type { Experiment } from './experiment.js';
import type { Profile, Recipe } from './profiles.js';

const lenetNormal = ({ recipes }: Profile): Recipe[] =>
  recipes.filter(({ model, method }) => model === 'lenet' && method.name === 'normal');

const units = 15000;

/** Figure 1 of the paper: accuracy of LeNet, trained normally, against the length of the perturbation. */
export const figure1: Experiment = {
  recipes: lenetNormal,
  units: () => units,
  settings: ({ lengths }) => ({ data: 'mnist', norm: 'l2', lengths, clip: false, images: '10,000 validation images' }),
  async measure(laboratory, seed) {
    const { profile, report } = laboratory.options;
    const { validation } = await laboratory.images(seed);
    const [recipe] = lenetNormal(profile);
    const { network } = await laboratory.network(recipe!, seed);
    let before = 0;
    const points = await accuracyCurve(network, validation, {
      epsilons: profile.lengths,
      ...laboratory.signal,
      onProgress: (done, total) => {
        report('figure1 lenet normal', ((done - before) / total) * units, `${done} of ${total} images`);
        before = done;
      },
    });
    return points.map(({ epsilon, accuracy }) => ({
      model: recipe!.model,
      method: recipe!.method.name,
      epsilon,
      accuracy,
    }));
  },
};
