// Runs the tests: each file in a process of its own, so that a crash, a hang or a leak in one is that one's failure. The
// TAP goes to a log; the terminal gets one line per file, every failure in full, and last `N passed, N failed`.

import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const log = join(root, 'build', 'test.tap');
const minutesPerFile = 10;

/** The tests in the files and folders that are named, or in all. */
function testFiles() {
  const named = process.argv.slice(2).map((name) => relative(root, resolve(name)));
  return (named.length > 0 ? named : ['test'])
    .flatMap((name) =>
      statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory()
        ? readdirSync(join(root, name), { recursive: true })
            .filter((file) => file.endsWith('.test.ts'))
            .map((file) => join(name, file))
        : [name],
    )
    .sort();
}

/** Reads TAP: how many assertions held, and the text of each that did not, under the name of its test. */
function readTap(tap) {
  const result = { passed: 0, failures: [], isWhole: false };
  let testName = '';
  let failure;
  for (const line of tap.split('\n')) {
    if (failure) {
      failure.push(line);
      // tape follows `not ok` with a block from `---` to `...` that tells expected, actual and where.
      if (line.trim() === '...') failure = undefined;
    } else if (/^not ok \d+/.test(line)) {
      failure = [`# ${testName}`, line];
      result.failures.push(failure);
    } else if (/^ok \d+/.test(line)) {
      if (!/ # SKIP/i.test(line)) result.passed++;
    } else if (line.startsWith('# ')) {
      testName = line.slice(2);
    } else if (/^1\.\.\d+$/.test(line)) {
      result.isWhole = true;
    }
  }
  result.failures = result.failures.map((lines) => lines.join('\n'));
  return result;
}

function runFile(file) {
  const start = performance.now();
  return new Promise((done) => {
    const args = ['--import', 'tsx', 'node_modules/tape/bin/tape', file];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, minutesPerFile * 60_000);
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      const { passed, failures, isWhole } = readTap(output.stdout);
      // Node quotes the line that threw, which in a minified package is a page long.
      const fail = (reason) => failures.push(`${reason}\n${output.stderr.replace(/^(.{300}).+$/gm, '$1 ...')}`.trim());
      if (late) fail(`took longer than ${minutesPerFile} minutes`);
      else if (signal) fail(`was ended by ${signal}`);
      else if (!isWhole) fail(`ended with code ${code} before its tests did`);
      else if (code !== 0 && failures.length === 0) fail(`ended with code ${code}`);
      else if (passed + failures.length === 0) fail('ran no test');
      done({ file, output, passed, failures, seconds: (performance.now() - start) / 1000 });
    });
  });
}

const files = testFiles();
const results = [];
mkdirSync(join(root, 'build'), { recursive: true });
writeFileSync(log, '');

async function worker(queue) {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const result = await runFile(file);
    results.push(result);
    appendFileSync(log, `# ${file}\n${result.output.stdout}${result.output.stderr}\n`);
    const mark = result.failures.length === 0 ? 'ok  ' : 'FAIL';
    console.log(`${mark} ${file}  ${result.passed}  ${result.seconds.toFixed(1)} s`);
  }
}

const queue = [...files];
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, () => worker(queue)));

for (const { file, failures } of results) {
  for (const failure of failures) console.log(`\n${file}\n${failure}`);
}
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.reduce((sum, result) => sum + result.failures.length, 0);
if (files.length === 0) console.log('no test was found');
console.log(`\nall output: ${relative(root, log)}\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
