/** `sparring bench` */
import { join } from 'node:path';
import { bench, chosen, studies, suites } from '../bench/index.js';
import { profile, type Profile } from '../bench/profile.js';
import { benchPeers, peersPicture, timingOf, type PeersResult } from '../bench/peers.js';
import type { Study } from '../bench/study.js';
import { environment } from '../environment.js';
import { ensureWritable, writeFileAtomic } from '../io/atomic.js';
import { toPng } from '../report/picture.js';
import { defineCommand, type Outcome } from './command.js';
import { refusal } from './failure.js';
import { grid } from './grid.js';
import type { Session } from './session.js';
import { oneOf } from '../options.js';
import { either, Fault, flag, folder, list, option, real, whole, type Kind } from './values.js';

const names = [
  ...Object.keys(studies),
  ...Object.keys(suites),
  ...Object.values(suites).flatMap((workloads) => workloads.map(({ name }) => name)),
];

/** A study, a suite, a workload, or how the names of some begin. */
const wish: Kind<string> = {
  placeholder: 'name',
  read(text) {
    if (!names.some((name) => name.startsWith(text))) throw new Fault(oneOf(text, names));
    return text;
  },
};

const options = {
  only: option(list(wish), 'studies, suites or workloads, or how their names begin', {
    fallbackText: 'all but the studies',
  }),
  seconds: option(real({ least: 0.01 }), 'about how long each workload is timed', {
    fallbackText: '1; with --peers 0.3',
  }),
  rounds: option(whole({ least: 1 }), 'how often everything is timed in turn; figures are medians over the rounds', {
    fallbackText: '1; with --peers 3',
  }),
  networks: option(folder, 'a folder with trained networks, mlp.safetensors and lenet.safetensors', {
    fallbackText: 'they are trained first',
  }),
  peers: flag('time PyTorch, TensorFlow.js and onnxruntime in turn with sparring, those that are installed'),
  profile: flag('tell what each op of the workloads takes, instead of timing the whole'),
  out: option(folder, 'where the result goes as a file, with --peers also as a plot', {
    fallbackText: 'nowhere; with --peers results/bench',
  }),
};

const milliseconds = (seconds: number): string => (1000 * seconds).toPrecision(4);

/** A comparison as a table of text, without the columns that nobody has figures for; the first row names them. */
function peersTable({ workloads }: PeersResult): string[][] {
  const columns = [
    { title: 'sparring', cell: ({ ours }) => milliseconds(ours) },
    { title: 'PyTorch, best', cell: ({ pytorch }) => pytorch && milliseconds(pytorch.best) },
    { title: 'ratio', cell: ({ ratio }) => ratio?.toFixed(2) },
    { title: 'PyTorch, plain', cell: ({ pytorch }) => pytorch && milliseconds(pytorch.plain) },
    { title: 'TensorFlow.js', cell: ({ tensorflowjs }) => tensorflowjs && milliseconds(tensorflowjs) },
    { title: 'onnxruntime', cell: ({ onnxruntime }) => onnxruntime && milliseconds(onnxruntime) },
    { title: 'of sgemm', cell: ({ fraction }) => fraction && `${(100 * fraction).toFixed(0)} %` },
    { title: 'limit', cell: ({ ratio, fraction }) => ratio && fraction && (ratio / fraction).toFixed(2) },
  ] satisfies { title: string; cell: (row: PeersResult['workloads'][number]) => string | number | undefined }[];
  const shown = columns.filter(({ cell }) => workloads.some((row) => cell(row) !== undefined));
  return [
    ['ms a repetition', ...shown.map(({ title }) => title)],
    ...workloads.map((row) => [row.name, ...shown.map(({ cell }) => String(cell(row) ?? ''))]),
  ];
}

/** What the columns of a comparison mean, and how it was measured. */
const legend = ({ machineGflops, settings }: PeersResult): string[] => [
  `ratio: how many times as long PyTorch's best takes; of sgemm: rate as a part of the machine's ${machineGflops.toFixed(0)} GFLOP/s; limit: what the ratio would be if all the arithmetic ran at that rate, which only less arithmetic (Winograd's convolutions, classes left out) can beat`,
  timingOf(settings),
];

/** A comparison as text: one line per workload, and what is missing. */
export function peersText(result: PeersResult): string {
  const absent = result.missing.map(({ title, install, reason }) =>
    install === undefined ? `${title} failed: ${reason}` : `${title} is not installed; to time it too: ${install}`,
  );
  return `${grid(peersTable(result))}${[...legend(result), ...absent].map((line) => `${line}\n`).join('')}`;
}

/** A comparison as a table in Markdown. */
export function peersMarkdown(result: PeersResult): string {
  const [head, ...body] = peersTable(result);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head!.map((_, at) => (at === 0 ? '---' : '--:'));
  const told = `${legend(result).join('; ')}; ${String(result.environment['cpu'])}.`;
  return [...[head!, rule, ...body].map(line), '', `${told[0]!.toUpperCase()}${told.slice(1)}`].join('\n');
}

async function comparison(
  session: Session,
  {
    out = join('results', 'bench'),
    ...rest
  }: Omit<Parameters<typeof benchPeers>[0], 'command' | 'signal'> & { out?: string | undefined },
): Promise<Outcome> {
  await ensureWritable(out);
  const result = await benchPeers({
    ...rest,
    // This very program, with whatever Node was told.
    command: [process.execPath, ...process.execArgv, process.argv[1]!],
    signal: session.signal,
    onTurn: (what, done, total) => session.progress({ what, done, total, detail: '' }),
  });
  const picture = await peersPicture(result);
  const contents = {
    'peers.json': `${JSON.stringify(result, null, 2)}\n`,
    ...(picture && { 'peers.svg': picture.svg, 'peers.png': await toPng(picture.svg) }),
  };
  const files: string[] = [];
  for (const [name, content] of Object.entries(contents)) {
    files.push(join(out, name));
    await writeFileAtomic(files.at(-1)!, content);
  }
  return { json: { ...result, files }, text: `${peersText(result)}\n${files.map((path) => `${path}\n`).join('')}` };
}

