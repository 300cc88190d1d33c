/** Settings with which the iterative attacks are quick: enough for what every attack owes, too little to be good. */
export const quick: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  autoAttack: { steps: 2, queries: 4 },
  carliniWagner: { steps: 12, searchSteps: 2 },
  ddn: { steps: 4 },
  deepFool: { steps: 3 },
  fab: { steps: 3, restarts: 2 },
  fmn: { steps: 4 },
};
