import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import * as attacks from '../../src/adversary/index.js';
import { dataNames } from '../../src/cli/images.js';
import { warningsOf } from '../../src/cli/info.js';
import { saveNetwork, type Description } from '../../src/training/network.js';
import { attackNames } from '../../src/cli/options.js';
import { program } from '../../src/cli/program.js';
import { experimentNames, profileNames } from '../../src/experiments/reproduce.js';
import { saveSafetensors } from '../../src/io/weights.js';
import * as models from '../../src/nn/models.js';
import { attackOptions } from '../../src/cli/attacks.js';
import { methodOptions } from '../../src/cli/methods.js';
import { either } from '../../src/cli/values.js';
import * as methods from '../../src/training/methods.js';
import { refusal } from './run.js';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'sparring-cli-'));

const described: Description = {
  model: 'mlp',
  options: { hidden: [4], seed: 1 },
  input: { shape: [1, 28, 28], scale: 1 / 256 },
  training: { data: 'sample', seed: 0, method: 'normal' },
};

const commandNames = program()
  .commands.map((command) => command.name())
  .join(', ');

test('wrong usage is refused by name, with the nearest valid name', async (t) => {
  const train = 'train --data sample --method lwa --out /dev/null/x';
  const cases: [words: string, message: string][] = [
    ['trian', `expected one of ${commandNames}, received 'trian' (did you mean 'train'?)`],
    ['help trian', `expected one of ${commandNames}, received 'trian' (did you mean 'train'?)`],
    ['train --epoch 3', "unknown option '--epoch' (did you mean '--epochs'?)"],
    ['train --thread 3', "unknown option '--thread' (did you mean '--threads'?)"],
    ['train --nonsense', "unknown option '--nonsense' (see sparring train --help)"],
    ['info --jsno', "unknown option '--jsno' (did you mean '--json'?)"],
    ['--threads 0 info', "--threads: expected a whole number of at least 1 and at most 1024, received '0'"],
    ['info extra', "unexpected argument 'extra'"],
    ['train --out x', 'expected --method <name>, received nothing'],
    ['train --method lwa', 'expected --out <file>, received nothing'],
    ['train --method', '--method: expected <name>, received nothing'],
    [
      'train --method lw',
      `--method: expected one of ${Object.keys(methods).join(', ')}, received 'lw' (did you mean 'lwa'?)`,
    ],
    ['train --data mnits', `--data: expected one of ${dataNames.join(', ')}, received 'mnits' (did you mean 'mnist'?)`],
    ['train --epochs 0', "--epochs: expected a whole number of at least 1, received '0'"],
    ['train --epochs 1e400', "--epochs: expected a whole number of at least 1, received '1e400'"],
    ['train --batch-size 1.5', "--batch-size: expected a whole number of at least 1, received '1.5'"],
    ['train --rate 0x10', "--rate: expected a number of at least 0, received '0x10'"],
    ['train --dropout 1', "--dropout: expected a number of at least 0 and below 1, received '1'"],
    ['train --hidden 100,,5', "--hidden: expected a whole number of at least 1, received ''"],
    ['train --epsilon -1', "--epsilon: expected a number of at least 0, received '-1'"],
    [
      'train --method normal --out x --epsilon 1',
      `--epsilon: expected with --method ${either(methodOptions.epsilon.only!.values)} only, received with --method normal`,
    ],
    [
      'train --method lwa --out x --optimizer adam --momentum .5',
      '--momentum: expected with --optimizer sgd only, received with --optimizer adam',
    ],
    [
      `${train} --epsilon 28.1`,
      '--epsilon: expected at most 28, the l2 diameter of inputs of 1x28x28 in 0 to 1, received 28.1',
    ],
    [
      `${train} --norm linf --epsilon 1.5`,
      '--epsilon: expected at most 1, the linf diameter of inputs of 1x28x28 in 0 to 1, received 1.5',
    ],
    [`${train} --checkpoint /dev/null/x`, '--checkpoint: expected another file than --out'],
    ['attack', 'expected <network>, received nothing'],
    [
      'attack x --attack advLoss --steps 3',
      `--steps: expected with --attack ${either(attackOptions.steps.only!.values)} only, received with --attack advLoss`,
    ],
    ['attack x --attack pgd --steps 0', '--steps: expected a whole number of at least 1, received 0'],
    ['attack x --attack pgd --step-size -.1', '--step-size: expected a length of more than 0, received -0.1'],
    ['attack x --attack apgd --loss margin', "--loss: expected one of crossEntropy, dlr, received 'margin'"],
    ['attack x --attack fab --targets 0', '--targets: expected a whole number of at least 1, received 0'],
    ['attack x --attack pgd --random-start maybe', "--random-start: expected yes or no, received 'maybe'"],
    ['attack x --attack ddn --norm linf', "--norm: expected l2 with --attack ddn, received 'linf'"],
    ['attack x --attack advLoss --clip 1 0', "--clip: expected two numbers, the lower one first, received '1 0'"],
    ['attack x --attack advLoss --clip 0', "--clip: expected two numbers, the lower one first, received '0'"],
    [
      'evaluate x --attacks advLoss,pdg',
      `--attacks: expected one of ${attackNames.join(', ')}, received 'pdg' (did you mean 'pgd'?)`,
    ],
    ['data cifar', `name: expected one of ${dataNames.join(', ')}, received 'cifar'`],
    [
      'data sample --data-dir x',
      '--data-dir: expected with another data set, received with sample, which comes with the library',
    ],
    [
      'reproduce tabel1',
      `experiment: expected one of ${experimentNames.join(', ')}, all, received 'tabel1' (did you mean 'table1'?)`,
    ],
    [
      'reproduce all --profile quik',
      `--profile: expected one of ${profileNames.join(', ')}, received 'quik' (did you mean 'quick'?)`,
    ],
    ['reproduce all --seeds 0', "--seeds: expected a whole number of at least 1, received '0'"],
  ];
  for (const [words, message] of cases) {
    t.deepEqual(await refusal(words.split(' ')), { code: 2, message: `sparring: ${message}` }, words);
  }
});

