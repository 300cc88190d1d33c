import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { accuracy as accuracyText } from '../../src/report/format.js';
import type { Figure } from '../../src/report/results.js';
import { readSafetensors } from '../../src/io/weights.js';
import { command, sparring, start } from './run.js';

interface Trained {
  history: { epoch: number }[];
  accuracy: { validation: Figure; test: Figure };
}
interface Described {
  model: string;
  options: Record<string, unknown>;
  training: {
    settings: Record<string, unknown>;
    optimizer: Record<string, unknown>;
    augment: unknown;
    best: { epoch: number; epsilon: number };
  };
}
interface Attacked {
  images: number;
  accuracy: { before: Figure; after: Figure };
  turned: number;
  medianLength: number;
}
interface Evaluated {
  clean: Figure;
  robust: { attack: string; epsilon: number; accuracy: Figure }[];
  worst: { epsilon: number; accuracy: Figure }[];
}

test('train, attack, evaluate: one file carries the network from each to the next', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-cli-'));
  const network = join(dir, 'made', 'network.safetensors');
  const lenet = join(dir, 'lenet.safetensors');
  const cifarNet = join(dir, 'cifarNet.safetensors');
  const adversarial = join(dir, 'adversarial.safetensors');

  const [training, other, third] = await Promise.all([
    sparring(
      'train --json --data sample --method lwa --epsilon 0.3 --hidden 24,16 --activation tanh --dropout 0.1 --epochs 6 ' +
        `--batch-size 16 --seed 3 --optimizer adam --rate 0.005 --out ${network}`,
    ),
    sparring(`train --model lenet --data sample --method normal --epochs 2 --batch-size 16 --out ${lenet}`),
    sparring(
      'train --json --model cifarNet --channels 3,4 --dense 20 --data sample --method goodfellow --epsilon 0.5 --epochs 1 ' +
        `--clip-gradients 5 --crop 1 --mirror --keep-best 0.3 --out ${cifarNet}`,
    ),
  ]);
  t.equal(third.code, 0, third.stderr);
  const { model, options, training: how } = JSON.parse(third.stdout) as Described;
  t.deepEqual([model, options.channels, options.dense, options.dropout], ['cifarNet', [3, 4], [20], undefined]);
  t.deepEqual(how.settings, { epsilon: 0.5, norm: 'l2', share: 0.5 }, 'options reach the method');
  t.equal(how.optimizer.clipGradients, 5, 'and the optimizer');
  t.deepEqual(how.augment, { crop: 1, mirror: true }, 'and the images');
  t.deepEqual([how.best.epoch, how.best.epsilon], [1, 0.3], 'the best epoch is on record');
  t.match(third.stderr, / attacked [\d.]+ % .*\nthe weights of epoch 1 are kept\n/, 'and is told of');
  t.equal(training.code, 0, training.stderr);
  t.match(other.stdout, /^.*lenet\.safetensors: lenet trained by normal on 417 images of sample, 1\.7 MB\n/);
  const trained = JSON.parse(training.stdout) as Trained;
  t.equal(trained.history.length, 6);
  t.deepEqual([trained.accuracy.validation.n, trained.accuracy.test.n], [83, 200], 'a sixth is set aside');
  t.ok(trained.accuracy.test.mean > 0.5, `it learns: ${trained.accuracy.test.mean}`);
  t.match(training.stderr, /^mlp lwa: epoch 1\/6, loss [\d.]+ \(\d+ %/, 'progress goes to stderr, in plain lines');
  t.match(training.stderr, /\nepoch 6\/6 {2}loss [\d.]+ {2}validation [\d.]+ % {2}[\d.]+ (m?s|min)\n$/);
  t.notOk(training.stderr.includes('\x1b'), 'without escapes, where there is no terminal');
  t.deepEqual(await readdir(join(dir, 'made')), ['network.safetensors'], 'and nothing else is left there');

  const attack = `attack ${network} --attack advLoss --epsilon 1 --clip 0 1 --limit 50 --out ${adversarial}`;
  const [attacking, minimal, shortest, evaluation, table, ofThird] = await Promise.all([
    sparring(`--json --quiet --threads 1 ${attack}`),
    sparring(`attack ${lenet} --attack minimal --limit 20 --norm linf`),
    sparring(`attack ${network} --attack fmn --limit 20 --norm linf --clip 0 1`),
    sparring(
      `evaluate ${network} --json --limit 50 --epsilons 0.5,1 --attacks advLoss advAlpha --clip 0 1 --batch-size 7`,
    ),
    sparring(`evaluate ${network} --epsilons 0.5,1 --split validation --quiet`),
    sparring(`evaluate ${cifarNet} --epsilons 0.5 --limit 20 --quiet`),
  ]);
  t.equal(ofThird.code, 0, ofThird.stderr);
  t.deepEqual([attacking.code, attacking.stderr], [0, ''], 'quiet is quiet');
  const attacked = JSON.parse(attacking.stdout) as Attacked;
  const { tensors, metadata } = await readSafetensors(adversarial);
  t.deepEqual(Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape])), {
    inputs: [50, 1, 28, 28],
    adversarial: [50, 1, 28, 28],
    labels: [50],
    success: [50],
    norms: [50],
  });
  const numbers = (name: string): number[] => Array.from(tensors[name]!.data());
  const success = numbers('success');
  t.equal(
    success.filter((each) => each === 0).length / 50,
    attacked.accuracy.after.mean,
    'the file tells what the summary does',
  );
  t.ok(attacked.accuracy.after.mean < attacked.accuracy.before.mean);
  t.ok(
    numbers('norms').every((length) => length <= 1),
    'no image is moved farther than asked',
  );
  t.ok(
    numbers('adversarial').every((value) => value >= 0 && value <= 1),
    'and none out of the range',
  );
  t.equal((JSON.parse(metadata['attack']!) as { attack: string }).attack, 'advLoss');

  const evaluated = JSON.parse(evaluation.stdout) as Evaluated;
  const under = evaluated.robust.find((figure) => figure.attack === 'advLoss' && figure.epsilon === 1);
  t.deepEqual(under?.accuracy, attacked.accuracy.after, 'evaluate and attack agree');
  t.deepEqual(evaluated.clean, attacked.accuracy.before);
  t.deepEqual(
    evaluated.worst.map(({ epsilon }) => epsilon),
    [0.5, 1],
  );
  t.match(evaluation.stderr, /advAlpha: l2 length 1 \(100 %\)\n$/);

  t.match(minimal.stdout, /images turned +\d+, median linf length 0\.\d+\n/);
  t.match(shortest.stdout, /attack +fmn, norm linf\n/, 'no length is asked of an attack that finds its own');
  t.match(shortest.stdout, /images turned +\d+, median linf length 0\.\d+\n/);
  t.match(minimal.stdout, /attack +minimal, norm linf, linearize logits, steps 50\n/);
  const [accuracies, costs] = table.stdout.trimEnd().split(/\n\n(?= {2}attack)/);
  const [title, images, legend, blank, head, ...rows] = accuracies!.split('\n');
  t.match(title!, /network\.safetensors: mlp trained by lwa on sample$/);
  t.equal(images, '83 validation images of sample, not clipped');
  const clean = accuracyText(trained.accuracy.validation, 2);
  t.equal(legend, `accuracy in %, ± 95 % interval; clean ${clean}`, 'the images that were set aside in training');
  t.equal(blank, '');
  t.match(head!, /^ {2}l2 length +advLossSign +advLoss +advAlpha +the worst$/);
  t.deepEqual(
    rows.map((row) => row.trim().split(/ {2,}/).length),
    [5, 5],
  );
  t.deepEqual([...new Set([head, ...rows].map((row) => row!.length))].length, 1, 'in columns');
  t.match(
    costs!,
    /^ {2}attack +images +forwards each +backwards each +time\n {2}advLossSign +166 +2\.00 +1\.00 +[\d.]+ m?s\n/,
  );
  t.match(costs!, /\n {2}advAlpha +166 +2\.00 +10\.0 /, 'what each attack took, over both lengths');
  await rm(dir, { recursive: true });
});

