/**
 * OLoRA kit: low-rank adaptation of language models on any GPU that WebGPU reaches.
 *
 * @module
 */
export { GpuError } from "./lib/core/errors.ts";
export { byteWidth, type DType } from "./lib/core/dtype.ts";
export { type HostTensor, hostTensor, toFloat32 } from "./lib/core/host_tensor.ts";
export { Rng, threefry2x32 } from "./lib/core/rng.ts";
export { bindAxes, type Shape, size } from "./lib/core/shape.ts";
export { type DeviceOptions, listAdapters, openDevice } from "./lib/gpu/device.ts";
export { type AdapterInfo, Gpu } from "./lib/gpu/gpu.ts";
export type { GpuFeature, KernelSpec, UniformType } from "./lib/gpu/kernel.ts";
export type { BufferPool, Slab } from "./lib/gpu/pool.ts";
export type { AdapterPreference } from "./lib/gpu/preference.ts";
export { Tensor } from "./lib/gpu/tensor.ts";
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
export { report, type ReportOptions } from "./lib/display/report.ts";
export {
  type RunConfig,
  type RunGroup,
  type RunRow,
  runsAtBestRate,
  runsAtRate,
} from "./lib/display/rows.ts";
export {
  areaUnderCurve,
  type Arrival,
  bootstrapInterval,
  type BootstrapOptions,
  type CurvePoint,
  type Interval,
  pairedBootstrapInterval,
  pairedTInterval,
  stepsTo,
  tInterval,
} from "./lib/display/statistics.ts";
export { svgFigure } from "./lib/display/svg.ts";
export { type Cell, htmlTable, markdownTable, type Table, textTable } from "./lib/display/table.ts";
export { convergenceVerdicts, replicationNote, textVerdicts, type Verdict } from "./lib/display/verdicts.ts";
export { show, type Showable } from "./lib/cli/show.ts";
export { NotebookRun, start } from "./lib/cli/start.ts";
export type { RunFailure } from "./lib/train/channel.ts";
export type { RunEvent } from "./lib/train/run_event.ts";
export { RunHandle, type RunState, type StartOptions, startRun } from "./lib/train/run_handle.ts";