/** The file of what was measured, where one is wished for. */
async function keep(out: string | undefined, name: string, json: unknown): Promise<void> {
  if (out !== undefined) await writeFileAtomic(join(out, `${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
}

interface Timing {
  only: readonly string[];
  networks: string | undefined;
  seconds?: number;
  out?: string | undefined;
}

async function profiled(session: Session, { only, networks, seconds = 1, out }: Timing): Promise<Outcome> {
  const workloads = chosen(only);
  const profiles: Profile[] = [];
  const others: string[] = [];
  for (const [done, workload] of workloads.entries()) {
    session.signal.throwIfAborted();
    session.progress({ what: workload.name, done, total: workloads.length, detail: '' });
    const found = await profile(workload, { seconds, networks });
    if (found === undefined) others.push(workload.name);
    else profiles.push(found);
  }
  const left = `not run as one plan: ${others.join(', ')}`;
  if (profiles.length === 0) throw refusal(`--only: expected with --profile workloads that run as one plan; ${left}`);
  if (others.length > 0) session.note(left);
  const text = profiles.map(({ name, seconds: total, gflops, ops }) =>
    grid([
      [`${name}, ${milliseconds(total)} ms, ${gflops.toFixed(1)} GFLOP/s`, 'calls', 'ms', 'share', 'GFLOP/s'],
      ...ops.map(({ op, shape, calls, seconds: taken, share, gflops: rate }) => [
        `${op} [${shape.join(',')}]`,
        String(calls),
        milliseconds(taken),
        `${(100 * share).toFixed(1)} %`,
        rate === undefined ? '' : rate.toFixed(1),
      ]),
    ]),
  );
  const json = { meta: environment(), profiles };
  await keep(out, 'profile', json);
  return { json, text: text.join('\n') };
}

async function studied(session: Session, { only, seconds = 1, out }: Timing): Promise<Outcome> {
  const found: Record<string, Study> = {};
  for (const name of only) {
    const onProgress = (what: string, done: number, total: number): void => {
      session.progress({ what, done, total, detail: '' });
    };
    found[name] = await studies[name]!({ seconds, signal: session.signal, onProgress });
  }
  const text = Object.values(found).map(({ rows, findings }) => {
    const columns = Object.keys(rows[0] ?? {});
    return `${grid([columns, ...rows.map((row) => columns.map((column) => String(row[column])))])}${findings.map((each) => `${each}\n`).join('')}`;
  });
  const json = { meta: environment(), studies: found };
  await keep(out, 'studies', json);
  return { json, text: text.join('\n') };
}

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'time the engine, training steps and attacks',
  description:
    `Times workloads (suites ${Object.keys(suites).join(', ')}) on this machine: median and least time of a repetition, and the rate ` +
    'of the floating-point operations that its matrix products and convolutions need. Network workloads want MNIST. ' +
    `Studies (${Object.keys(studies).join(', ')}) tell how time and memory grow, how long Node is kept from other work, and whether steps go on asking for memory.`,
  options,
  examples: [
    ['sparring bench --only products,mlp_train_b128', 'matrix products, and a training step to hold against them'],
    ['sparring bench --profile --only mlp_lwa_alpha_b128', 'where the time of a training step goes'],
    ['sparring bench --only scaling,eventLoop', 'how time grows with size, and whether Node goes on serving meanwhile'],
    ['sparring bench --json', 'everything, for a program to read'],
    ['sparring bench --peers', 'everything, beside other systems, as a table and as a plot'],
  ],
  async run(session, { only = [], seconds, rounds, networks, peers, profile: wanted, out }) {
    const timing = {
      only,
      networks,
      ...(seconds !== undefined && { seconds }),
      ...(rounds !== undefined && { rounds }),
    };
    const studying = only.filter((name) => Object.hasOwn(studies, name));
    const ways = [peers && '--peers', wanted && '--profile', studying.length > 0 && `--only ${studying.join()}`];
    const given = ways.filter((way) => way !== false);
    if (given.length > 1) throw refusal(`expected one of ${either(given)}, received ${given.join(' ')}`);
    if (studying.length > 0 && studying.length < only.length)
      throw refusal(`--only: expected studies or workloads, received both`);
    if (peers) return comparison(session, { ...timing, out });
    if (out !== undefined) await ensureWritable(out);
    if (wanted) return profiled(session, { ...timing, out });
    if (studying.length > 0) return studied(session, { ...timing, only: studying, out });
    const total = chosen(only).length * (rounds ?? 1);
    let done = 0;
    const result = await bench({
      ...timing,
      signal: session.signal,
      onResult: (name, { median_s }) => {
        session.progress({ what: name, done: ++done, total, detail: `${milliseconds(median_s)} ms` });
      },
    });
    await keep(out, 'bench', result);
    const rows = Object.entries(result.workloads).map(([name, { median_s, min_s, reps, gflops }]) => [
      name,
      milliseconds(median_s),
      milliseconds(min_s),
      String(reps),
      gflops === undefined ? '' : gflops.toFixed(1),
    ]);
    return { json: result, text: grid([['workload', 'median ms', 'least ms', 'repetitions', 'GFLOP/s'], ...rows]) };
  },
});
