export { advAlpha, advLoss, advLossSign } from './budgeted.js';
export { minimal } from './minimal.js';
