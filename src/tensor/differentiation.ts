/** How many differentiations are under way: an inner one must itself be differentiable for the outer. */
export const differentiation = { depth: 0 };
