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
export { show, type Showable } from "./lib/cli/show.ts";
export { NotebookRun, start } from "./lib/cli/start.ts";
export type { RunFailure } from "./lib/train/channel.ts";
export type { RunEvent } from "./lib/train/run_event.ts";
export { RunHandle, type RunState, type StartOptions, startRun } from "./lib/train/run_handle.ts";
