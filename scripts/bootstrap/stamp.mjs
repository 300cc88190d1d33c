// Whether something has to be made again. A stamp holds a hash of the inputs' content and of the outputs' time and size:
// content, because a checkout changes times without changing files; time and size, because outputs are large and a stamp
// must notice that somebody else made or removed them.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, work } from './paths.mjs';

/** Every file below a folder, sorted; none when there is no folder. */
export function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function hash(files, describe) {
  const sum = createHash('sha256').update(`${process.platform} ${process.arch} ${root}`);
  for (const file of files) sum.update(`\0${file}\0`).update(existsSync(file) ? describe(file) : 'absent');
  return sum.digest('hex');
}

const hashInputs = (target) => hash(target.inputs(), (file) => readFileSync(file));

const hashOutputs = (target) =>
  hash(target.outputs(), (file) => {
    const { size, mtimeMs } = statSync(file);
    return `${size} ${mtimeMs}`;
  });

const stampFile = (target) => join(work, `${target.name}.stamp`);

export function isStamped(target) {
  const file = stampFile(target);
  return existsSync(file) && readFileSync(file, 'utf8') === hashInputs(target) + hashOutputs(target);
}

/** Makes the target and stamps it. The inputs are hashed first, so that an edit made meanwhile is built next time. */
export async function stamp(target, make) {
  rmSync(stampFile(target), { force: true });
  const inputs = hashInputs(target);
  await make();
  mkdirSync(work, { recursive: true });
  writeFileSync(stampFile(target), inputs + hashOutputs(target));
}
