import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import ts from 'typescript';

// Dependencies run one way. A part is a folder, or a file that stands alone; each may use itself and what stands before it.

const root = fileURLToPath(new URL('..', import.meta.url));

const nativeFloors = ['core', 'autograd', 'ops', 'plan', 'addon'];

const floors = [
  'errors.ts',
  'options.ts',
  'native.ts',
  'environment.ts',
  'tensor',
  'autodiff',
  'nn',
  'adversary',
  'training',
  'evaluation',
  'experiments',
  'bench',
  'cli',
];

/** What of io knows no tensor, and the other leaves may therefore use. */
const plainFiles = ['io/atomic.ts', 'io/bytes.ts', 'io/read.ts'];

/** The leaves stand beside the floors and know little; every floor above the tensors may use them. */
const leaves: Record<string, string[]> = {
  ...Object.fromEntries(plainFiles.map((file) => [file, ['errors.ts', 'options.ts', ...plainFiles]])),
  io: ['errors.ts', 'options.ts', ...plainFiles, 'tensor'],
  data: ['errors.ts', 'options.ts', ...plainFiles],
  report: ['errors.ts', 'options.ts', ...plainFiles],
};

const face = 'index.ts';

/** What each part may use besides itself. */
const allowed = new Map<string, readonly string[]>([
  ...nativeFloors.map(
    (floor, i) => [`native/${floor}`, nativeFloors.slice(0, i).map((name) => `native/${name}`)] as const,
  ),
  ['native/test', nativeFloors.filter((floor) => floor !== 'addon').map((name) => `native/${name}`)],
  ...floors.map((floor, i) => {
    const aboveTensors = i > floors.indexOf('tensor');
    return [`src/${floor}`, inSource([...floors.slice(0, i), ...(aboveTensors ? Object.keys(leaves) : [])])] as const;
  }),
  ...Object.entries(leaves).map(([leaf, uses]) => [`src/${leaf}`, inSource(uses)] as const),
  [`src/${face}`, inSource([...floors.filter((floor) => floor !== 'cli'), ...Object.keys(leaves)])],
]);

function inSource(parts: readonly string[]): string[] {
  return parts.map((part) => `src/${part}`);
}

/** System headers that one place alone sees, so that the rest can be read without knowing them. */
const reserved: { header: RegExp; place: RegExp }[] = [
  { header: /^(cblas|f77blas|openblas_config)\.h$/, place: /^native\/core\/blas[^/]*$/ },
  { header: /^(napi|node_api|js_native_api)[\w-]*\.h$/, place: /^native\/addon\// },
  { header: /^(v8|node|uv)[\w-]*\.h$/, place: /^$/ },
];

/** The most particular part that a file belongs to. */
function partOf(file: string): string | undefined {
  const [tree = '', folder = ''] = file.split('/');
  return [file, `${tree}/${folder}`].find((part) => allowed.has(part));
}

function checkUse(file: string, used: string): string[] {
  const from = partOf(file);
  const to = partOf(used);
  if (from === undefined) return []; // reported once, as a file without a part
  if (to === undefined) return [`${file} uses ${used}, which belongs to no known part`];
  return from === to || allowed.get(from)?.includes(to) ? [] : [`${file} uses ${used}: ${from} may not use ${to}`];
}

function checkNative(file: string, text: string): string[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]/gm)].flatMap(([, bracket, name = '']) => {
    const owner = reserved.find(({ header }) => header.test(name));
    if (owner) return owner.place.test(file) ? [] : [`${file} includes ${name}, which it may not see`];
    if (bracket === '<') return [];
    const fromTop = `native/${name}`;
    return checkUse(file, partOf(fromTop) ? fromTop : normalize(join(dirname(file), name)));
  });
}

/** What a file imports, also by import(): the names as written. */
function importsOf(source: ts.SourceFile): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    const name =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : undefined;
    if (name !== undefined && ts.isStringLiteral(name)) names.push(name.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

function checkSource(file: string, text: string, dependencies: readonly string[]): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const uses = importsOf(source).flatMap((name) => {
    if (name.startsWith('.')) return checkUse(file, normalize(join(dirname(file), name)).replace(/\.js$/, '.ts'));
    const packageName = name.split('/', name.startsWith('@') ? 2 : 1).join('/');
    return name.startsWith('node:') || dependencies.includes(packageName)
      ? []
      : [`${file} imports ${name}, which package.json does not list among its dependencies`];
  });
  if (file !== `src/${face}`) return uses;
  const { statements } = source;
  const isExport = (statement: ts.Statement) => ts.isExportDeclaration(statement) && statement.moduleSpecifier;
  return statements.every(isExport) ? uses : [...uses, `${file} does more than export`];
}

