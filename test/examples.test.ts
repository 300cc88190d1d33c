/**
 * Runs every example of the documentation: the fenced ts blocks after @example in the source, and those of the README.
 * Where a line ends in `console.log(...); // something`, what it prints must be that, white space and quotes aside; an
 * explanation may follow a colon.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { formatWithOptions } from 'node:util';
import test from 'tape';

interface Example {
  place: string;
  code: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'examples');

/** The blocks of a file; in source files those of TSDoc comments. */
function examplesOf(path: string): Example[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  const documented = path.endsWith('.ts');
  const block = documented ? /@example\s*\n *\* ```ts\n([\s\S]*?)\n *\* ```/g : /^```ts\n([\s\S]*?)\n```$/gm;
  return [...text.matchAll(block)].map((match) => ({
    place: `${relative(root, path)}:${text.slice(0, match.index).split('\n').length}`,
    code: documented ? match[1]!.replace(/^ *\* ?/gm, '') : match[1]!,
  }));
}

const squeezed = (text: string): string => text.replace(/[\s'"`]/g, '');

/** What the examples printed, with what their comments say of it. */
const printed: { expected: string; received: string }[] = [];
Object.assign(globalThis, {
  expectPrinted: (expected: string, ...values: unknown[]) => {
    printed.push({ expected, received: formatWithOptions({ depth: 9, breakLength: Infinity }, ...values) });
  },
});

/** The code as a module that reports what it prints, and takes the library from the source. */
function runnable(code: string): string {
  const library = JSON.stringify(pathToFileURL(join(root, 'src', 'index.ts')).href);
  return code
    .replace(/from 'sparring'/g, `from ${library}`)
    .replace(
      /console\.log\((.*)\);[ \t]*\/\/ (.*)$/gm,
      (_, args: string, comment: string) => `expectPrinted(${JSON.stringify(comment)}, ${args});`,
    )
    .replace(/console\.log\(/g, 'void (');
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, 'src', name));

test('the examples of the documentation do what they say', async (t) => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const examples = [...sources, join(root, 'README.md')].flatMap(examplesOf);
  t.ok(examples.length > 30, `${examples.length} examples found`);
  for (const [index, { place, code }] of examples.entries()) {
    const path = join(folder, `${index}.mts`);
    writeFileSync(path, runnable(code));
    printed.length = 0;
    try {
      await import(pathToFileURL(path).href);
    } catch (error) {
      t.fail(`${place}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    const wrong = printed.filter(({ expected, received }) => {
      const [want, have] = [squeezed(expected), squeezed(received)];
      return want !== have && !want.startsWith(`${have}:`);
    });
    t.deepEqual(wrong, [], place);
  }
});
