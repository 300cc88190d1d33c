// Puts the tables of results/ between the README's markers, so that no figure is typed by hand. A marker names the folder
// of the results, and the experiments where it is not the one table: `<!-- results: ... from results/paper: table1 claims -->`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable, readResults, summarize } from '../dist/index.js';

const place = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

async function block(folder, experiment) {
  const path = `${folder}/${experiment}.json`;
  if (!existsSync(place(path))) return `\`sparring reproduce ${experiment}\` has not been run for ${folder}.`;
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

const marked = /(<!-- results:[^\n]*?results\/([\w-]+)(?:: ([\w ]+?))? -->\n)[\s\S]*?(<!-- \/results -->)/g;
let readme = readFileSync(place('README.md'), 'utf8');
for (const [whole, begin, profile, experiments = 'table1', end] of [...readme.matchAll(marked)]) {
  const blocks = [];
  for (const experiment of experiments.trim().split(/\s+/)) blocks.push(await block(`results/${profile}`, experiment));
  readme = readme.replace(whole, () => `${begin}\n${blocks.join('\n\n')}\n\n${end}`);
}
writeFileSync(place('README.md'), readme);