test('work that cannot be done is refused before it begins', async (t) => {
  const dir = await folder();
  const network = join(dir, 'network.safetensors');
  await saveNetwork(network, models.mlp(described.options), described);
  const damaged = async (name: string, damage: (path: string) => Promise<void>): Promise<string> => {
    const path = join(dir, name);
    await copyFile(network, path);
    await damage(path);
    return path;
  };
  const short = await damaged('short', (path) => truncate(path, 5000));
  const text = await damaged('text', (path) => writeFile(path, 'weights'));
  const other = await damaged('other', (path) => saveSafetensors(path, models.mlp({ hidden: [2] }).stateDict()));
  const widened = { ...described, options: { hidden: [5] } };
  const unlike = await damaged('unlike', (path) => saveNetwork(path, models.mlp({ hidden: [4] }), widened));
  const unknown = await damaged('unknown', async (path) => {
    await writeFile(path, (await readFile(path, 'latin1')).replace('"mlp\\"', '"mpl\\"'), 'latin1');
  });
  const foreign = await damaged('foreign', (path) =>
    saveNetwork(path, models.mlp({ hidden: [4] }), { ...described, training: { ...described.training, data: 'mine' } }),
  );
  const cases: [words: string, code: number, message: string][] = [
    [`evaluate ${dir}/none`, 1, `${dir}/none: no such file`],
    [`evaluate ${short}`, 1, `${short}: `],
    [`evaluate ${text}`, 1, `${text}: `],
    [`evaluate ${other}`, 1, `${other}: expected a network that sparring train has saved`],
    [`evaluate ${unknown}`, 1, `${unknown}: expected a network that sparring train has saved`],
    [`evaluate ${unlike}`, 1, `${unlike}: loadStateDict: 0.weight expects shape [5,784], received [4,784]`],
    [`evaluate ${foreign}`, 2, `--data: expected one of ${dataNames.join(', ')}, received 'mine', which `],
    [`evaluate ${network} --epsilons 1,29`, 2, '--epsilons: expected at most 28'],
    [
      `attack ${network} --attack advLoss --clip 0.2 1`,
      2,
      '--clip: expected a range around that of the inputs, 0 to 1, received 0.2 to 1',
    ],
    [
      `attack ${network} --attack advLoss --out ${network}/x`,
      1,
      `${network}: cannot be written: a file stands where a folder is needed`,
    ],
    [
      `train --data sample --method normal --out ${network}/x`,
      1,
      `${network}: cannot be written: a file stands where a folder is needed`,
    ],
    [
      `train --data sample --method normal --out ${dir}`,
      1,
      `${dir}: cannot be written: a folder of that name is already there`,
    ],
    [
      `train --data sample --method normal --out ${dir}/a --checkpoint ${dir}`,
      1,
      `${dir}: cannot be written: a folder`,
    ],
    [
      `train --data sample --method normal --out ${dir}/a --checkpoint ${network}`,
      1,
      `${network}: expected a checkpoint`,
    ],
    [`data mnist --data-dir ${dir}/none`, 1, 'mnist: '],
    [
      `evaluate ${network} --norm linf --epsilons 0.1 --attacks advLoss,ddn`,
      2,
      'evaluate: attacks.1: norm: expected l2 for ddn',
    ],
    [`train --data cifar-10 --data-dir ${dir} --method lwa --out ${dir}/a`, 1, 'cifar-10: '],
    [`reproduce table1 --out ${network}/x`, 1, network],
  ];
  for (const [words, code, message] of cases) {
    const refused = await refusal([...words.split(' '), '--quiet']);
    const expected = `sparring: ${message}`;
    t.deepEqual({ ...refused, message: refused.message.slice(0, expected.length) }, { code, message: expected }, words);
  }
  await rm(dir, { recursive: true });
});

