// What the machine must bring before the addon can be compiled, and how each package manager installs it.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './paths.mjs';
import { run, StepFailed } from './run.mjs';

const needs = [
  { id: 'cmake', name: 'CMake 3.15 or later', isThere: hasCmake },
  { id: 'compiler', name: 'a C++20 compiler', isThere: hasCompiler },
  { id: 'make', name: 'make or ninja', isThere: () => isOnPath('ninja') || isOnPath('make') },
  { id: 'openblas', name: 'the OpenBLAS headers', isThere: hasOpenblas },
];

const managers = [
  {
    program: 'apt-get',
    refresh: 'apt-get update',
    // A machine that has just started may be installing its own updates.
    install: 'apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300',
    packages: { cmake: 'cmake', compiler: 'g++', make: 'make', openblas: 'libopenblas-dev' },
  },
  {
    program: 'dnf',
    install: 'dnf install -y',
    packages: { cmake: 'cmake', compiler: 'gcc-c++', make: 'make', openblas: 'openblas-devel' },
  },
  {
    program: 'apk',
    refresh: 'apk update',
    install: 'apk add',
    packages: { cmake: 'cmake', compiler: 'g++', make: 'make', openblas: 'openblas-dev' },
  },
  {
    program: 'pacman',
    install: 'pacman -Sy --noconfirm --needed',
    packages: { cmake: 'cmake', compiler: 'gcc', make: 'make', openblas: 'openblas' },
  },
  {
    program: 'brew',
    ownedByUser: true,
    install: 'brew install',
    packages: { cmake: 'cmake', openblas: 'openblas' },
    // Apple's compiler and make come together, through a dialogue that nobody but the user can answer.
    byHand: 'xcode-select --install',
  },
];

/** Refuses a Node.js that package.json's `engines` leaves out, before it fails on something less clear. */
export function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [major, minor] = process.versions.node.split('.').map(Number);
  const suits = engines.node.split('||').some((range) => {
    const [, operator, leastMajor, leastMinor] = /(\^|>=)(\d+)\.(\d+)/.exec(range);
    return major === Number(leastMajor) ? minor >= Number(leastMinor) : operator === '>=' && major > Number(leastMajor);
  });
  if (!suits) throw new StepFailed(`sparring: expected Node.js ${engines.node}, received ${process.versions.node}`);
}

export function missingSystemPackages() {
  return needs.filter((need) => !need.isThere());
}

export async function installSystemPackages() {
  const missing = missingSystemPackages();
  const manager = managers.find(({ program }) => isOnPath(program));
  const rights = manager && rightsFor(manager);
  const byHand = missing.some(({ id }) => !manager?.packages[id]);
  if (rights === undefined || byHand) throw new StepFailed(instructions(missing, manager));

  const script = [manager.refresh, installCommand(manager, missing)].filter(Boolean).map((line) => rights + line);
  await run(`installing system packages (${packagesFor(manager, missing)})`, 'sh', ['-c', script.join('\n')], {
    DEBIAN_FRONTEND: 'noninteractive',
  });
  const still = missingSystemPackages();
  if (still.length > 0) throw new StepFailed(instructions(still, undefined));
}

/** What to put before a command so that it may install; undefined when nothing would do. */
function rightsFor(manager) {
  if (manager.ownedByUser || process.getuid?.() === 0) return '';
  return isOnPath('sudo') && succeeds('sudo', ['-n', 'true']) ? 'sudo -n ' : undefined;
}

const packagesFor = (manager, missing) =>
  missing
    .map(({ id }) => manager.packages[id])
    .filter(Boolean)
    .join(' ');

const installCommand = (manager, missing) => `${manager.install} ${packagesFor(manager, missing)}`;

function instructions(missing, manager) {
  const message = `sparring: missing on this machine: ${missing.map(({ name }) => name).join(', ')}.`;
  if (!manager) return `${message} Install what is missing and try again.`;
  const commands = [
    packagesFor(manager, missing) && (manager.ownedByUser ? '' : 'sudo ') + installCommand(manager, missing),
    missing.some(({ id }) => !manager.packages[id]) && manager.byHand,
  ].filter(Boolean);
  return `${message} Type this, then try again:\n\n  ${commands.join('\n  ')}\n`;
}

function hasCmake() {
  if (!isOnPath('cmake')) return false;
  const { stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 15);
}

/** cmake-js looks for these two. */
function hasCompiler() {
  const probe = '#include <concepts>\ntemplate <std::integral T> T same(T value) { return value; }\n';
  return ['g++', 'clang++'].some((name) => succeeds(name, ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], probe));
}

/** The places in which CMakeLists.txt looks. */
function hasOpenblas() {
  const prefixes = [
    ...(process.env.CMAKE_PREFIX_PATH ?? '').split(delimiter).filter(Boolean),
    ...['/usr', '/usr/local', '/opt/homebrew/opt/openblas', '/usr/local/opt/openblas'],
    '/home/linuxbrew/.linuxbrew/opt/openblas',
  ];
  const multiarch = existsSync('/usr/include') ? readdirSync('/usr/include') : [];
  return [
    ...prefixes.map((prefix) => join(prefix, 'include')),
    ...multiarch.filter((name) => name.endsWith('-linux-gnu')).map((name) => join('/usr/include', name)),
  ].some((folder) =>
    ['', 'openblas', 'openblas-pthread', 'openblas-openmp', 'openblas-serial'].some((flavour) =>
      existsSync(join(folder, flavour, 'openblas_config.h')),
    ),
  );
}

function succeeds(command, args, input = '') {
  return spawnSync(command, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

function isOnPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
