/** Times this library and other systems on the same workloads in turn, and sets their figures side by side. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environment } from '../environment.js';
import { SparringError } from '../errors.js';
import { native } from '../native.js';
import { ratioBars } from '../report/ratioBars.js';
import type { Picture } from '../report/picture.js';
import { median, type Workload } from './harness.js';
import { chosen } from './index.js';
import { products } from './products.js';
import { writeMaterial } from './trained.js';

const programs = fileURLToPath(new URL('../../bench/peers/', import.meta.url));

/** A system that figures are compared with. */
export interface Peer {
  name: 'pytorch' | 'tensorflowjs' | 'onnxruntime';
  title: string;
  /** What installs it. */
  install: string;
  /** How it is run here, in each environment that it is timed in; none when it is not installed. */
  find: () => Command[] | undefined;
}

/** How a program is run. */
interface Command {
  /** What sets this way apart from a plain run. */
  label: string;
  words: string[];
  env: Record<string, string>;
}

/** OpenBLAS over OpenMP: the default build's own threads get in the way of PyTorch's. */
function openmpBlas(): string | undefined {
  const places = [
    process.env['SPARRING_OPENMP_BLAS'],
    ...['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/openblas-openmp`),
  ];
  return places.find((place) => place !== undefined && existsSync(place));
}

const hasAvx512 = (): boolean =>
  existsSync('/proc/cpuinfo') && readFileSync('/proc/cpuinfo', 'utf8').includes(' avx512f');

/** What makes PyTorch faster without changing a program. */
function tuned(): Record<string, string> {
  const blas = openmpBlas();
  const libraries = process.env['LD_LIBRARY_PATH'];
  return {
    // Freed blocks are kept: fresh pages are dear.
    MALLOC_TOP_PAD_: '268435456',
    MALLOC_MMAP_THRESHOLD_: '4294967296',
    MALLOC_TRIM_THRESHOLD_: '8589934592',
    // OpenMP's idle threads do not spin beside those of OpenBLAS.
    ...(blas === undefined
      ? { GOMP_SPINCOUNT: '0' }
      : { LD_LIBRARY_PATH: libraries === undefined ? blas : `${blas}:${libraries}` }),
    ...(hasAvx512() && { ATEN_CPU_CAPABILITY: 'avx512' }),
  };
}

function findPython(): string | undefined {
  const candidates = [process.env['SPARRING_PYTHON'], '/usr/bin/python3', 'python3'];
  return candidates.find(
    (python) =>
      python !== undefined && spawnSync(python, ['-c', 'import torch, numpy'], { stdio: 'ignore' }).status === 0,
  );
}

/**
 * What installs all peers that come from npm. They are a package of their own: beside the library's dependencies each
 * installation would prune the other. Their scripts only fetch what a CPU has no use for.
 */
const fromNpm = `npm ci --ignore-scripts --prefix ${relative('', programs) || '.'}`;

/** Whether npm packages are there for the peers' programs to import. */
function installed(...packages: string[]): boolean {
  const { resolve } = createRequire(join(programs, 'package.json'));
  try {
    packages.forEach((name) => resolve(name));
    return true;
  } catch {
    return false;
  }
}

const script = (file: string, packages: string[]) => (): Command[] | undefined =>
  installed(...packages) ? [{ label: '', words: [process.execPath, join(programs, file)], env: {} }] : undefined;

/** The systems that figures are compared with. None is needed by this library, so they are used where they are. */
export const peers: readonly Peer[] = [
  {
    name: 'pytorch',
    title: 'PyTorch',
    install: 'apt-get install python3-torch',
    find: () => {
      const python = findPython();
      const words = [python!, join(programs, 'torch_bench.py')];
      return python === undefined
        ? undefined
        : [
            { label: '', words, env: {} },
            { label: 'tuned', words: [...words, '--tuned'], env: tuned() },
          ];
    },
  },
  {
    name: 'tensorflowjs',
    title: 'TensorFlow.js',
    install: fromNpm,
    find: script('tfjs_bench.mjs', ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm']),
  },
  {
    name: 'onnxruntime',
    title: 'onnxruntime',
    install: fromNpm,
    find: script('ort_bench.mjs', ['onnxruntime-node']),
  },
];

/** Seconds by workload and configuration. */
type Measured = Record<string, Record<string, { seconds?: number }>>;

interface Output {
  meta: Record<string, unknown>;
  workloads: Measured;
}

/** Runs a program and reads the JSON document that it prints. */
async function run({ words, env }: Command, args: readonly string[], signal?: AbortSignal): Promise<unknown> {
  const child = spawn(words[0]!, [...words.slice(1), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(signal && { signal }),
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(signal?.aborted ? (signal.reason as Error) : error));
    child.once('close', resolve);
  });
  if (code !== 0) throw new SparringError('INVALID_ARGUMENT', `bench: ${words.join(' ')}: ${said.stderr.slice(-1000)}`);
  return JSON.parse(said.stdout);
}

/** One workload, in seconds a repetition: medians over the rounds. */
export interface PeerRow {
  name: string;
  ours: number;
  /** The fastest way of PyTorch's that was found, which one it is, and the plain way in the plain environment. */
  pytorch?: { best: number; configuration: string; plain: number };
  tensorflowjs?: number;
  onnxruntime?: number;
  /** How many times as long PyTorch's best takes. */
  ratio?: number;
  /** Our rate, in 10^9 floating-point operations of products and convolutions a second. */
  gflops?: number;
  /** That rate as a fraction of the machine's. */
  fraction?: number;
  /** How often it was timed, where runs were joined. */
  rounds?: number;
}

/** What a comparison gave, and what gave it; the content of `peers.json`. */
export interface PeersResult {
  format: 'sparring-peers';
  version: 1;
  environment: Record<string, string | number>;
  settings: Record<string, unknown>;
  /** The fastest matrix product of the run, whoever's it is: the machine's rate, in GFLOP/s. */
  machineGflops: number;
  /** What the peers tell of themselves. */
  peers: Record<string, Record<string, unknown>>;
  /** The peers without figures, and why or what installs them. */
  missing: { title: string; install?: string; reason?: string }[];
  workloads: PeerRow[];
}

/** What is measured by whom: samples of seconds by workload, system and configuration. */
export class Samples {
  readonly #samples = new Map<string, number[]>();

  add(system: string, label: string, { workloads }: Pick<Output, 'workloads'>): void {
    for (const [name, configurations] of Object.entries(workloads)) {
      for (const [configuration, { seconds }] of Object.entries(configurations)) {
        if (seconds === undefined) continue;
        const key = [name, system, [label, configuration].filter(Boolean).join(', ')].join('\t');
        this.#samples.set(key, [...(this.#samples.get(key) ?? []), seconds]);
      }
    }
  }

  /** The medians of a system's configurations, the fastest one first. */
  of(name: string, system: string): { configuration: string; seconds: number }[] {
    const start = `${name}\t${system}\t`;
    return [...this.#samples]
      .filter(([key]) => key.startsWith(start))
      .map(([key, values]) => ({ configuration: key.slice(start.length), seconds: median(values) }))
      .sort((a, b) => a.seconds - b.seconds);
  }
}

/** The rows of a comparison, and the machine's rate. */
export function compared(
  workloads: readonly Pick<Workload, 'name' | 'flops'>[],
  samples: Samples,
): Pick<PeersResult, 'machineGflops' | 'workloads'> {
  const rate = (flops: number | undefined, seconds: number): number => (flops ?? 0) / seconds / 1e9;
  const systems = ['ours', ...peers.map(({ name }) => name)];
  const machineGflops = Math.max(
    ...products.flatMap(({ name, flops }) =>
      systems.flatMap((system) => samples.of(name, system).map(({ seconds }) => rate(flops, seconds))),
    ),
  );
  const rows = workloads.map(({ name, flops }): PeerRow => {
    const [ours] = samples.of(name, 'ours');
    const torch = samples.of(name, 'pytorch');
    const [best] = torch;
    const plain = torch.find(({ configuration }) => configuration === 'plain');
    const row: PeerRow = { name, ours: ours!.seconds };
    if (best !== undefined && plain !== undefined) {
      row.pytorch = { best: best.seconds, configuration: best.configuration, plain: plain.seconds };
      row.ratio = best.seconds / row.ours;
    }
    for (const system of ['tensorflowjs', 'onnxruntime'] as const) {
      const [fastest] = samples.of(name, system);
      if (fastest !== undefined) row[system] = fastest.seconds;
    }
    if (flops !== undefined) {
      row.gflops = rate(flops, row.ours);
      row.fraction = row.gflops / machineGflops;
    }
    return row;
  });
  return { machineGflops, workloads: rows };
}

/** Options of {@link benchPeers}. */
export interface PeersOptions {
  /** Suites by name, or workloads by the beginning of their names; all by default. The matrix products are always timed. */
  only?: readonly string[];
  /** How often every system has its turn, 3 by default. */
  rounds?: number;
  /** About how long each workload is timed in a round, 0.3 by default. */
  seconds?: number;
  /** A folder with trained networks; by default they are trained first. */
  networks?: string | undefined;
  /** The words that start the command line of this library: it is timed in a process of its own, as its peers are. */
  command: readonly string[];
  signal?: AbortSignal;
  onTurn?: (what: string, done: number, total: number) => void;
}

/**
 * Times this library and its peers in turn: rounds of one process each, so that what the machine does beside falls on all
 * of them. All see the same images and the same trained networks.
 */
export async function benchPeers({
  only = [],
  rounds = 3,
  seconds = 0.3,
  networks,
  command,
  signal,
  onTurn,
}: PeersOptions): Promise<PeersResult> {
  if (!existsSync(programs)) {
    throw new SparringError(
      'NOT_FOUND',
      `bench: expected the peers' programs in ${programs}; they come with the source`,
    );
  }
  const workloads = only.length === 0 ? chosen() : chosen([...new Set(['products', ...only])]);
  const names = workloads.map(({ name }) => name).join();
  const threads = String(native.threads());
  const found = peers.map((peer) => ({ peer, commands: peer.find() }));
  const missing: PeersResult['missing'] = found
    .filter(({ commands }) => commands === undefined)
    .map(({ peer: { title, install } }) => ({ title, install }));
  const about: PeersResult['peers'] = {};
  const samples = new Samples();
  const material = await mkdtemp(join(tmpdir(), 'sparring-bench-'));
  try {
    onTurn?.('networks to attack', 0, 1);
    await writeMaterial(material, { networks });
    const ours = async (): Promise<void> => {
      const args = ['bench', '--only', names, '--seconds', String(seconds), '--threads', threads];
      const words = { label: '', words: [...command], env: {} };
      const output = await run(words, [...args, '--networks', material, '--json', '--quiet'], signal);
      const timings = Object.entries((output as { workloads: Record<string, { median_s: number }> }).workloads);
      const measured = timings.map(([name, { median_s }]) => [name, { '': { seconds: median_s } }]);
      samples.add('ours', '', { workloads: Object.fromEntries(measured) as Measured });
    };
    const turns = [
      { what: 'sparring', turn: ours },
      ...found.flatMap(({ peer: { name, title }, commands = [] }) =>
        commands.map((each) => ({
          what: [title, each.label].filter(Boolean).join(', '),
          turn: async (): Promise<void> => {
            if (missing.some((entry) => entry.title === title)) return;
            const env = { OMP_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads, ...each.env };
            const args = ['--material', material, '--workloads', names, '--threads', threads];
            try {
              const output = (await run({ ...each, env }, [...args, '--seconds', String(seconds)], signal)) as Output;
              about[name] = output.meta;
              samples.add(name, each.label, output);
            } catch (error) {
              if (signal?.aborted) throw error;
              missing.push({ title, reason: (error as Error).message });
            }
          },
        })),
      ),
    ];
    for (let round = 0; round < rounds; round++) {
      // Back and forth, so that nobody always follows the same neighbour.
      const order = round % 2 === 0 ? turns : [...turns].reverse();
      for (const [index, { what, turn }] of order.entries()) {
        signal?.throwIfAborted();
        onTurn?.(what, round * turns.length + index, rounds * turns.length);
        await turn();
      }
    }
  } finally {
    await rm(material, { recursive: true, force: true });
  }
  const settings = { threads: Number(threads), dtype: 'float32', rounds, seconds, tuned: tuned() };
  return {
    format: 'sparring-peers',
    version: 1,
    environment: environment(),
    settings,
    ...compared(workloads, samples),
    peers: about,
    missing,
  };
}

/** How a comparison was timed, in words. */
export const timingOf = ({ threads, rounds }: PeersResult['settings']): string =>
  `${String(threads)} ${threads === 1 ? 'thread' : 'threads'}, float32, ` +
  (rounds === 1 ? 'one round in turn' : `medians of ${String(rounds)} rounds in turn`);

/** The ratios of a comparison as a picture; none when PyTorch was not there. */
export async function peersPicture({
  workloads,
  settings,
  environment: { cpu },
}: PeersResult): Promise<Picture | undefined> {
  const rows = workloads.flatMap(({ name, ratio }) => (ratio === undefined ? [] : [{ label: name, ratio }]));
  if (rows.length === 0) return undefined;
  return ratioBars({
    name: 'peers',
    title: "How many times as long PyTorch's best takes",
    subtitle: `${String(cpu)}; ${timingOf(settings)}`,
    rows,
  });
}
