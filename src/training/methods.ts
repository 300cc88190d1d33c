export { lwa } from './lwa.js';
export { normal } from './normal.js';
