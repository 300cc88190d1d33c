/** The public face of sparring: exports only. */
export * from './errors.js';
export { environment, version } from './environment.js';

export { Tensor, tensor, type DType, type NestedNumbers, type TensorOptions } from './tensor/tensor.js';
export { memory, scope, type Memory } from './tensor/scope.js';
export { planned, type Planned, type PlanOutputs, type PlanStep } from './tensor/plan.js';
export {
  abs,
  add,
  affine,
  argmax,
  argmin,
  averagePool2d,
  broadcastTo,
  cast,
  clamp,
  concat,
  conv2d,
  cos,
  crossEntropy,
  crossEntropyGrad,
  div,
  dropout,
  equal,
  exp,
  flatten,
  floor,
  full,
  gather,
  greater,
  greaterEqual,
  inside,
  less,
  lessEqual,
  linear,
  log,
  logSoftmax,
  matmul,
  max,
  maximum,
  maxPool2d,
  mean,
  min,
  minimum,
  mul,
  neg,
  norm,
  normal,
  notEqual,
  oneHot,
  ones,
  pad,
  permute,
  pow,
  putAlong,
  range,
  relu,
  reshape,
  round,
  scatterAdd,
  sigmoid,
  sign,
  sin,
  slice,
  softmax,
  sqrt,
  square,
  stack,
  sub,
  sum,
  takeAlong,
  tanh,
  transpose,
  uniform,
  where,
  zeros,
  type Conv2dOptions,
  type MatmulOptions,
  type NormName,
  type Operand,
  type Pair,
  type PoolOptions,
  type RandomSource,
  type Reduction,
} from './tensor/ops.js';

export {
  grad,
  gradients,
  jacobian,
  softmaxJacobian,
  valueAndGrad,
  vjp,
  type Classifier,
  type Differentiable,
  type Vjp,
} from './autodiff/autodiff.js';

export * as nn from './nn/index.js';
export * as models from './nn/models.js';
export * as schedules from './nn/schedules.js';
export { reachBound } from './nn/bounds.js';
export { nextRandomness } from './nn/randomness.js';

export * as attacks from './adversary/index.js';
export type { ApgdOptions, ApgdTOptions } from './adversary/apgd.js';
export {
  attackEntries,
  defineAttack,
  epsilonEntry,
  measured,
  type Attack,
  type AttackContext,
  type AttackOptions,
  type AttackResult,
  type BatchAttack,
  type DefinedAttack,
  type Labels,
  type Outcome,
  type Target,
} from './adversary/attack.js';
export type { AutoAttackOptions } from './adversary/autoAttack.js';
export type { AdvAlphaOptions, BudgetedOptions } from './adversary/budgeted.js';
export type { CarliniWagnerOptions } from './adversary/carliniWagner.js';
export type { DdnOptions } from './adversary/ddn.js';
export type { DeepFoolOptions } from './adversary/deepFool.js';
export type { DistanceOptions, DistanceResult, LedOptions, TargetedOptions } from './adversary/distance.js';
export type { EadOptions } from './adversary/ead.js';
export type { FabOptions } from './adversary/fab.js';
export type { FgmOptions } from './adversary/fgsm.js';
export type { FmnOptions } from './adversary/fmn.js';
export type { HopSkipJumpOptions } from './adversary/hopSkipJump.js';
export type { LbfgsOptions } from './adversary/lbfgs.js';
export type { Linearize } from './adversary/linearization.js';
export type { MinimalOptions, MinimalResult } from './adversary/minimal.js';
export type { AttackLoss, Goal, LossName, LossValue } from './adversary/losses.js';
export type { NoiseOptions } from './adversary/noise.js';
export { norms, perturbed, type Norm } from './adversary/norms.js';
export type { GradientStepsOptions, MomentumOptions, PgdOptions } from './adversary/pgd.js';
export { project, type Region } from './adversary/ball.js';
export {
  defineSearch,
  searchEntries,
  type Examples as AttackedExamples,
  type Search,
  type SearchContext,
  type SearchOptions,
  type SearchResult,
  type Standing,
} from './adversary/search.js';
export type { SquareOptions } from './adversary/square.js';
export { transfer, type TransferOptions } from './adversary/transfer.js';
export { worstCase, type Member, type WorstCaseOptions, type WorstCaseResult } from './adversary/worstCase.js';

