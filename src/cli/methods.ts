/** The training methods on the command line. Which options go with which method, and their defaults, the methods say. */
import { norms } from '../adversary/norms.js';
import type { Method, MethodMaker } from '../training/method.js';
import * as methods from '../training/methods.js';
import { length, lengthUnits } from './options.js';
import { owned } from './owned.js';
import { choice, either, range, real, text, truth, whole, type Kind, type Setting } from './values.js';

/** A method's name. */
export type MethodName = keyof typeof methods;

/** The names of all methods. */
export const methodNames = Object.keys(methods) as MethodName[];

const makers = methods as unknown as Record<MethodName, MethodMaker>;

/** What options of methods are called here where their name is another option's already. */
const flags: Readonly<Record<string, string>> = { rate: 'dropoutRate' };

/** An option that some methods have under this name. */
const own = <T>(name: string, kind: Kind<T>, description: string, otherwise?: string): Setting<T | undefined> =>
  owned({ by: 'method', owners: makers }, name, kind, description, otherwise);

/** The options of the methods: a new method needs an entry here only for an option that none has had. */
export const methodOptions = {
  epsilon: own('epsilon', length, `length of the perturbations, ${lengthUnits}; with lwaRep of the layer's inputs`),
  norm: own('norm', choice(Object.keys(norms)), `norm of the perturbations: ${either(Object.keys(norms))}`),
  perturbation: own(
    'perturbation',
    choice(['loss', 'alpha']),
    "the adversary's aim: to lower the likelihood (loss) or to change the class (alpha)",
  ),
  steps: own('steps', whole({ least: 1 }), 'steps of the adversary'),
  stepSize: own('stepSize', length, 'length of a step', 'epsilon for one step, 2.5 epsilon / steps for more'),
  randomStart: own('randomStart', truth, 'whether the adversary starts at a random place'),
  clip: own('clip', range, 'range that perturbed images stay inside', 'none'),
  replays: own('replays', whole({ least: 1 }), 'times that a batch is learned from'),
  beta: own('beta', real({ least: 0 }), 'weight of the change of the answers'),
  share: own('share', real({ least: 0, most: 1 }), 'share of the perturbed images in the loss'),
  weight: own('weight', real({ least: 0 }), 'weight of the term that smooths the answers'),
  iterations: own('iterations', whole({ least: 1 }), 'iterations of the power method'),
  hessian: own(
    'hessian',
    choice(['difference', 'exact']),
    'how the Hessian is multiplied: by a difference of gradients, or exact',
  ),
  xi: own('xi', real({ least: 0 }), 'distance of the difference'),
  layer: own(
    'layer',
    text,
    "layer whose inputs are perturbed, by its name in the file: '2'",
    'the second with weights',
  ),
  dropoutRate: own('rate', real({ least: 0, below: 1 }), 'fraction of the hidden units left out at each step'),
};

/** The method that the options ask for. */
export function methodOf(name: MethodName, values: Readonly<Record<string, unknown>>): Method {
  const maker = makers[name];
  const given = Object.keys(maker.schema.entries)
    .map((each) => [each, values[flags[each] ?? each]])
    .filter(([, value]) => value !== undefined);
  return maker(Object.fromEntries(given) as Record<string, unknown>);
}
