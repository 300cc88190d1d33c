/**
 * Joins comparisons with other systems that `npm run bench:peers` made in several runs on one machine, where some
 * workloads take too long for as many rounds as others: of each workload the run of the most rounds counts, the later one
 * named of equals. Writes `peers.json` and its picture:
 *
 *     node scripts/join-peers.mjs results/bench all/peers.json short/peers.json
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { peersPicture } from '../dist/bench/peers.js';
import { toPng } from '../dist/report/picture.js';

const [out, ...files] = process.argv.slice(2);
const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
if (runs.length === 0) throw new Error('expected a folder and the files of one or more runs');
const [first] = runs;
for (const { environment, peers } of runs) {
  if (!isDeepStrictEqual([environment, peers], [first.environment, first.peers])) {
    throw new Error('expected runs on one machine, of the same versions');
  }
}
const machineGflops = Math.max(...runs.map((run) => run.machineGflops));
const rows = new Map();
for (const { settings, workloads } of runs) {
  for (const workload of workloads) {
    if (settings.rounds < rows.get(workload.name)?.rounds) continue;
    const { gflops } = workload;
    rows.set(workload.name, {
      ...workload,
      ...(gflops !== undefined && { fraction: gflops / machineGflops }),
      rounds: settings.rounds,
    });
  }
}
const counts = [...rows.values()].map(({ rounds }) => rounds);
const [least, most] = [Math.min(...counts), Math.max(...counts)];
const result = {
  ...first,
  settings: { ...first.settings, rounds: least === most ? least : `${least} to ${most}` },
  machineGflops,
  workloads: [...rows.values()],
};
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'peers.json'), `${JSON.stringify(result, null, 2)}\n`);
const picture = await peersPicture(result);
if (picture !== undefined) {
  writeFileSync(join(out, 'peers.svg'), picture.svg);
  writeFileSync(join(out, 'peers.png'), await toPng(picture.svg));
}
