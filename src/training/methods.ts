export { dropout } from './dropout.js';
export { goodfellow } from './goodfellow.js';
export { lwa } from './lwa.js';
export { lwaRep } from './lwaRep.js';
export { nokland } from './nokland.js';
export { normal } from './normal.js';
export { vat } from './vat.js';
