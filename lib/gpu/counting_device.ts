import { Gpu } from "./gpu.ts";

const counting = new WeakSet<Gpu>();

/** Whether `gpu` is a {@linkcode countingDevice}: what the host would make long of its zeros can then be left out. */
export function isCounting(gpu: Gpu): boolean {
  return counting.has(gpu);
}

/**
 * A device that computes nothing: what runs on it takes tensors from a pool that only counts them, so that the very code
 * that loads and trains says how much memory it will take before anything is allocated. All that is read back is zero.
 *
 * Own construction: WebGPU does not tell how much memory a device has, and a formula of one's own is wrong as soon as
 * an operation changes.
 */
export function countingDevice(): Gpu {
  const nothing = () => {};
  const object = () => ({});
  const pass = {
    ...{ setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing },
  };
  const encoder = {
    beginComputePass: () => pass,
    ...{ clearBuffer: nothing, copyBufferToBuffer: nothing, finish: object },
  };
  const device = {
    limits: {
      minUniformBufferOffsetAlignment: 256,
      maxBufferSize: Infinity,
      maxStorageBufferBindingSize: Infinity,
      maxComputeWorkgroupsPerDimension: Infinity,
    },
    features: new Set<string>(),
    lost: new Promise(nothing),
    queue: {
      ...{ writeBuffer: nothing, submit: nothing },
      onSubmittedWorkDone: () => Promise.resolve(),
    },
    createBuffer: ({ size }: GPUBufferDescriptor) => ({
      mapAsync: () => Promise.resolve(),
      getMappedRange: () => new ArrayBuffer(size),
      ...{ unmap: nothing, destroy: nothing },
    }),
    createCommandEncoder: () => encoder,
    ...{ createBindGroupLayout: object, createPipelineLayout: object, createShaderModule: object },
    ...{ createComputePipeline: object, createBindGroup: object },
    ...{ addEventListener: nothing, pushErrorScope: nothing, destroy: nothing },
    popErrorScope: () => Promise.resolve(null),
  };
  const info = {
    name: "counting device",
    driver: "",
    isSoftware: false,
    subgroupSize: 0,
    enableSubgroups: false,
  };
  const gpu = new Gpu(device as unknown as GPUDevice, info, new Set());
  counting.add(gpu);
  return gpu;
}
