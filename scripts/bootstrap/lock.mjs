// One bootstrap at a time: two `npm ci` in one folder leave it broken. The lock is a file whose time its holder renews;
// a lock that is not renewed was left by a process that died. (A process id would not tell: after a container's restart
// the same id belongs to another process.)

import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const renewEvery = 1_000;
const staleAfter = 10_000;
const lookEvery = 200;

/** Runs `work` while holding the lock; waits for whoever holds it. */
export async function withLock(file, work) {
  const mine = `${file}.${process.pid}.${Date.now()}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(mine, mine);
  try {
    let saidSo = false;
    while (!take(file, mine)) {
      if (evictIfStale(file, `${mine}.evicted`)) continue;
      if (!saidSo) process.stderr.write('sparring: another set-up is at work here; waiting for it\n');
      saidSo = true;
      await sleep(lookEvery);
    }
  } finally {
    rmSync(mine, { force: true });
  }

  const release = () => rmSync(file, { force: true });
  const interrupted = (signal) => process.exit(signal === 'SIGINT' ? 130 : 143);
  const renewal = setInterval(() => existsSync(file) && touch(file), renewEvery);
  process.once('exit', release).once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    process.removeListener('exit', release).removeListener('SIGINT', interrupted);
    process.removeListener('SIGTERM', interrupted);
    release();
  }
}

/** A hard link is made whole or not at all, so nobody ever reads a lock without its holder's name. */
function take(file, mine) {
  try {
    touch(mine);
    linkSync(mine, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a dead holder's lock aside and says whether one is gone; of several that try, one moves it. */
function evictIfStale(file, aside) {
  try {
    const holder = readFileSync(file, 'utf8');
    if (Date.now() - statSync(file).mtimeMs < staleAfter) return false;
    renameSync(file, aside);
    // Between the look and the move another may have evicted it and taken the lock: that one gets it back.
    if (readFileSync(aside, 'utf8') !== holder) linkSync(aside, file);
    rmSync(aside);
    return true;
  } catch (error) {
    if (error.code === 'ENOENT') return true;
    throw error;
  }
}

function touch(file) {
  const now = new Date();
  utimesSync(file, now, now);
}
