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