test('info and data', async (t) => {
  const [info, data, listing, missing, full, unread] = await Promise.all([
    sparring('info --json'),
    sparring('data sample --json'),
    sparring('data sample'),
    sparring('data mnist --json', { env: { SPARRING_DATA: join(tmpdir(), 'sparring-no-such-folder') } }),
    start(['sh', '-c', 'exec "$@" > /dev/full', '-', ...command, 'info']),
    start(['sh', '-c', '"$@" | true', '-', ...command, 'info']),
  ]);
  const machine = JSON.parse(info.stdout) as {
    threads: number;
    data: { name: string; found: boolean }[];
    warnings: string[];
  };
  t.ok(machine.threads >= 1);
  t.deepEqual(
    machine.data.map(({ name }) => name),
    ['mnist', 'fashion-mnist', 'cifar-10', 'sample'],
  );
  t.deepEqual(machine.data.at(-1), { name: 'sample', found: true, place: 'comes with the library' });
  const { train, test: held } = JSON.parse(data.stdout) as Record<string, { counts: number[]; mean: number }>;
  t.deepEqual(train!.counts, new Array(10).fill(50));
  t.deepEqual(held!.counts, new Array(10).fill(20));
  t.match(listing.stdout, /\n {2}images +500 +200\n/);
  t.deepEqual([missing.code, missing.stdout], [1, ''], 'a data set that is not there');
  t.match(missing.stderr, /^sparring: mnist: SPARRING_DATA: there is no folder /);
  t.equal(full.code, 1, 'a full disk under stdout');
  t.deepEqual(unread, { code: 0, stdout: '', stderr: '' }, 'a reader that has gone is no failure');
  t.match(full.stderr, /^sparring: standard output: cannot be written: no space is left/);
});