function check(file: string, text: string, dependencies: readonly string[] = []): string[] {
  if (partOf(file) === undefined) return [`${file} belongs to no known part`];
  return file.startsWith('native/') ? checkNative(file, text) : checkSource(file, text, dependencies);
}

function filesOf(tree: string): string[] {
  if (!existsSync(join(root, tree))) return [];
  return readdirSync(join(root, tree), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

test('dependencies run one way', (t) => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const dependencies = Object.keys(manifest.dependencies);
  const faults = ['native', 'src']
    .flatMap(filesOf)
    .flatMap((file) => check(file, readFileSync(join(root, file), 'utf8'), dependencies));
  t.deepEqual(faults, [], 'no file uses what stands above it');
  t.end();
});

test('the check of dependencies sees each kind of fault', (t) => {
  const good: [string, string][] = [
    ['native/ops/conv.cpp', '#include <vector>\n#include "core/blas.h"\n#include "ops/ops.h"\n#include "ops.h"'],
    ['native/core/blas_gemm.cpp', '#include <cblas.h>'],
    ['native/addon/addon.cpp', '#include <napi.h>\n#include "plan/plan.h"'],
    ['native/test/conv_test.cpp', '#include "ops/ops.h"'],
    ['src/options.ts', "import * as v from 'valibot';\nimport { SparringError } from './errors.js';"],
    ['src/io/npz.ts', "import { tensor } from '../tensor/tensor.js';\nimport { write } from './atomic.js';"],
    ['src/data/idx.ts', "import { readFile } from 'node:fs/promises';\nimport { write } from '../io/atomic.js';"],
    ['src/nn/linear.ts', "import { load } from '../io/npz.js';\nimport { relu } from '../tensor/ops.js';"],
    ['src/index.ts', "export { train } from './training/train.js';\nexport * as nn from './nn/nn.js';"],
  ];
  for (const [file, text] of good) t.deepEqual(check(file, text, ['valibot']), [], `${file} is in order`);

  const bad: [string, string, string][] = [
    ['a floor above', 'native/core/tensor.cpp', '#include "ops/ops.h"'],
    ['a floor above, by a relative path', 'native/core/tensor.cpp', '#  include "../ops/ops.h"'],
    ['a folder nobody knows', 'native/extra/a.cpp', ''],
    ['a file outside the folders', 'native/a.cpp', ''],
    ['the BLAS beside its file', 'native/ops/matmul.cpp', '#include <cblas.h>'],
    ['Node-API below the addon', 'native/plan/plan.cpp', '#include <napi.h>'],
    ['V8', 'native/addon/addon.cpp', '#include <v8.h>'],
    ['the addon in its tests', 'native/test/a.cpp', '#include "addon/addon.h"'],
    ['a floor above', 'src/tensor/tensor.ts', "import { grad } from '../autodiff/grad.js';"],
    ['a floor above, for its type', 'src/tensor/tensor.ts', "import type { Module } from '../nn/module.js';"],
    ['a floor above, when called', 'src/nn/a.ts', "export const load = () => import('../cli/main.js');"],
    ['a floor above, passed on', 'src/nn/a.ts', "export * from '../training/train.js';"],
    ['a leaf below the tensors', 'src/tensor/tensor.ts', "import { load } from '../io/npz.js';"],
    ['the tensors from a leaf', 'src/data/idx.ts', "import { tensor } from '../tensor/tensor.js';"],
    ['one leaf from another', 'src/report/html.ts', "import { mnist } from '../data/mnist.js';"],
    ['the tensors from the writer', 'src/io/atomic.ts', "import { tensor } from '../tensor/tensor.js';"],
    ['the public face', 'src/cli/main.ts', "import { train } from '../index.js';"],
    ['a folder nobody knows', 'src/extra/a.ts', ''],
    ['a package nobody installs', 'src/nn/a.ts', "import fc from 'fast-check';"],
    ['work in the public face', 'src/index.ts', 'export const two = 1 + 1;'],
  ];
  for (const [what, file, text] of bad) t.equal(check(file, text, ['valibot']).length, 1, `${file}: ${what}`);
  t.end();
});
