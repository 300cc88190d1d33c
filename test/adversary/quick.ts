/** Settings with which the iterative attacks are quick, for inputs in [0, 1]: enough for what every attack owes, too little to be good. */
export const quick: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  apgd: { steps: 4 },
  apgdT: { steps: 4 },
  autoAttack: { steps: 2, queries: 4 },
  carliniWagner: { steps: 12, searchSteps: 2 },
  ddn: { steps: 4 },
  deepFool: { steps: 3 },
  ead: { steps: 12, searchSteps: 2 },
  fab: { steps: 3, restarts: 2 },
  fmn: { steps: 4 },
  hopSkipJump: { steps: 2, probes: 10, starts: 50, clip: [-100, 100] },
  pgd: { steps: 4 },
  square: { queries: 10 },
  lbfgs: { steps: 12, searchSteps: 2 },
};
