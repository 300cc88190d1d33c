/** The attacks on the command line. Which options go with which attack, and their defaults, the attacks say. */
import * as attacks from '../adversary/index.js';
import type { AttackName } from '../evaluation/choices.js';
import { givenOf, kindOf, owned } from './owned.js';
import type { Setting } from './values.js';

/** Attacks that are run here otherwise than by their own defaults: minimal to the end, for its distances. */
export const usualHere: Readonly<Record<string, Record<string, unknown>>> = {
  minimal: { linearize: 'logits', steps: 50 },
};

/** The options of the attacks, and what holds where they have no default: a new attack needs an entry here only for an option that none has had. */
const described = {
  version: ['the standard protocol, or rand for networks that act at random'],
  steps: ['steps of the attack; of minimal, how often the network is linearised anew at most'],
  queries: ['evaluations that random search gives an image'],
  restarts: ['times that the attack starts'],
  stepSize: ['length of a step', '2.5 epsilon / steps for pgd, epsilon / steps for the others'],
  randomStart: ['whether the attack starts at a random place'],
  loss: ['what the steps make grow'],
  classes: ['classes, of the likeliest, that the attack considers'],
  targets: ['classes, of the likeliest wrong ones, that the attack leads to one after another', 'all at once'],
  eot: ['evaluations of a network that acts at random that each gradient is averaged over'],
  decay: ['share of the gradients before that a step keeps'],
  linearize: ['what is linearised: logits, whose lengths are distances, or probabilities, as in the paper'],
  overshoot: ['how far beyond the boundary the perturbation goes, relative', '0.02, and 0 for one step'],
  radius: ['radius at first'],
  gamma: ['share by which the radius changes'],
  levels: ['grey levels that images are rounded to', 'not rounded'],
  searchSteps: ['steps of the search for the weight of the loss'],
  constant: ['weight of the loss at first'],
  rate: ['length of the steps'],
  confidence: ['how far another class is to lead'],
  alphaMax: ['most that the steps are drawn back to the image'],
  eta: ['how far beyond the boundary the steps go, as a factor'],
  beta: [
    'of fab, share of a perturbation that the next step starts from; of ead, what each step takes from every pixel',
  ],
  rule: ['length by which the nearest is chosen: l1, or en for the elastic net'],
  probes: ['random probes of the first step, by which its direction is estimated'],
  bound: ['whether classes that cannot win are left out first, which changes no result', 'where it spares work'],
  starts: ['times that noise is drawn to start from, at most'],
  distribution: ['how the noise is distributed'],
  repeats: ['times that noise is drawn'],
  p: ['fraction of the image that a window covers at first'],
  seed: ['seed of all that is random'],
} as const satisfies Readonly<Record<string, readonly [description: string, otherwise?: string]>>;

type OptionName = keyof typeof described;

const names = Object.keys(described) as OptionName[];

/** The options of the attacks. */
export const attackOptions = Object.fromEntries(
  names.map((name) => {
    const [description, otherwise] = described[name] as readonly [string, string?];
    const what = { by: 'attack', owners: attacks, here: usualHere };
    return [name, owned(what, name, kindOf(attacks, name), description, otherwise)];
  }),
) as Record<OptionName, Setting<unknown>>;

/** What is asked of an attack besides its norm and length: what was given, checked, and what is usual here. */
export const attackSettings = (
  name: AttackName,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> => ({
  ...usualHere[name],
  ...givenOf(attacks, name, names, values),
});