test('every command has a page that teaches it', (t) => {
  const { commands } = program();
  for (const command of commands.filter((each) => each.name() !== 'help')) {
    let page = '';
    command.configureOutput({ writeOut: (text) => (page += text) }).outputHelp();
    t.match(page, new RegExp(`Examples:\n  sparring ${command.name()} `), `${command.name()}: examples`);
    for (const flag of ['--json', '--quiet', '--threads']) t.ok(page.includes(flag), `${command.name()}: ${flag}`);
    for (const option of command.options) {
      const hasDefault = option.required && !/\((required|.*default: .+)\)$/.test(option.description);
      t.notOk(hasDefault, `${command.name()} ${option.long}: '${option.description}' tells the default`);
    }
    t.equal(
      page.split('\n').find((line) => line.length > 100),
      undefined,
      `${command.name()}: no line is too long`,
    );
  }
  t.end();
});

test('an OpenBLAS with threads of its own is warned of', (t) => {
  t.equal(warningsOf({ blasThreading: 'openmp' }).length, 1);
  t.deepEqual(warningsOf({ blasThreading: 'pthread' }), []);
  t.end();
});

test('every option of an attack that can be written as a word is one of the command line', (t) => {
  const shared = new Set(['norm', 'clip', 'batchSize', 'epsilon']);
  for (const [name, { schema }] of Object.entries(attacks)) {
    for (const [key, entry] of Object.entries(schema.entries)) {
      const { type, wrapped } = entry as unknown as { type: string; wrapped?: { type: string } };
      const isWord = ['number', 'boolean', 'picklist'].includes(wrapped?.type ?? type);
      if (!isWord || shared.has(key)) continue;
      const option = (attackOptions as Record<string, { only?: { values: readonly string[] } }>)[key];
      t.ok(option?.only?.values.includes(name), `${name}: ${key}`);
    }
  }
  t.end();
});
