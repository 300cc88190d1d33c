// Puts the tables and pictures of results/ between the README's markers, so that no figure is typed by hand. A marker names
// the folder of the results, and what to take where it is not the one table:
// `<!-- results: ... from results/paper: table1 claims figure1.png -->`. A picture that is not there is left out.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peersMarkdown } from '../dist/cli/bench.js';
import { markdownTable, readResults, summarize } from '../dist/index.js';

const place = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What the pictures show, for those who do not see them. */
const pictures = {
  'figure1.png': 'Accuracy against the length of the perturbation',
  'figure2.png': 'Accuracy after each epoch, clean and attacked',
  'cost.png': 'What the attacks cost, by the number of classes',
  'peers.png': 'How many times as long other systems take for the same work',
};

async function block(folder, item) {
  if (item.endsWith('.png')) {
    const path = `${folder}/${item}`;
    return existsSync(place(path)) ? `![${pictures[item] ?? item}](${path})` : '';
  }
  return item === 'peers' ? peers(folder) : table(folder, item);
}

/** The times of `sparring bench --peers`, and what the studies found where they are there. */
async function peers(folder) {
  const read = (name) => {
    const path = place(`${folder}/${name}.json`);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  };
  const [comparison, studies] = [read('peers'), read('studies')];
  const parts = [];
  if (comparison === undefined)
    parts.push(`\`npm run bench:peers\` writes \`${folder}/peers.json\`, which is not there yet.`);
  else parts.push(peersMarkdown(comparison));
  for (const { findings } of Object.values(studies?.studies ?? {}))
    parts.push(findings.map((finding) => `- ${finding}`).join('\n'));
  return parts.join('\n\n');
}

async function table(folder, experiment) {
  const path = `${folder}/${experiment}.json`;
  if (!existsSync(place(path)))
    return `\`npx sparring reproduce ${experiment} --profile ${basename(folder)}\` writes \`${path}\`, which is not there yet.`;
  const result = await readResults(place(path));
  const { cpu, threads } = result.environment;
  const seeds = result.seeds.length > 1 ? 'seeds' : 'seed';
  return [
    summarize(result),
    '',
    markdownTable(result),
    '',
    `From \`${path}\`: ${seeds} ${result.seeds.join(', ')}, ${threads} ${threads === 1 ? 'thread' : 'threads'} of an ${cpu} processor.`,
  ].join('\n');
}

const marked = /(<!-- results:[^\n]*?results\/([\w-]+)(?:: ([\w. ]+?))? -->\n)[\s\S]*?(<!-- \/results -->)/g;
let readme = readFileSync(place('README.md'), 'utf8');
for (const [whole, begin, folder, items = 'table1', end] of [...readme.matchAll(marked)]) {
  const blocks = [];
  for (const item of items.trim().split(/\s+/)) blocks.push(await block(`results/${folder}`, item));
  const content = blocks.filter((each) => each !== '').map((each) => `\n${each}\n`);
  readme = readme.replace(whole, () => `${begin}${content.join('')}${content.length > 0 ? '\n' : ''}${end}`);
}
writeFileSync(place('README.md'), readme);
