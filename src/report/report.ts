import { join } from 'node:path';
import { SparringError } from '../errors.js';
import { ensureWritable, writeFileAtomic } from '../io/atomic.js';
import { renderReport, type ReportContent } from './html.js';
import { toPng, type Picture } from './picture.js';
import { picturesOf } from './plots.js';
import { specimenSheet } from './specimenSheet.js';

/**
 * Writes a report into a folder: for every experiment `<experiment>.svg` and `.png`, for the specimens `specimens.svg`
 * and `.png`, and `report.html`, which needs none of the others. Everything is drawn before anything is written, and
 * each file is written whole or not at all.
 *
 * @returns The paths of the files.
 * @throws SparringError `WRITE_FAILED` when the folder cannot be written to, `INVALID_ARGUMENT` when two pictures have
 * one name, and as `renderReport`.
 *
 * @example
 * ```ts
 * import { mkdtemp } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { basename, join } from 'node:path';
 * import { wilson, writeReport } from 'sparring';
 *
 * const files = await writeReport(await mkdtemp(join(tmpdir(), 'report-')), {
 *   results: [
 *     {
 *       format: 'sparring-results',
 *       version: 1,
 *       experiment: 'mine',
 *       profile: 'quick',
 *       seeds: [1],
 *       environment: {},
 *       settings: {},
 *       rows: [{ model: 'mlp', method: 'lwa', accuracy: { validation: wilson(987, 1000) } }],
 *     },
 *   ],
 * });
 * console.log(files.map((file) => basename(file)).join(' ')); // mine.svg mine.png report.html
 * ```
 */
export async function writeReport(dir: string, content: ReportContent): Promise<string[]> {
  const { results, specimens = [], pictures = [] } = content;
  const drawn: Picture[] = [...pictures];
  for (const result of results) drawn.push(...(await picturesOf(result)));
  const html = renderReport({ results, specimens, pictures: drawn });
  // The page shows the specimens themselves; the sheet is for use elsewhere.
  if (specimens.length > 0) drawn.push(specimenSheet(specimens));
  const names = drawn.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new SparringError(
      'INVALID_ARGUMENT',
      `writeReport: expected one picture of each name, received two '${twice}'`,
    );
  }
  const files: [name: string, data: string | Uint8Array][] = [];
  for (const { name, svg } of drawn) files.push([`${name}.svg`, svg], [`${name}.png`, await toPng(svg)]);
  files.push(['report.html', html]);

  await ensureWritable(dir);
  const paths: string[] = [];
  for (const [name, data] of files) {
    const path = join(dir, name);
    await writeFileAtomic(path, data);
    paths.push(path);
  }
  return paths;
}