export * as methods from './training/methods.js';
export { accuracy } from './training/accuracy.js';
export { adversarialInputs, type AdversarialInputsOptions } from './training/adversarial.js';
export type { DropoutOptions } from './training/dropout.js';
export type { Best } from './training/best.js';
export type { FastOptions } from './training/fast.js';
export type { FreeOptions } from './training/free.js';
export type { GoodfellowOptions } from './training/goodfellow.js';
export type { LwaOptions } from './training/lwa.js';
export type { LwaRepOptions } from './training/lwaRep.js';
export type { MartOptions } from './training/mart.js';
export { defineMethod, evaluating, type Batch, type Method, type MethodMaker, type Replay } from './training/method.js';
export type { NoklandOptions } from './training/nokland.js';
export type { AugmentOptions } from './training/augment.js';
export type { PgdTrainingOptions } from './training/pgd.js';
export type { TradesOptions } from './training/trades.js';
export type { VatOptions } from './training/vat.js';
export {
  train,
  type EpochEvent,
  type OptimizerChoice,
  type StepEvent,
  type SummaryEvent,
  type TrainEvent,
  type TrainOptions,
} from './training/train.js';

export {
  evaluate,
  type Distances,
  type EvaluateOptions,
  type Evaluation,
  type Outcomes,
  type RobustFigure,
} from './evaluation/evaluate.js';
export { transferred } from './evaluation/transferred.js';
export { outcomes, type OutcomesOptions } from './evaluation/outcomes.js';
export { pockets, type PocketOptions } from './evaluation/pockets.js';
export { robustness } from './evaluation/robustness.js';
export type { AttackChoice, AttackEntry, AttackName } from './evaluation/choices.js';
export { diagnose, type DiagnoseOptions, type Flag, type FlagName } from './evaluation/flags.js';
export type { WorstInputs } from './evaluation/ledger.js';
export { readManifest, writeAdversarialSet, type Manifest, type SetOrigin } from './evaluation/adversarialSet.js';
export { verifyAdversarialSet, type Verification, type VerifiedSet } from './evaluation/verify.js';
export { accuracyCurve, type CurveOptions, type CurvePoint } from './evaluation/curve.js';

export {
  experimentNames,
  profileNames,
  reproduce,
  type ReproduceEvent,
  type ReproduceOptions,
} from './experiments/reproduce.js';
export { profiles, type Profile, type Recipe, type TablePlan } from './experiments/profiles.js';

export * from './data/dataset.js';
export { decodeCifar, decodeCifarNames } from './data/cifar.js';
export { datasets, type DatasetOptions, type TrainTest } from './data/datasets.js';
export { decodeIdx, readIdx, type IdxArray, type IdxOptions } from './data/idx.js';
export { locate } from './data/locate.js';
export { ensureWritable, writeFileAtomic } from './io/atomic.js';
export { loadNpz, loadSafetensors, saveSafetensors } from './io/weights.js';
export { decodeNpy, decodeNpz, encodeNpy, encodeNpz } from './io/npz.js';
export { decodeSafetensors, encodeSafetensors } from './io/safetensors.js';
export { summarize } from './report/headline.js';
export { renderReport, type ReportContent } from './report/html.js';
export { specimenImages, type Specimen } from './report/images.js';
export { median, studentT, wilson } from './report/intervals.js';
export { mcnemar, pairedT, type Difference } from './report/paired.js';
export { paperTable1, paperTable2 } from './report/paper.js';
export { toPng, type Picture } from './report/picture.js';
export { accuracyAgainstLength, learningCurves, tableBars } from './report/plots.js';
export { writeReport } from './report/report.js';
export {
  readResults,
  writeResults,
  type AttackRecord,
  type Claim,
  type Comparand,
  type Figure,
  type PaperResults,
  type ResultFile,
  type ResultRow,
  type RobustnessRecord,
} from './report/results.js';
export { renderRobustness, robustnessCurves } from './report/robustness.js';
export { specimenSheet } from './report/specimenSheet.js';
export { markdownTable, textTable } from './report/table.js';
