import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'tape';

// How processes and workers end while plans run on other threads.

const library = new URL('../../dist/index.js', import.meta.url).href;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A plan of products that takes a tenth of a second or so. */
const plan = `
  const { matmul, planned, scope, uniform } = await import(${JSON.stringify(library)});
  const x = uniform([400, 400], { seed: 1 });
  const product = planned((a) => {
    let result = a;
    for (let i = 0; i < 60; i++) result = matmul(result, a);
    return [result];
  });`;

/** Starts what a worker does, and terminates the worker once it has posted a message. */
const terminated = (body: string): string => `
  import { Worker } from 'node:worker_threads';
  const code = ${JSON.stringify(`(async () => { ${plan} ${body} })();`)};
  for (let i = 0; i < 5; i++) {
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  console.log('alive');`;

const post = `(await import('node:worker_threads')).parentPort.postMessage('');`;

/** Runs a program; its exit code, or the signal that ended it, and what it printed. */
const run = (code: string): Promise<{ ended: unknown; printed: string }> =>
  new Promise((resolve) => {
    const args = ['--input-type=module', '--eval', code];
    const child = execFile(process.execPath, args, { cwd: root, timeout: 120_000 }, (_, printed, said) =>
      resolve({ ended: child.exitCode ?? child.signalCode, printed: (printed + said).trim() }),
    );
  });

test('ending: Node stays until a plan is done, and no longer', async (t) => {
  t.deepEqual(await run(`${plan} void product(x).then(() => console.log('done'));`), { ended: 0, printed: 'done' });
  t.deepEqual(await run(`${plan} await product(x); console.log('done');`), { ended: 0, printed: 'done' });
});

test('ending: a process can be told to exit while plans run', async (t) => {
  for (const delay of [0, 5, 40]) {
    const leave = `setTimeout(() => process.exit(7), ${delay});`;
    t.deepEqual(await run(`${plan} product(x); planned((a) => [matmul(a, a)])(x); ${leave}`), {
      ended: 7,
      printed: '',
    });
  }
  t.deepEqual(await run(`${plan} for (let i = 0; i < 20; i++) product(x); process.exit(7);`), {
    ended: 7,
    printed: '',
  });
});

test('ending: a worker can be terminated while plans run, and with a result on its way', async (t) => {
  const alive = { ended: 0, printed: 'alive' };
  t.deepEqual(await run(terminated(`product(x); ${post}`)), alive, 'while it runs');
  const busy = `const until = Date.now() + 1000; ${post} while (Date.now() < until);`;
  t.deepEqual(
    await run(terminated(`const small = planned((a) => [matmul(a, a)]); small(x); ${busy}`)),
    alive,
    'when it has run',
  );
});
