import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project, wherever it is called from. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where stamps, logs and the lock are kept. */
export const work = join(root, 'build', 'bootstrap');
