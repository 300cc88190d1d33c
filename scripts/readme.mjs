// Puts the tables of results/ between the README's markers, so that no figure is typed by hand.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable, readResults, summarize } from '../dist/index.js';

const place = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const result = await readResults(place('results/quick/table1.json'));
const { cpu, threads } = result.environment;
const text = [
  summarize(result),
  '',
  markdownTable(result),
  '',
  `From \`results/quick/table1.json\`: seed ${result.seeds.join(', ')}, ${threads} threads of an ${cpu} processor.`,
].join('\n');
const readme = readFileSync(place('README.md'), 'utf8');
const marked = /(<!-- results:[^\n]*-->\n)[\s\S]*?(<!-- \/results -->)/;
writeFileSync(
  place('README.md'),
  readme.replace(marked, (_, begin, end) => `${begin}\n${text}\n\n${end}`),
);
