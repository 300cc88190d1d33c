import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';

// The script is the project's; the tools that it calls are stand-ins which write down that they were called.

const scripts = fileURLToPath(new URL('../../scripts', import.meta.url));

const lockfile = JSON.stringify({
  packages: {
    '': { name: 'example' },
    'node_modules/cmake-js': { version: '1.0.0' },
    'node_modules/other-machine': { version: '1.0.0', optional: true },
    'node_modules/typescript': { version: '1.0.0' },
  },
});

const note = (name: string) => `
const { appendFileSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs');
appendFileSync('calls', '${name} ' + process.argv.slice(2).join(' ') + '\\n');
`;

const compileAddon = `${note('cmake-js')}
mkdirSync('build/cmake/Release', { recursive: true });
writeFileSync('build/cmake/Release/sparring.node', '');
writeFileSync('build/cmake/CMakeCache.txt', [
  'CMAKE_HOME_DIRECTORY:INTERNAL=' + process.cwd(),
  'OPENBLAS_LIBRARY:FILEPATH=' + process.cwd() + '/libopenblas.so',
].join('\\n'));
`;

const compileLibrary = `${note('tsc')}
if (existsSync('src/wrong.ts')) {
  console.log('src/wrong.ts: this is wrong');
  process.exit(2);
}
mkdirSync('dist', { recursive: true });
for (const name of readdirSync('src')) {
  for (const ending of ['.js', '.js.map', '.d.ts']) copyFileSync('src/' + name, 'dist/' + name.replace('.ts', ending));
}
`;

const installPackages = `#!/usr/bin/env node
${note('npm')}
setTimeout(() => {
  cpSync('packages', 'node_modules', { recursive: true });
  copyFileSync('installed-lock.json', 'node_modules/.package-lock.json');
}, 300);
`;

const installSystem = `#!/usr/bin/env node
${note('apt-get')}
if (process.argv[2] === 'install') copyFileSync('cmake', 'bin/cmake');
`;

const cmake = '#!/bin/sh\necho cmake version 3.25.1\n';

interface Result {
  code: number | null;
  output: string;
}

interface Project {
  path: (...names: string[]) => string;
  write: (name: string, text: string, mode?: number) => void;
  /** Runs the script; the tools' calls since the last run are then in `calls`. */
  bootstrap: (options?: { cwd?: string; uid?: number }) => Promise<Result>;
  calls: () => string[];
}

/** A project as it is after a clone, on a machine that has everything. */
function project(t: Test): Project {
  const root = mkdtempSync(join(tmpdir(), 'sparring-bootstrap-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const path = (...names: string[]) => join(root, ...names);
  const write = (name: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
    chmodSync(path(name), mode);
  };
  cpSync(join(scripts, 'bootstrap'), path('scripts/bootstrap'), { recursive: true });
  cpSync(join(scripts, 'bootstrap.mjs'), path('scripts/bootstrap.mjs'));
  write('package.json', JSON.stringify({ type: 'commonjs', engines: { node: '>=18.0' } }));
  write('package-lock.json', lockfile);
  write('installed-lock.json', lockfile.replace(/"node_modules\/other-machine":.*?},/, '').replace(/"":.*?},/, ''));
  write('CMakeLists.txt', '');
  write('tsconfig.json', '{}');
  write('libopenblas.so', '');
  write('native/core/a.cpp', '');
  write('native/test/a.cpp', '');
  write('src/index.ts', '');
  write('src/old.ts', '');
  write('packages/cmake-js/package.json', '{}');
  write('packages/cmake-js/bin/cmake-js', compileAddon);
  write('packages/typescript/package.json', '{}');
  write('packages/typescript/bin/tsc', compileLibrary);
  write('cmake', cmake, 0o755);
  write('bin/cmake', cmake, 0o755);
  write('bin/npm', installPackages, 0o755);
  for (const name of ['make', 'g++']) write(`bin/${name}`, '#!/bin/sh\n', 0o755);
  // The headers are looked for under the prefixes of CMake, of which this is one.
  write('include/openblas_config.h', '');
  symlinkSync(process.execPath, path('bin/node'));
  symlinkSync('/bin/sh', path('bin/sh'));
  symlinkSync('/usr/bin/env', path('bin/env'));

  return {
    path,
    write,
    bootstrap: ({ cwd = root, uid } = {}) =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [path('scripts/bootstrap.mjs')], {
          cwd,
          env: { PATH: path('bin'), CMAKE_PREFIX_PATH: root },
          stdio: ['ignore', 'pipe', 'pipe'],
          ...(uid === undefined ? {} : { uid }),
        });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding('utf8').on('data', (text: string) => (output += text));
        }
        child.once('close', (code) => resolve({ code, output }));
      }),
    calls: () => {
      if (!existsSync(path('calls'))) return [];
      const calls = readFileSync(path('calls'), 'utf8').trim().split('\n');
      rmSync(path('calls'));
      return calls.map((call) => call.split(' ')[0] ?? '');
    },
  };
}

