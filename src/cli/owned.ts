/** Options that some attacks or methods have and others have not. Which do, and their defaults, their schemas say. */
import { getDefault, safeParse, type GenericSchema, type ObjectEntries } from 'valibot';
import { fault } from '../options.js';
import { flagOf } from './command.js';
import { refusal } from './failure.js';
import { choice, either, option, real, truth, type Kind, type Setting } from './values.js';

/** Attacks or methods by name, each with the schema of its options. */
export type Owners = Readonly<Record<string, { readonly schema: { readonly entries: ObjectEntries } }>>;

/** The parts of a schema that matter here. */
interface Part {
  type: string;
  options?: readonly unknown[];
  wrapped?: GenericSchema;
}

/** What of an option can be written on a command line: all but labels and the like. */
function plain(entry: GenericSchema): GenericSchema | undefined {
  const { type, options, wrapped } = entry as unknown as Part;
  if (wrapped !== undefined) return plain(wrapped);
  if (type === 'union') return (options as GenericSchema[]).map(plain).find((each) => each !== undefined);
  return type === 'custom' || type === 'instance' ? undefined : entry;
}

/** Those that have an option. */
const takersOf = (owners: Owners, name: string): string[] =>
  Object.keys(owners).filter((owner) => {
    const entry = owners[owner]!.schema.entries[name];
    return entry !== undefined && plain(entry) !== undefined;
  });

/** What the word after an option is read as, which is a number, a name, or yes or no. */
export function kindOf(owners: Owners, name: string): Kind<unknown> {
  const parts = takersOf(owners, name).map(
    (owner) => plain(owners[owner]!.schema.entries[name] as GenericSchema) as unknown as Part,
  );
  if (parts[0]?.type === 'boolean') return truth;
  if (parts[0]?.type === 'number') return real();
  return choice([...new Set(parts.flatMap(({ options }) => options as string[]))]);
}

/**
 * An option that some have under this name.
 *
 * @param by - The option that names one of the owners.
 * @param otherwise - What holds without it where the schemas tell no default.
 * @param here - Defaults that hold on the command line only.
 */
export function owned<T>(
  { by, owners, here = {} }: { by: string; owners: Owners; here?: Readonly<Record<string, Record<string, unknown>>> },
  name: string,
  kind: Kind<T>,
  description: string,
  otherwise?: string,
): Setting<T | undefined> {
  const takers = takersOf(owners, name);
  const usual = (owner: string): string => {
    const value = (here[owner]?.[name] ?? getDefault(owners[owner]!.schema.entries[name]!)) as
      string | number | boolean | undefined;
    return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value ?? otherwise);
  };
  const texts = [...new Set(takers.map(usual))].map((value, _, all) =>
    all.length === 1 ? value : `${value} for ${either(takers.filter((owner) => usual(owner) === value))}`,
  );
  return option(kind, description, { fallbackText: texts.join(', '), only: { option: by, values: takers } });
}

/** What was given of an owner's options, each checked by its own schema and refused by its flag. */
export function givenOf(
  owners: Owners,
  owner: string,
  names: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { entries } = owners[owner]!.schema;
  const given = names.filter((name) => name in entries && values[name] !== undefined);
  for (const name of given) {
    const { issues } = safeParse(plain(entries[name] as GenericSchema)!, values[name]);
    if (issues !== undefined) throw refusal(`${flagOf(name)}: ${fault(issues[0])}`);
  }
  return Object.fromEntries(given.map((name) => [name, values[name]]));
}
