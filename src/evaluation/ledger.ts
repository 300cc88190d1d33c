/** What an evaluation has found so far, example by example, and the file that it can be taken up again from. */
import { access } from 'node:fs/promises';
import * as v from 'valibot';
import { SparringError } from '../errors.js';
import { writeFileAtomic } from '../io/atomic.js';
import { badFile } from '../io/bytes.js';
import { readBytes } from '../io/read.js';
import { decodeSafetensors, encodeSafetensors, type SafetensorsEntry } from '../io/safetensors.js';

/** What became of an example in a run. */
export const fate = {
  /** The attack was not given it. */
  untried: 0,
  /** It is still classified rightly. */
  stands: 1,
  /** It is misclassified. */
  broken: 2,
  /** What the attack gave is no input that it was allowed to give: the example stands. */
  inadmissible: 3,
  /** The network's outputs for it are not finite: it counts as broken. */
  notFinite: 4,
} as const;

/** One attack at one epsilon; a distance attack has one run for all. */
export interface Run {
  label: string;
  epsilon: number | undefined;
  /** How many of the examples that it is given are done. */
  done: number;
  queries: number;
  backwards: number;
  seconds: number;
  /** How many examples, right when clean, the attack called broken that stand, or the other way round. */
  misreported: number;
  /** How many of the broken examples are down to a part of the attack that knew no gradients, after those that did. */
  blackBoxOnly: number;
  /** Of each example its {@link fate}. */
  fates: Uint8Array;
  /** How far each example was moved; NaN where it was not tried. */
  lengths: Float64Array;
}

/** Of one epsilon, the adversarial input of each example that the network got the least right. */
export interface WorstInputs {
  epsilon: number;
  /** The inputs, [examples, ...shape] row-major. */
  inputs: Float32Array;
  /** By how much the label's logit is above all others; negative where the example is misclassified. */
  margins: Float64Array;
  /** Which attack gave the input, counted from 0; -1 where it is the clean one. */
  attacks: Int32Array;
}

/** Whose results they are: each a digest, or what was asked in full. */
export interface Identity {
  model: string;
  data: string;
  settings: string;
}

/** The runs of an evaluation and the worst inputs, if they are kept. */
export interface Ledger {
  runs: Run[];
  worst: WorstInputs[];
}

const format = 'sparring-evaluation';

const amount = v.pipe(v.number(), v.minValue(0));

/** What the file says of itself. */
const headSchema = v.strictObject({
  format: v.literal(format),
  model: v.string(),
  data: v.string(),
  settings: v.string(),
  runs: v.array(
    v.strictObject({
      label: v.string(),
      done: amount,
      queries: amount,
      backwards: amount,
      seconds: amount,
      misreported: amount,
      blackBoxOnly: amount,
    }),
  ),
});

type Head = v.InferOutput<typeof headSchema>;

function encode({ runs, worst }: Ledger, identity: Identity): Uint8Array {
  const tensors = new Map<string, SafetensorsEntry>();
  const put = (name: string, dtype: 'U8' | 'I32' | 'F32' | 'F64', data: SafetensorsEntry['data']): void => {
    tensors.set(name, { dtype, shape: [data.length], data } as SafetensorsEntry);
  };
  runs.forEach(({ fates, lengths }, at) => {
    put(`run.${at}.fates`, 'U8', fates);
    put(`run.${at}.lengths`, 'F64', lengths);
  });
  worst.forEach(({ inputs, margins, attacks }, at) => {
    put(`worst.${at}.inputs`, 'F32', inputs);
    put(`worst.${at}.margins`, 'F64', margins);
    put(`worst.${at}.attacks`, 'I32', attacks);
  });
  const figures = runs.map(({ label, done, queries, backwards, seconds, misreported, blackBoxOnly }) => ({
    label,
    done,
    queries,
    backwards,
    seconds,
    misreported,
    blackBoxOnly,
  }));
  return encodeSafetensors(tensors, {
    evaluation: JSON.stringify({ format, ...identity, runs: figures } satisfies Head),
  });
}

/** A checkpoint that is written every few seconds, at the end, and when the work is stopped. */
export class Checkpoint {
  #written = performance.now();
  /** The next one waits ten times as long as this one took. */
  #pause = 2000;

  constructor(
    private readonly path: string,
    private readonly identity: Identity,
  ) {}

  /**
   * Takes what the file holds over into the ledger, if there is one.
   *
   * @throws SparringError `BAD_FILE` for a file that is no checkpoint, `INVALID_ARGUMENT` for one of another network, of
   * other data or of other settings.
   */
  async restore({ runs, worst }: Ledger): Promise<void> {
    const there = await access(this.path).then(
      () => true,
      () => false,
    );
    if (!there) return;
    const { tensors, metadata } = decodeSafetensors(await readBytes(this.path), this.path);
    let head: Head;
    try {
      head = v.parse(headSchema, JSON.parse(metadata['evaluation'] ?? ''));
    } catch (cause) {
      throw badFile(this.path, 'expected the checkpoint of an evaluation, received a file that is none', cause);
    }
    for (const what of ['model', 'data', 'settings'] as const) {
      if (head[what] === this.identity[what]) continue;
      throw new SparringError(
        'INVALID_ARGUMENT',
        `evaluate: checkpoint: expected one of this ${what} (${this.identity[what]}), received ${this.path} of another (${head[what]})`,
      );
    }
    const into = (name: string, target: Uint8Array | Int32Array | Float32Array | Float64Array): void => {
      const data = tensors.get(name)?.data;
      if (data?.constructor !== target.constructor || data.length !== target.length)
        throw badFile(this.path, `expected ${target.length} values of '${name}', received ${data?.length ?? 'none'}`);
      target.set(data as never);
    };
    runs.forEach((run, at) => {
      into(`run.${at}.fates`, run.fates);
      into(`run.${at}.lengths`, run.lengths);
      Object.assign(run, head.runs[at]);
    });
    worst.forEach((each, at) => {
      into(`worst.${at}.inputs`, each.inputs);
      into(`worst.${at}.margins`, each.margins);
      into(`worst.${at}.attacks`, each.attacks);
    });
  }

  /** Writes the ledger, atomically; unless `always`, only if the last time is long enough ago. */
  async save(ledger: Ledger, { always = false }: { always?: boolean } = {}): Promise<void> {
    const started = performance.now();
    if (!always && started - this.#written < this.#pause) return;
    await writeFileAtomic(this.path, encode(ledger, this.identity));
    this.#written = performance.now();
    this.#pause = Math.max(2000, 10 * (this.#written - started));
  }
}