const everything = ['npm', 'cmake-js', 'tsc'];

test('bootstrap makes a fresh clone ready, from any folder, and then has nothing to do or say', async (t) => {
  const { bootstrap, calls } = project(t);
  const first = await bootstrap({ cwd: tmpdir() });
  t.equal(first.code, 0, first.output);
  t.deepEqual(calls(), everything);
  const lines = first.output.trim().split('\n');
  t.equal(lines.length, everything.length, 'one line for each step');
  t.ok(
    lines.every((line) => /^sparring: .+ \.\.\. \d+\.\d s$/.test(line)),
    `each says what and how long: ${first.output}`,
  );

  const second = await bootstrap();
  t.deepEqual(second, { code: 0, output: '' });
  t.deepEqual(calls(), []);
});

test('bootstrap does again what is out of date, and no more', async (t) => {
  const { bootstrap, calls, path, write } = project(t);
  await bootstrap();
  calls();
  const after = async (change: () => void) => {
    change();
    await bootstrap();
    const called = calls();
    t.equal((await bootstrap()).output, '', 'and then rests');
    return called;
  };

  t.deepEqual(await after(() => write('native/core/a.cpp', 'int a;')), ['cmake-js'], 'a native source');
  t.deepEqual(await after(() => write('native/core/b.cpp', '')), ['cmake-js'], 'a new native source');
  t.deepEqual(await after(() => rmSync(path('native/core/b.cpp'))), ['cmake-js'], 'a native source that is gone');
  t.deepEqual(await after(() => write('CMakeLists.txt', '# other')), ['cmake-js'], 'the build description');
  t.deepEqual(await after(() => write('libopenblas.so', 'other')), ['cmake-js'], 'the BLAS that it is linked to');
  t.deepEqual(await after(() => rmSync(path('build/cmake'), { recursive: true })), ['cmake-js'], 'no addon');
  t.deepEqual(await after(() => write('native/test/a.cpp', 'int a;')), [], 'a native test is not in the addon');
  t.deepEqual(await after(() => write('src/index.ts', 'other')), ['tsc'], 'a source');
  t.deepEqual(await after(() => rmSync(path('dist/index.js'))), ['tsc'], 'a missing output');
  t.deepEqual(await after(() => write('tsconfig.json', '{ }')), ['tsc'], 'the settings of the compiler');
  t.deepEqual(
    await after(() => utimesSync(path('src/index.ts'), new Date(), new Date())),
    [],
    'a time without a change, as a checkout makes it',
  );
  const withoutTypescript = () => rmSync(path('node_modules/typescript'), { recursive: true });
  t.deepEqual(await after(withoutTypescript), ['npm'], 'a package that is gone');
  const newer = (name: string) => write(name, readFileSync(path(name), 'utf8').replaceAll('1.0.0', '1.0.1'));
  t.deepEqual(
    await after(() => {
      newer('package-lock.json');
      newer('installed-lock.json');
    }),
    ['npm'],
    'a lockfile that asks for other versions',
  );
  const besides = () => {
    const { packages } = JSON.parse(readFileSync(path('node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, object>;
    };
    const more = { ...packages, 'node_modules/besides': { version: '1.0.0', extraneous: true } };
    write('node_modules/.package-lock.json', JSON.stringify({ packages: more }));
  };
  t.deepEqual(await after(besides), [], 'a package that was installed besides');
});

test('bootstrap of a copied project compiles the copy, not what it was copied from', async (t) => {
  const { bootstrap, path, write } = project(t);
  await bootstrap();
  write('build/cmake/object.o', 'of the same place');
  write('native/core/a.cpp', 'int a;');
  await bootstrap();
  t.ok(existsSync(path('build/cmake/object.o')), 'its own build goes on');
  const copy = project(t);
  cpSync(path('build'), copy.path('build'), { recursive: true });
  const { code, output } = await copy.bootstrap();
  t.equal(code, 0, output);
  t.notOk(existsSync(copy.path('build/cmake/object.o')), 'that of elsewhere is forgotten');
});

test('bootstrap removes from dist what has no source any more', async (t) => {
  const { bootstrap, path } = project(t);
  await bootstrap();
  t.ok(existsSync(path('dist/old.js')));
  rmSync(path('src/old.ts'));
  await bootstrap();
  for (const name of ['old.js', 'old.js.map', 'old.d.ts']) t.notOk(existsSync(path('dist', name)), name);
  for (const name of ['index.js', 'index.js.map', 'index.d.ts']) t.ok(existsSync(path('dist', name)), name);
});

test('bootstrap shows what a tool said when it fails, names the log, and tries again next time', async (t) => {
  const { bootstrap, calls, path, write } = project(t);
  write('src/wrong.ts', '');
  const failed = await bootstrap();
  t.equal(failed.code, 1);
  t.match(failed.output, /src\/wrong\.ts: this is wrong/);
  const [log = 'none'] = /build\/bootstrap\/\S+\.log/.exec(failed.output) ?? [];
  t.match(readFileSync(path(log), 'utf8'), /this is wrong/, log);
  calls();
  t.equal((await bootstrap()).code, 1, 'it is still wrong');
  t.deepEqual(calls(), ['tsc']);
  rmSync(path('src/wrong.ts'));
  t.equal((await bootstrap()).code, 0, 'it is right');
});

test('bootstraps that run at the same time do the work once', async (t) => {
  const { bootstrap, calls } = project(t);
  const results = await Promise.all([bootstrap(), bootstrap(), bootstrap()]);
  for (const { code, output } of results) t.equal(code, 0, output);
  t.deepEqual(calls(), everything);
});

test('bootstrap takes over the lock of one that died, and waits for one that lives', async (t) => {
  const { bootstrap, calls, path, write } = project(t);
  write('build/bootstrap/lock', 'dead');
  utimesSync(path('build/bootstrap/lock'), new Date(0), new Date(0));
  const both = await Promise.all([bootstrap(), bootstrap()]);
  for (const { code, output } of both) t.equal(code, 0, output);
  t.deepEqual(calls(), everything);
  t.notOk(existsSync(path('build/bootstrap/lock')), 'the lock is released');

  write('src/index.ts', 'other');
  write('build/bootstrap/lock', 'alive');
  const waiting = bootstrap();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.deepEqual(calls(), [], 'nothing is done meanwhile');
  rmSync(path('build/bootstrap/lock'));
  const { code, output } = await waiting;
  t.equal(code, 0);
  t.match(output, /waiting/);
  t.deepEqual(calls(), ['tsc']);
});

test('bootstrap installs system packages where it may, else prints the command', async (t) => {
  const isRoot = process.getuid?.() === 0;

  const able = project(t);
  able.write('bin/apt-get', installSystem, 0o755);
  rmSync(able.path('bin/cmake'));
  if (!isRoot) {
    // sudo that needs no password: it runs what follows `-n`.
    able.write('bin/sudo', '#!/bin/sh\nshift\ntest "$1" = true || exec "$@"\n', 0o755);
  }
  const installed = await able.bootstrap();
  t.equal(installed.code, 0, installed.output);
  t.match(installed.output, /system packages \(cmake\)/);
  t.deepEqual(able.calls(), ['apt-get', 'apt-get', ...everything], 'the list is refreshed, the package installed');

  const unable = project(t);
  unable.write('bin/apt-get', installSystem, 0o755);
  rmSync(unable.path('bin/cmake'));
  rmSync(unable.path('bin/make'));
  // Root may always install: then it is tried as the user nobody.
  if (isRoot) execFileSync('chmod', ['-R', 'a+rwX', unable.path()]);
  const refused = await unable.bootstrap(isRoot ? { uid: 65534 } : {});
  t.equal(refused.code, 1, refused.output);
  t.match(refused.output, /missing on this machine: CMake 3\.15 or later, make or ninja/);
  t.match(
    refused.output,
    /^ {2}sudo apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 cmake make$/m,
  );
  t.deepEqual(unable.calls(), [], 'nothing is begun');
});

test('bootstrap refuses a Node.js that the project does not support', async (t) => {
  const { bootstrap, calls, write } = project(t);
  write('package.json', JSON.stringify({ engines: { node: '^18.1.0 || >=99.0.0' } }));
  const { code, output } = await bootstrap();
  t.equal(code, 1);
  t.match(output, /expected Node\.js \^18\.1\.0 \|\| >=99\.0\.0, received \d+/);
  t.deepEqual(calls(), []);
});
