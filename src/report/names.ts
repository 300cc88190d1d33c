/** Two spellings of one name: `Adv_Loss_Sign` is `advLossSign`. */
const plain = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

/** Columns in the order in which every table and file has them; others follow by name. */
const COLUMNS = [
  'validation',
  'test',
  'fixed',
  'advLossSign',
  'advLoss',
  'advAlpha',
  'minimal',
  'pgd40',
  'autoAttack',
].map(plain);

/** Columns of inputs that nobody has attacked, the first the one to quote. */
const CLEAN = ['validation', 'test'].map(plain);

const DISPLAY = new Map(
  Object.entries({
    normal: 'Normal',
    dropout: 'Dropout',
    goodfellow: 'Goodfellow',
    nokland: 'Nøkland',
    vat: 'VAT',
    lwa: 'LWA',
    lwaRep: 'LWA_Rep',
    lwaAlpha: 'LWA, Adv_Alpha',
    concentrated: 'Concentrated',
    minimal: 'Minimal',
    validation: 'Validation',
    test: 'Test',
    fixed: 'Fixed',
    advLossSign: 'Adv_Loss_Sign',
    advLoss: 'Adv_Loss',
    advAlpha: 'Adv_Alpha',
    advAlphaDense: 'Adv_Alpha, all classes',
    fgsm: 'FGSM',
    pgd: 'PGD',
    pgd40: 'PGD-40',
    autoAttack: 'AutoAttack',
    apgd: 'APGD',
    carliniWagner: 'C&W',
    ddn: 'DDN',
    deepFool: 'DeepFool',
    ead: 'EAD',
    fab: 'FAB',
    fmn: 'FMN',
    hopSkipJump: 'HopSkipJump',
    lbfgs: 'L-BFGS',
    trades: 'TRADES',
    mart: 'MART',
    seconds: 'Time',
    mlp: 'MLP',
    lenet: 'LeNet',
    cifarNet: 'CifarNet',
    l1: 'L1',
    l2: 'L2',
    linf: 'L∞',
    table1: 'Table 1',
    table2: 'Table 2',
    figure1: 'Figure 1',
    figure2: 'Figure 2',
    cost: 'Cost',
    fashionMnist: 'Fashion-MNIST',
    cifar10: 'CIFAR-10',
    mnist: 'MNIST',
  }).map(([name, display]) => [plain(name), display]),
);

/** Whether two names mean the same method, column or model. */
export const sameName = (a: string, b: string) => plain(a) === plain(b);

/** A text on one line, without control characters. */
export const oneLine = (text: string) => text.replace(/\p{Cc}+/gu, ' ');

/** A name as people write it: `lwaRep` is LWA_Rep; an unknown one as it is. */
export const displayName = (name: string) => DISPLAY.get(plain(name)) ?? oneLine(name);

/** A compound name as words: `backwardRows` is Backward rows. */
export function words(name: string): string {
  const spaced = oneLine(name)
    .replace(/(\p{Ll}|\p{N})(?=\p{Lu})|[-_\s]+/gu, '$1 ')
    .trim();
  return (
    spaced.charAt(0).toUpperCase() + spaced.slice(1).replace(/ \p{Lu}(?=\p{Ll})/gu, (start) => start.toLowerCase())
  );
}

/** What a column is called: as people write it, an unknown compound as words. */
export const columnLabel = (name: string) => DISPLAY.get(plain(name)) ?? words(name);

/** Experiments that are called otherwise than the column, norm or data set of their name. */
const TITLES = new Map([
  ['l2', 'Is L2 a reasonable measure?'],
  ['robustness', 'What the networks withstand'],
  ['claims', "The paper's claims"],
  ['fashion', 'Fashion-MNIST'],
]);

/** What an experiment is called in headings. */
export const titleOf = (experiment: string) =>
  TITLES.get(experiment) ?? DISPLAY.get(plain(experiment)) ?? words(experiment);

const MEANING = new Map(
  Object.entries({
    validation: 'images held out from training, as they are',
    test: 'the official test images, as they are',
    fixed: 'images perturbed by Adv_Loss on the Normal network, the same for every network',
    advLossSign: 'perturbed along the sign of the loss gradient, scaled to the L2 length',
    advLoss: 'perturbed along the loss gradient',
    advAlpha: 'perturbed towards the class whose linearised boundary is nearest',
    minimal: 'no shorter perturbation found by Algorithm 1 on the logits, linearised anew until the class changes',
    pgd40: 'perturbed in 40 steps that climb the loss, inside the range of the pixels',
    autoAttack: 'perturbed by the strongest of the four attacks of AutoAttack, inside the range of the pixels',
    medianDistance:
      'half of the images have a nearest mistake within it, by the better of FMN and DDN; 0 for what is wrong already',
  }).map(([name, meaning]) => [plain(name), meaning]),
);

/** What a known column shows, in a few words; nothing for an unknown one. */
export const meaningOf = (column: string) => MEANING.get(plain(column));

/** Whether a column's inputs are left as they are, so that what remains of it under attack can be compared with it. */
export const isClean = (column: string) => CLEAN.includes(plain(column));

/** Sorts columns into the order of the paper's tables, unknown ones after them by name. */
export function byColumnOrder(a: string, b: string): number {
  const rank = (name: string) => (COLUMNS.includes(plain(name)) ? COLUMNS.indexOf(plain(name)) : COLUMNS.length);
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Where a column has its colour: the same in every plot. Unknown ones come after the known, in the order given. */
export function columnIndex(column: string, columns: readonly string[]): number {
  const known = COLUMNS.indexOf(plain(column));
  if (known >= 0) return known;
  return COLUMNS.length + columns.filter((name) => !COLUMNS.includes(plain(name))).indexOf(column);
}
