/** Which attacks an evaluation runs: by name, with options, or functions of the user's own. */
import * as v from 'valibot';
import type { Attack, AttackOptions, DefinedAttack, Target } from '../adversary/attack.js';
import * as attacks from '../adversary/index.js';
import { SparringError } from '../errors.js';
import { oneOf } from '../options.js';
import type { NormName } from '../tensor/ops.js';
import { Tensor } from '../tensor/tensor.js';

/** The attacks by name. */
export type AttackName = keyof typeof attacks;

type AnyOptions = Readonly<Record<string, unknown>>;

/** An attack with what it is asked. */
export interface AttackEntry {
  /** An attack of this library, or what an `attack` of your own is called. */
  name: string;
  /** An attack of your own, that takes an `epsilon` unless it is a `distance` attack. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each attack has options of its own
  attack?: Attack<any>;
  /** Options of the attack's own. `targets`, where they are classes, are one an example of the data set. */
  options?: AnyOptions;
  /** What results call it; its name by default. Two entries of one name need different labels. */
  label?: string;
  /** The network that the adversarial inputs are made on (a transfer attack); by default the one that is measured. */
  source?: Target;
  /** Of an attack of your own: whether it looks for the nearest adversarial input instead of one within epsilon. */
  distance?: boolean;
}

/** An attack by name, by name with options, or as an entry. */
export type AttackChoice = AttackName | readonly [name: AttackName, options: AnyOptions] | AttackEntry;

/** An attack that is ready to run. */
export interface Chosen {
  label: string;
  run: Attack<AttackOptions & AnyOptions>;
  options: AnyOptions;
  targets: Int32Array | undefined;
  source: Target | undefined;
  distance: boolean;
}

const names = Object.keys(attacks);

/** The name of an attack of this library. */
export const attackName = v.pipe(
  v.string(),
  v.check(
    (name) => names.includes(name),
    ({ input }) => oneOf(input, names),
  ),
);

/** Any choice; {@link choose} tells what is wrong with one. */
export const attackChoices = v.pipe(
  v.array(v.custom<AttackChoice>(() => true)),
  v.minLength(1, 'expected at least one attack, received none'),
);

const shared = ['epsilon', 'norm', 'clip', 'batchSize', 'rows', 'signal', 'onProgress'];
const members = ['name', 'attack', 'options', 'label', 'source', 'distance'];

function asEntry(choice: AttackChoice, refuse: (what: string) => never): AttackEntry {
  if (typeof choice === 'string') return { name: choice };
  if (Array.isArray(choice)) {
    const [name, options] = choice as [string, AnyOptions];
    return { name, options };
  }
  if (typeof choice !== 'object' || (choice as unknown) === null)
    return refuse(`expected a name, [name, options] or { name, ... }, received ${typeof choice}`);
  const stray = Object.keys(choice).find((key) => !members.includes(key));
  if (stray !== undefined) refuse(`unknown member: ${oneOf(stray, members)}`);
  return choice as AttackEntry;
}

/** The targets of a targeted attack, a class for each example of the data set. */
function targetsOf(options: AnyOptions, examples: number, refuse: (what: string) => never): Int32Array | undefined {
  const { targets, targeted } = options;
  // A number of targets is another option, of attacks that choose them themselves.
  if (targets === undefined || typeof targets === 'number') {
    if (targeted === true) refuse(`targeted: expected targets, one for each of ${examples} examples, received none`);
    return undefined;
  }
  const given = targets instanceof Tensor ? targets.data() : targets;
  const numbers = Array.isArray(given) || ArrayBuffer.isView(given) ? Array.from(given as ArrayLike<unknown>) : [];
  if (numbers.length !== examples || !numbers.every((each) => Number.isInteger(each)))
    refuse(`targets: expected ${examples} classes, one an example, received ${numbers.length}`);
  return Int32Array.from(numbers as number[]);
}

/**
 * Makes ready what was chosen.
 *
 * @param call - The name of the call, for messages.
 * @param choices - The attacks.
 * @param about - How many examples the data set has, and the norm of the evaluation.
 * @throws SparringError `INVALID_ARGUMENT` for an unknown attack (with the nearest name), for one that does not work in the
 * norm, for options that are the evaluation's to give, for targets that are missing, and for two attacks of one label.
 */
export function choose(
  call: string,
  choices: readonly AttackChoice[],
  { examples, norm }: { examples: number; norm: NormName },
): Chosen[] {
  const labels = new Set<string>();
  return choices.map((choice, place) => {
    const refuse = (what: string): never => {
      throw new SparringError('INVALID_ARGUMENT', `${call}: attacks.${place}: ${what}`);
    };
    const { name, attack, options = {}, label = name, source, distance } = asEntry(choice, refuse);
    if (typeof name !== 'string' || name === '') refuse(`name: expected a name, received ${typeof name}`);
    if (attack !== undefined && typeof attack !== 'function')
      refuse(`attack: expected a function, received ${typeof attack}`);
    if (attack === undefined && !names.includes(name)) refuse(oneOf(name, names));
    if (attack === undefined && distance !== undefined)
      refuse('distance: expected with an attack of your own, received with one of this library');
    const run = attack ?? attacks[name as AttackName];
    const { norms } = run as Partial<DefinedAttack>;
    if (norms?.includes(norm) === false) refuse(`norm: expected ${norms.join(' or ')} for ${name}, received '${norm}'`);
    const given = Object.keys(options).find((key) => shared.includes(key));
    if (given !== undefined) refuse(`options.${given}: expected among the options of ${call}, for all attacks alike`);
    if (labels.has(label)) refuse(`expected different labels, received '${label}' twice`);
    labels.add(label);
    const each = targetsOf(options, examples, refuse);
    const rest = Object.entries(options).filter(([key]) => each === undefined || key !== 'targets');
    return {
      label,
      run: run as Chosen['run'],
      options: Object.fromEntries(rest),
      targets: each,
      source,
      distance: distance ?? (attack === undefined && !attacks[name as AttackName].needsEpsilon),
    };
  });
}
