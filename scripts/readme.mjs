// Puts the tables and pictures of results/ between the README's markers, so that no figure is typed by hand. A marker names
// the folder of the results, and what to take where it is not the one table:
// `<!-- results: ... from results/paper: table1 claims figure1.png -->`. A picture that is not there is left out.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  return table(folder, item);
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
    `From \`${path}\`: ${seeds} ${result.seeds.join(', ')}, ${threads} threads of an ${cpu} processor.`,
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
