export { apgd, apgdT } from './apgd.js';
export { advAlpha, advLoss, advLossSign } from './budgeted.js';
export { minimal } from './minimal.js';
export { fgm, fgsm } from './fgsm.js';
export { ifgsm, momentum, pgd } from './pgd.js';
export { noise } from './noise.js';
