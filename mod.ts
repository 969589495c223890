/**
 * OLoRA kit: low-rank adaptation of language models on any GPU that WebGPU reaches.
 *
 * @module
 */
export { GpuError } from "./lib/core/errors.ts";
export { type BlockDType, byteWidth, type DType, type GgufBlockDType } from "./lib/core/dtype.ts";
export { type HostTensor, hostTensor, toFloat32 } from "./lib/core/host_tensor.ts";
export { dequantizeNf4, type Nf4, type QuantizedScales, quantizeNf4 } from "./lib/core/nf4.ts";
export type { QuantizedDType } from "./lib/core/quantize.ts";
export { Rng, threefry2x32 } from "./lib/core/rng.ts";
export { bindAxes, type Shape, size } from "./lib/core/shape.ts";
export { type DeviceOptions, listAdapters, openDevice } from "./lib/gpu/device.ts";
export { Gpu } from "./lib/gpu/gpu.ts";
export type { GpuFeature, KernelSpec, UniformType } from "./lib/gpu/kernel.ts";
export type { BufferPool, Slab } from "./lib/gpu/pool.ts";
export type { AdapterInfo, AdapterPreference } from "./lib/gpu/preference.ts";
export { Tensor } from "./lib/gpu/tensor.ts";
export { type NamedMatrix, requireFinite } from "./lib/linalg/finite.ts";
export { qr, qrAll, type QrOptions, type QrResult } from "./lib/linalg/qr.ts";
export { type LanczosOptions, type LargestEigenvalue, largestEigenvalue } from "./lib/linalg/lanczos.ts";
export { type Svd, svd } from "./lib/linalg/svd.ts";
export type { DownloadState } from "./lib/io/hub.ts";
export type { DecoderConfig } from "./lib/io/model_config.ts";
export type { FamilyName } from "./lib/io/families.ts";
export type { RopeScaling } from "./lib/io/rope_scaling.ts";
export type { Tokenizer } from "./lib/io/tokenizer.ts";
export type { PeftAdapter, PeftConfig, PeftFactors, PeftRows } from "./lib/io/peft_format.ts";
export type { PeftTargets } from "./lib/io/peft_targets.ts";
export { readPeftAdapter, writePeftAdapter } from "./lib/io/peft.ts";
export { readGgufAdapter, writeGgufAdapter } from "./lib/io/gguf_adapter.ts";
export { loadModel, type LoadOptions, Model } from "./lib/nn/model.ts";
export { quantizeModel, type QuantizeOptions } from "./lib/nn/quantize.ts";
export type { Branch, Changes, DecoderWeights, Layer } from "./lib/nn/decoder.ts";
export { constant, type InputUse, parameter, type Rule, Tape, type Variable } from "./lib/autograd/tape.ts";
export { type LinearAttributes, linearRule, type LinearSaved } from "./lib/autograd/linear.ts";
export * as rules from "./lib/autograd/rules.ts";
export { Parameters } from "./lib/autograd/parameters.ts";
export type { AdamwSettings } from "./lib/ops/adamw.ts";
export type { TokenRow } from "./lib/datasets/encode.ts";
export { type Permutations, permuteWeight, randomPermutations } from "./lib/nn/permute.ts";
export { padded, score, type ScoreOptions, type TokenBatch } from "./lib/nn/score.ts";
export { generate, type GenerateOptions } from "./lib/nn/generate.ts";
export {
  Adapter,
  type AdapterBranch,
  type AdapterConfig,
  type AdapterLayer,
} from "./lib/adapters/adapter.ts";
export { attach, type AttachOptions } from "./lib/adapters/attach.ts";
export { attachQuantized, type QuantizedAdapter, type QuantizedOptions } from "./lib/adapters/quantized.ts";
export type { Basis, MethodOptions } from "./lib/adapters/options.ts";
export { addMethod, methodNames } from "./lib/adapters/methods.ts";
export type { BetweenUpdates, Course, CourseOf, Moments, TrainingPlace } from "./lib/adapters/course.ts";
export type {
  Factors,
  LayerForm,
  LayerTarget,
  Method,
  StartContext,
  Target,
  Triplets,
} from "./lib/adapters/method.ts";
export {
  effectiveRank,
  type LayerSpectrum,
  type Overlap,
  spectrum,
  type SpectrumOptions,
} from "./lib/adapters/spectrum.ts";
export { loadAdapter, saveAdapter } from "./lib/adapters/save.ts";
export { type MergeReport, type SavedDType, saveModel } from "./lib/adapters/save_model.ts";
export { combine, type CombineOptions } from "./lib/adapters/combine.ts";
export { type ImportanceScores, importanceScores } from "./lib/adapters/importance_scores.ts";
export { scoreEach } from "./lib/adapters/flora_batch.ts";
export { residualModel, toPlainLora } from "./lib/adapters/convert.ts";
export { layersAsLora } from "./lib/adapters/layers_as_lora.ts";
export { type Batch, batches, batchesInOrder, type BatchOptions } from "./lib/datasets/batches.ts";
export { type Dataset, type DatasetOptions, loadDataset } from "./lib/datasets/load.ts";
export {
  loadMultipleChoice,
  type MultipleChoiceItem,
  type MultipleChoiceOptions,
} from "./lib/datasets/multiple_choice.ts";
export type { HarnessTask } from "./lib/datasets/harness_tasks.ts";
export {
  choiceLogLikelihoods,
  type ChoiceOptions,
  type ChoiceScore,
  choiceScore,
  type Divergence,
  type EvaluateOptions,
  type Loss,
  meanDivergence,
  meanLoss,
  multipleChoice,
  perplexity,
} from "./lib/train/evaluate.ts";
export { type MemoryPlan, planMemory, type PlannedTraining } from "./lib/train/memory.ts";
export {
  type CheckpointState,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
} from "./lib/train/checkpoint.ts";
export { type Cost, type Horizon, planHorizon } from "./lib/experiments/plan.ts";
export {
  compare,
  type ComparedMethod,
  type CompareOptions,
  type CompareProgress,
  type Contender,
} from "./lib/experiments/compare.ts";
export {
  type LayerError,
  type QuantizationError,
  quantizationErrors,
  type QuantizationOptions,
} from "./lib/experiments/quantization.ts";
export { literalResidual } from "./lib/experiments/residual.ts";
export { type Sharpness, sharpness, type SharpnessOptions } from "./lib/experiments/sharpness.ts";
export {
  type ItemFiles,
  Laboratory,
  type MeasuredRun,
  type Measures,
  type SharpnessSummary,
  type SpectrumSummary,
  type TaskScore,
} from "./lib/experiments/measure.ts";
export type { Part } from "./lib/experiments/parts.ts";
export { expand, sweep } from "./lib/experiments/sweep.ts";
export type { SweepConfig, SweepControl, SweepEvent, SweepRun } from "./lib/experiments/sweep.ts";
export type { EvaluationConfig, RunConfig } from "./lib/train/run_config.ts";
export { type LoopOptions, train } from "./lib/train/loop.ts";
export { AdamW } from "./lib/optim/adamw.ts";
export { type Schedule, scheduleFactor } from "./lib/optim/schedule.ts";
export {
  federated,
  type FederatedClient,
  type FederatedOptions,
  type FederatedRound,
} from "./lib/train/federated.ts";
export { DivergedError, type StepRecord, Trainer, type TrainOptions } from "./lib/train/train.ts";
export {
  convergenceFigure,
  convergenceTable,
  rateFigure,
  type RateStop,
  rateStops,
} from "./lib/display/convergence.ts";
export type { Figure, Mark, Panel, Scale, Series } from "./lib/display/figure.ts";
export { display, type Displayable, JUPYTER_DISPLAY, type MimeBundle } from "./lib/display/notebook.ts";
export { type PlotlyFigure, plotlyFigure } from "./lib/display/plotly.ts";
export {
  type DisplayFunction,
  notebookProgress,
  type Progress,
  progressLine,
  type ProgressReporter,
  type TerminalOptions,
  terminalProgress,
} from "./lib/display/progress.ts";
export { type RateLoss, type RateRange, rateRange } from "./lib/display/rate_range.ts";
export { report, type ReportOptions } from "./lib/display/report.ts";
export {
  finalLoss,
  groupRuns,
  methodKey,
  methodName,
  type RowConfig,
  type RunGroup,
  type RunRow,
  runsAtBestRate,
  runsAtRate,
} from "./lib/display/rows.ts";
export {
  areaUnderCurve,
  type Arrival,
  type CurvePoint,
  earlySpike,
  type Equivalence,
  equivalence,
  type Interval,
  INTERVAL_NOTE,
  meanInterval,
  pairedInterval,
  stepsTo,
} from "./lib/display/statistics.ts";
export {
  kaplanMeier,
  type MedianArrival,
  medianArrival,
  type SurvivalPoint,
} from "./lib/display/survival.ts";
export { svgFigure } from "./lib/display/svg.ts";
export { type Cell, htmlTable, markdownTable, type Table, textTable } from "./lib/display/table.ts";
export {
  type ComparedRuns,
  comparisonFigure,
  comparisonText,
  comparisonVerdicts,
} from "./lib/display/comparison.ts";
export {
  atEqualGain,
  type EqualGain,
  forgettingVerdicts,
  paretoFigure,
  type Price,
  type Trade,
  trades,
} from "./lib/display/pareto.ts";
export { type Dot, dotPanel } from "./lib/display/dots.ts";
export { bestSettings, distinctRuns, type Setting, settingsAtRate } from "./lib/display/settings.ts";
export { farTable, farVerdicts } from "./lib/display/far_verdicts.ts";
export {
  frozenVerdicts,
  parameterFigure,
  parameterTable,
  parameterVerdicts,
} from "./lib/display/frozen_verdicts.ts";
export { fullFigure, fullVerdicts, sharedRuns } from "./lib/display/full_verdicts.ts";
export {
  comparisonsNote,
  VARIANT_CLAIMS,
  type VariantClaim,
  variantPanel,
  variantTable,
  variantVerdicts,
} from "./lib/display/variant_verdicts.ts";
export {
  PEFT_FACTOR,
  type QuantizationChoice,
  type QuantizationRow,
  quantizationVerdicts,
  type QuantizedBase,
} from "./lib/display/quantization_verdicts.ts";
export { convergenceVerdicts, replicationNote, textVerdicts, type Verdict } from "./lib/display/verdicts.ts";
export { replace } from "./lib/cli/replace.ts";
export { show, type Showable } from "./lib/cli/show.ts";
export { NotebookRun, start } from "./lib/cli/start.ts";
export type { RunFailure } from "./lib/train/channel.ts";
export type { CutRows, RunEvent } from "./lib/train/run_event.ts";
export { RunHandle, type RunState, type StartOptions, startRun } from "./lib/train/run_handle.ts";
