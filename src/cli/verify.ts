/** `sparring verify` */
import { readManifest } from '../evaluation/adversarialSet.js';
import { verifyAdversarialSet } from '../evaluation/verify.js';
import { readBytes } from '../io/read.js';
import { percent, significant } from '../report/format.js';
import { loadNetwork } from '../training/network.js';
import { defineCommand } from './command.js';
import { refusal } from './failure.js';
import { grid } from './grid.js';
import { atMost, dataNames, load, withValidation, type DataName } from './images.js';
import { dataDir } from './options.js';
import { file, folder, option } from './values.js';

/** Scores adversarial images again. */
export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'score adversarial images again, from their files',
  description:
    'Reads a folder that sparring evaluate --out has written and checks it from the start: that network, data and files are ' +
    'the ones it was made with, that no image is moved farther than it says or out of the range, that the labels are those ' +
    'of the data set, and how many the network still classifies rightly. Exits with 1 if anything differs.',
  operand: { placeholder: 'folder', description: 'folder that sparring evaluate has written', kind: folder },
  options: {
    model: option(file, 'file of the network', { fallbackText: 'where it was when it was evaluated' }),
    dataDir,
  },
  examples: [
    ['sparring verify adversarial', 'confirms what is in the folder, or says what differs'],
    ['sparring verify adversarial --model lwa.safetensors', 'with a network that has been moved since'],
  ],
  async run(session, { model, dataDir: dir }, [path]) {
    const manifest = await readManifest(path!);
    const { name, split, limit } = manifest.data;
    const from = model ?? manifest.network.file;
    const bytes = await readBytes(from);
    const { network, input, training } = await loadNetwork(from);
    if (!dataNames.includes(name as DataName) || (split !== 'test' && split !== 'validation'))
      throw refusal(`${path}: expected images of a data set known here, received ${split} images of ${name}`);
    const published = await load(name as DataName, { dir, scale: input.scale });
    const images = atMost(withValidation(published, training.seed)[split], limit ?? undefined);
    session.progress({ what: 'verify', done: 0, total: 1, detail: `${images.rows.length} images` });
    const result = await verifyAdversarialSet(path!, manifest, { model: network, bytes }, images);
    if (!result.confirmed) process.exitCode = 1;
    const { norm } = manifest.settings;
    const rows = result.sets.map(({ epsilon, examples, correct, accuracy, longest, range }) => [
      String(epsilon),
      percent(accuracy, 2),
      `${correct} of ${examples}`,
      significant(longest),
      range.map(significant).join(' to '),
    ]);
    return {
      json: { folder: path, network: from, ...result },
      text:
        grid([[`${norm} length`, 'accuracy in %', 'right', 'longest', 'values'], ...rows]) +
        (result.confirmed
          ? '\nconfirmed: all is as the manifest says\n'
          : `\nnot confirmed:\n${result.differences.map((each) => `  ${each}\n`).join('')}`),
    };
  },
});
