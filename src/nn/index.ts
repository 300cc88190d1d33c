export * from './initializers.js';
export * from './layers.js';
export * from './losses.js';
export * from './module.js';
export * from './optimizers.js';
export { split, type Part } from './split.js';
