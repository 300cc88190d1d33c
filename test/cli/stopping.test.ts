import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { command, sparring, start, type Ended } from './run.js';

const training = '--data sample --method lwa --epsilon 0.3 --hidden 24 --dropout 0.2 --batch-size 8';

/** Runs a command and sends it signals once it has said something. */
function stopped(words: string, said: RegExp, signals: NodeJS.Signals[]): Promise<Ended> {
  return sparring(words, {
    heard: (stderr, child) => {
      if (said.test(stderr)) for (const signal of signals.splice(0)) child.kill(signal);
    },
  });
}

test('Ctrl-C: says what is saved, and the same command goes on to the same weights', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-cli-'));
  const [whole, parts, checkpoint] = ['whole', 'parts', 'checkpoint'].map((name) => join(dir, name));
  const epochs = 40;
  const [uninterrupted, interrupted, hopeless, hurried, early] = await Promise.all([
    sparring(`train ${training} --epochs ${epochs} --out ${whole} --quiet`),
    stopped(`train ${training} --epochs ${epochs} --out ${parts} --checkpoint ${checkpoint}`, /\nepoch 2\/40 /, [
      'SIGINT',
    ]),
    stopped(`train ${training} --epochs 5000 --out ${dir}/never`, /\nepoch 1\/5000 /, ['SIGTERM']),
    // Steps that take long, so that the second signal comes during the one that the first lets end.
    stopped(`train ${training} --epochs 9 --out ${dir}/never --hidden 3000 3000 --batch-size 400`, /epoch 1\/9/, [
      'SIGINT',
      'SIGTERM',
    ]),
    stopped(`reproduce table1 --out ${dir}/reproduced`, /mlp normal: epoch 1/, ['SIGINT']),
  ]);
  t.deepEqual(uninterrupted.stderr, '');
  t.equal(interrupted.code, 130);
  t.equal(interrupted.stdout, '', 'no result');
  const end =
    /\nsparring: stopped; (.*) keeps the state after epoch (\d+) of 40; the same command goes on from there\n$/;
  const [, kept, epoch] = end.exec(interrupted.stderr) ?? [];
  t.equal(kept, checkpoint, interrupted.stderr);
  t.match(interrupted.stderr, /sparring: stopping after the current step; once more stops at once\n/);

  t.deepEqual([hopeless.code, hopeless.stdout], [130, '']);
  t.ok(
    hopeless.stderr.endsWith(
      'sparring: stopped; nothing was saved; with --checkpoint <file> a stopped training can go on\n',
    ),
    hopeless.stderr,
  );
  t.equal(hurried.code, 130, 'a second signal ends it at once');
  t.notOk(hurried.stderr.includes('sparring: stopped'), 'without a word');
  t.equal(early.code, 130);
  t.ok(early.stderr.endsWith('sparring: stopped; nothing was saved\n'), early.stderr);
  t.deepEqual(await readdir(join(dir, 'reproduced', 'networks')), []);

  const resumed = await sparring(`train ${training} --epochs ${epochs} --out ${parts} --checkpoint ${checkpoint}`);
  t.equal(resumed.code, 0);
  t.ok(resumed.stderr.includes(`going on from ${checkpoint} with epoch ${Number(epoch) + 1}\n`), resumed.stderr);
  t.ok((await readFile(whole!)).equals(await readFile(parts!)), 'the same file, byte for byte');
  t.deepEqual(
    (await readdir(dir)).sort(),
    ['parts', 'reproduced', 'whole'],
    'the checkpoint is gone, and nothing else is left',
  );
  await rm(dir, { recursive: true });
});

test('a full disk: says so, keeps what there was, and leaves nothing half-written', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparring-cli-'));
  // A limit on the size of files fails as a full disk does, and needs no rights; the unit of ulimit is 512 bytes.
  const limited = (words: string): Promise<Ended> =>
    start(['sh', '-c', 'ulimit -f 1000 && exec "$@"', '-', ...command, ...words.split(' ')]);
  const [network, checkpoint] = ['network', 'checkpoint'].map((name) => join(dir, name));
  const small = 'train --data sample --method normal --epochs 2 --hidden 100';
  // The network fits, the checkpoint, which holds the optimizer's state as well, does not.
  const failed = await limited(`${small} --out ${network} --checkpoint ${checkpoint}`);
  t.equal(failed.code, 1);
  t.match(failed.stderr, new RegExp(`\nsparring: ${checkpoint}: cannot be written: .*EFBIG`));
  t.notOk(failed.stderr.includes('epoch 2/2'), 'at the first checkpoint');
  t.deepEqual(await readdir(dir), []);
  const [fits, half] = await Promise.all([
    limited(`${small} --out ${network}`),
    limited(`${small.replace('100', '200')} --out ${dir}/large`),
  ]);
  t.equal(fits.code, 0, fits.stderr);
  t.equal(half.code, 1);
  t.match(half.stderr, new RegExp(`sparring: ${dir}/large: cannot be written`));
  t.deepEqual(await readdir(dir), ['network']);
  await rm(dir, { recursive: true });
});
