// Makes a fresh clone ready to run: system packages, npm packages, the addon, the TypeScript build. `npm start` and
// `npm test` run it first each time, so it says nothing and takes milliseconds when everything is in place.
// It runs before anything is installed and therefore imports nothing that Node itself does not bring.

import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { checkNode, installSystemPackages, missingSystemPackages } from './bootstrap/system.mjs';
import { filesUnder, isStamped, stamp } from './bootstrap/stamp.mjs';
import { root, work } from './bootstrap/paths.mjs';
import { run, StepFailed } from './bootstrap/run.mjs';
import { withLock } from './bootstrap/lock.mjs';

const path = (...names) => join(root, ...names);

const addon = {
  name: 'addon',
  inputs: () => [
    path('CMakeLists.txt'),
    path('node_modules/node-addon-api/package.json'),
    ...filesUnder(path('native')).filter((file) => !file.startsWith(path('native/test/'))),
  ],
  // The BLAS it was linked to counts as its output: without it the addon cannot be loaded and has to be made anew.
  outputs: () => [path('build/cmake/Release/sparring.node'), linkedBlas()],
};

const library = {
  name: 'library',
  inputs: () => [path('tsconfig.json'), path('node_modules/typescript/package.json'), ...filesUnder(path('src'))],
  outputs: () => filesUnder(path('dist')),
};

/** The steps in their order; each is skipped when it is done. */
const steps = [
  {
    // The tools serve only the addon: who has it needs none of them.
    isDone: () => isStamped(addon) || missingSystemPackages().length === 0,
    run: installSystemPackages,
  },
  {
    isDone: packagesMatchLockfile,
    run: () =>
      run('installing npm packages', 'npm', ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund']),
  },
  {
    isDone: () => isStamped(addon),
    run: () =>
      stamp(addon, () => {
        forgetBuildOfElsewhere();
        return run(
          'compiling the native addon',
          process.execPath,
          [cli('cmake-js', 'bin/cmake-js'), 'compile', '--out', 'build/cmake'],
          {
            CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()),
          },
        );
      }),
  },
  {
    isDone: () => isStamped(library),
    run: () =>
      stamp(library, async () => {
        await run('compiling TypeScript', process.execPath, [
          cli('typescript', 'bin/tsc'),
          '-p',
          '.',
          '--noEmitOnError',
        ]);
        removeOrphans();
      }),
  },
];

function cli(name, file) {
  return path('node_modules', name, file);
}

const cmakeCache = path('build/cmake/CMakeCache.txt');

/** What CMake remembers under a name. */
function remembered(name) {
  const entry = existsSync(cmakeCache) && new RegExp(`^${name}:\\w+=(.+)$`, 'm').exec(readFileSync(cmakeCache, 'utf8'));
  return entry ? entry[1] : undefined;
}

function linkedBlas() {
  return remembered('OPENBLAS_LIBRARY') ?? cmakeCache;
}

/** In a checkout that was copied or moved, CMake would go on compiling the sources of the old place. */
function forgetBuildOfElsewhere() {
  const home = remembered('CMAKE_HOME_DIRECTORY');
  if (home !== undefined && realpathSync(path('.')) !== home) {
    rmSync(path('build/cmake'), { recursive: true, force: true });
  }
}

/**
 * npm writes node_modules/.package-lock.json last and lists in it what it installed. Only what is optional (binaries for
 * other machines) may be absent from it; what somebody installed besides does no harm and stays.
 */
function packagesMatchLockfile() {
  const installedFile = path('node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(path('package-lock.json'), 'utf8')).packages;
  delete wanted['']; // the project itself
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const isThere = (name) =>
    installed[name].version === wanted[name].version &&
    installed[name].integrity === wanted[name].integrity &&
    existsSync(path(name, 'package.json'));
  return Object.keys(wanted).every((name) =>
    name in installed ? isThere(name) : wanted[name].optional || wanted[name].devOptional,
  );
}

/** tsc never deletes: what it wrote for a source that is gone would stay importable. */
function removeOrphans() {
  for (const file of filesUnder(path('dist'))) {
    const source = relative(path('dist'), file).replace(/\.(js|d\.ts)(\.map)?$/, '.ts');
    if (!existsSync(path('src', source))) rmSync(file);
  }
}

try {
  checkNode();
  if (!steps.every((step) => step.isDone())) {
    await withLock(join(work, 'lock'), async () => {
      for (const step of steps) if (!step.isDone()) await step.run();
    });
  }
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
