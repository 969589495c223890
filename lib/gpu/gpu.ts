import type { DType } from "../core/dtype.ts";
import { GpuError } from "../core/errors.ts";
import { byteLength, type HostTensor } from "../core/host_tensor.ts";
import { widen } from "../core/half.ts";
import { type Shape, size } from "../core/shape.ts";
import { DeviceErrors } from "./device_errors.ts";
import { type GpuFeature, kernelCode, kernelKey, type KernelSpec } from "./kernel.ts";
import type { AdapterInfo } from "./preference.ts";
import { BufferPool } from "./pool.ts";
import { Tensor } from "./tensor.ts";

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly groups: Map<string, GPUBindGroup>;
  readonly uniformBytes: number;
}

const ARENA_BYTES = 1 << 20;

/** Bind groups kept: more than one step of a deep model needs. Texts of ever new lengths would add to them for ever. */
const MOST_GROUPS = 8192;

/**
 * A device with its pool, its compiled kernels and the commands recorded since the last submit.
 *
 * `run` only records; `flush` submits everything as one compute pass, and `read` flushes and waits. Uniform
 * values lie in one arena that is written once a submit and read at dynamic offsets, so any of them may change
 * from step to step while bind groups stay cached. Errors of the device are kept and thrown, as `GpuError`, by
 * the next `flush`, `read` or `settled`.
 */
export class Gpu implements Disposable {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** The adapter it came from. */
  readonly info: AdapterInfo;
  /** Features found by trying. */
  readonly features: ReadonlySet<GpuFeature>;
  /** Buffers and their counters (`liveBytes`, `peakBytes`). */
  readonly pool: BufferPool;
  /** Kernel variant in use by kernel family; part of a run's identity. */
  readonly variants: Map<string, string> = new Map();
  /** Most bytes of a tensor that a kernel can be given at once; a tensor may be larger, and is then given in parts. */
  readonly bindingBytes: number;
  /** Command buffers submitted so far. */
  submits = 0;

  readonly #errors: DeviceErrors;
  readonly #kernels = new Set<string>();
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #arena: GPUBuffer;
  readonly #uniforms = new ArrayBuffer(ARENA_BYTES);
  readonly #align: number;
  readonly #scopes: Tensor[][] = [];
  #arenaUsed = 0;
  #groups = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;

  /** Wraps a device; use `openDevice`. */
  constructor(device: GPUDevice, info: AdapterInfo, features: ReadonlySet<GpuFeature>) {
    this.device = device;
    this.info = info;
    this.features = features;
    this.bindingBytes = device.limits.maxStorageBufferBindingSize;
    this.#align = device.limits.minUniformBufferOffsetAlignment;
    this.#arena = device.createBuffer({
      label: "uniform arena",
      size: ARENA_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.pool = new BufferPool((bytes) => this.#createBuffer(bytes));
    this.#errors = new DeviceErrors(device, () => this.#kernels);
  }

  /** Bytes of tensors that are alive. */
  get liveBytes(): number {
    return this.pool.liveBytes;
  }

  /** A tensor of unspecified contents. */
  tensor(shape: Shape, dtype: DType = "f32"): Tensor {
    const slab = this.pool.take(byteLength(shape, dtype));
    const tensor = new Tensor(slab, 0, shape, dtype, {
      release: (slab) => this.pool.give(slab),
      disposed: false,
    });
    this.#scopes.at(-1)?.push(tensor);
    return tensor;
  }

  /** A tensor with these elements. `u32` and `i32` take integer arrays, all else f32. */
  upload(data: Float32Array | Uint32Array | Int32Array, shape: Shape): Tensor {
    if (data.length !== size(shape)) {
      throw new RangeError(
        `Cannot upload to shape [${shape.join(", ")}]: got ${data.length} elements, expected ${size(shape)}`,
      );
    }
    const dtype = data instanceof Float32Array ? "f32" : data instanceof Uint32Array ? "u32" : "i32";
    const tensor = this.tensor(shape, dtype);
    this.write(tensor, data);
    return tensor;
  }

  /** A tensor with the elements of `host`, stored as they are. */
  uploadHost(host: HostTensor): Tensor {
    const tensor = this.tensor(host.shape, host.dtype);
    this.write(tensor, host.bytes);
    return tensor;
  }

  /** Overwrites the first elements of `tensor`; commands recorded before still see the old contents. */
  write(tensor: Tensor, data: Float32Array | Uint32Array | Int32Array | Uint8Array): void {
    if (tensor.slab.lastUse === this.submits) this.flush();
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    if (bytes.length > tensor.byteLength) {
      throw new RangeError(`Cannot write ${bytes.length} bytes: expected at most ${tensor.byteLength}`);
    }
    const whole = bytes.length & ~3;
    if (whole) this.device.queue.writeBuffer(tensor.slab.buffer, tensor.offset, bytes, 0, whole);
    if (whole < bytes.length) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      this.device.queue.writeBuffer(tensor.slab.buffer, tensor.offset + whole, tail);
    }
  }

  /** Sets all elements to zero bits, in order with the recorded commands. */
  clear(tensor: Tensor): void {
    this.#endPass();
    this.#encoder ??= this.device.createCommandEncoder();
    const bytes = (tensor.byteLength + 3) & ~3;
    if (bytes) this.#encoder.clearBuffer(tensor.slab.buffer, tensor.offset, bytes);
    tensor.slab.lastUse = this.submits;
  }

  /** Copies all elements of `from` into `to` from element `at` on, in order with the recorded commands. */
  copy(from: Tensor, to: Tensor, at = 0): void {
    this.#copy(from, 0, to, at, from.size);
  }

  /** Fills `to` from the elements of `from` that start at `start`, in order with the recorded commands. */
  copyRange(from: Tensor, start: number, to: Tensor): void {
    this.#copy(from, start, to, 0, to.size);
  }

  /**
   * Records one dispatch of `spec` on `storage` (in binding order).
   *
   * @throws {GpuError} If the kernel wants a feature, grid or binding that the device lacks.
   */
  run(spec: KernelSpec, storage: readonly Tensor[], uniforms: Readonly<Record<string, number>>): void {
    const grid = spec.workgroups(uniforms);
    if (grid.some((n) => n === 0)) return;
    const pipeline = this.#pipeline(spec);
    this.#check(spec, storage, grid);
    const stride = Math.ceil(pipeline.uniformBytes / this.#align) * this.#align;
    if (this.#arenaUsed + stride > ARENA_BYTES) this.flush();
    const at = this.#arenaUsed;
    this.#arenaUsed += stride;
    const view = new DataView(this.#uniforms, at, pipeline.uniformBytes);
    spec.uniforms.forEach(([name, type], i) => {
      const value = uniforms[name];
      if (value === undefined) {
        throw new TypeError(`Cannot run ${spec.name}: uniform ${name} is missing`);
      }
      if (type === "u32") view.setUint32(4 * i, value, true);
      else view.setFloat32(4 * i, value, true);
    });
    let key = "";
    for (const { slab, offset, byteLength } of storage) {
      slab.lastUse = this.submits;
      key += `${slab.id}:${offset}:${byteLength},`;
    }
    let group = pipeline.groups.get(key);
    if (!group) pipeline.groups.set(key, group = this.#bindGroup(spec, pipeline, storage));
    this.#encoder ??= this.device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    this.#pass.setPipeline(pipeline.pipeline);
    this.#pass.setBindGroup(0, group, [at]);
    this.#pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
  }

  /** Submits what was recorded, as one command buffer. */
  flush(): void {
    this.#errors.throwKnown();
    if (!this.#encoder) return;
    this.#endPass();
    if (this.#arenaUsed) this.device.queue.writeBuffer(this.#arena, 0, this.#uniforms, 0, this.#arenaUsed);
    this.device.queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
    this.#arenaUsed = 0;
    this.submits++;
  }

  /** The elements of `tensor` as f32, after all recorded work; waits for the device. */
  async read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    return widen(tensor.dtype, await this.readBytes(tensor));
  }

  /** The bytes of `tensor`, after all recorded work; waits for the device. */
  async readBytes(tensor: Tensor): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = tensor.byteLength;
    if (bytes === 0) return new Uint8Array(0);
    const padded = (bytes + 3) & ~3;
    const staging = this.device.createBuffer({
      label: "readback",
      size: padded,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      this.#endPass();
      this.#encoder ??= this.device.createCommandEncoder();
      this.#encoder.copyBufferToBuffer(tensor.slab.buffer, tensor.offset, staging, 0, padded);
      this.flush();
      await staging.mapAsync(GPUMapMode.READ).catch((cause) => {
        this.#errors.throwKnown();
        throw new GpuError(`Cannot read ${bytes} bytes from the device`, { cause });
      });
      const out = new Uint8Array(staging.getMappedRange().slice(0, bytes));
      staging.unmap();
      await this.#errors.settle();
      return out;
    } finally {
      staging.destroy();
    }
  }

  /** Waits until the device has done all submitted work, and throws what went wrong. */
  async settled(): Promise<void> {
    this.flush();
    await this.device.queue.onSubmittedWorkDone();
    await this.#errors.settle();
  }

  /** Runs `body` and disposes every tensor made inside, but for those in its result (a tensor or an array). */
  scope<T>(body: () => T): T {
    const made: Tensor[] = [];
    this.#scopes.push(made);
    let result: T;
    try {
      result = body();
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    } finally {
      this.#scopes.pop();
    }
    const kept = (Array.isArray(result) ? result : [result]).filter((value) => value instanceof Tensor);
    for (const tensor of made) {
      if (kept.some(({ slab }) => slab === tensor.slab)) this.#scopes.at(-1)?.push(tensor);
      else tensor.dispose();
    }
    return result;
  }

  /** Takes `tensor` out of the scopes around it; its caller disposes it. */
  keep<T extends Tensor>(tensor: T): T {
    for (const made of this.#scopes) {
      const i = made.findIndex(({ slab, disposed }) => slab === tensor.slab && !disposed);
      if (i >= 0) made.splice(i, 1);
    }
    return tensor;
  }

  /** Destroys the device and all its buffers. */
  [Symbol.dispose](): void {
    this.device.destroy();
  }

  #copy(from: Tensor, start: number, to: Tensor, at: number, count: number): void {
    if (from.dtype !== to.dtype || start + count > from.size || at + count > to.size) {
      throw new RangeError(
        `Cannot copy ${count} elements from ${start} of ${from.size} ${from.dtype} to ${at} of ${to.size} ${to.dtype}`,
      );
    }
    if (count === 0) return;
    this.#endPass();
    this.#encoder ??= this.device.createCommandEncoder();
    const bytes = (byteLength([count], from.dtype) + 3) & ~3;
    const source = from.offset + byteLength([start], from.dtype);
    const target = to.offset + byteLength([at], to.dtype);
    this.#encoder.copyBufferToBuffer(from.slab.buffer, source, to.slab.buffer, target, bytes);
    from.slab.lastUse = to.slab.lastUse = this.submits;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #createBuffer(bytes: number): GPUBuffer {
    const limit = this.device.limits.maxBufferSize;
    if (bytes > limit) {
      throw new GpuError(`Cannot allocate ${bytes} bytes: expected at most ${limit} (maxBufferSize)`);
    }
    return this.#errors.scoped(
      "out-of-memory",
      `allocating ${bytes} bytes`,
      undefined,
      () =>
        this.device.createBuffer({
          label: `slab of ${bytes} bytes`,
          size: bytes,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        }),
    );
  }

  #pipeline(spec: KernelSpec): Pipeline {
    const key = kernelKey(spec);
    let made = this.#pipelines.get(key);
    if (!made) {
      this.#kernels.add(spec.name);
      this.#pipelines.set(key, made = this.#compile(spec));
    }
    return made;
  }

  #compile(spec: KernelSpec): Pipeline {
    const lacking = spec.features?.find((feature) => !this.features.has(feature));
    if (lacking) {
      throw new GpuError(`Cannot run ${spec.name}: it needs ${lacking}, which ${this.info.name} lacks`, {
        kernel: spec.name,
      });
    }
    const enable = [
      spec.features?.includes("subgroups") && this.info.enableSubgroups && "enable subgroups;",
      spec.features?.includes("shader-f16") && "enable f16;",
    ].filter(Boolean).join("\n");
    const uniformBytes = Math.max(16, Math.ceil(spec.uniforms.length / 4) * 16);
    return this.#errors.scoped("validation", `compiling kernel ${spec.name}`, spec.name, () => {
      const layout = this.device.createBindGroupLayout({
        label: spec.name,
        entries: [
          {
            binding: 0,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: uniformBytes },
          },
          ...spec.storage.map((access, i): GPUBindGroupLayoutEntry => ({
            binding: i + 1,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: access === "read" ? "read-only-storage" : "storage" },
          })),
        ],
      });
      const pipeline = this.device.createComputePipeline({
        label: spec.name,
        layout: this.device.createPipelineLayout({ label: spec.name, bindGroupLayouts: [layout] }),
        compute: {
          module: this.device.createShaderModule({ label: spec.name, code: kernelCode(spec, enable) }),
          entryPoint: "main",
          constants: { ...spec.overrides },
        },
      });
      return { pipeline, layout, groups: new Map(), uniformBytes };
    });
  }

  #bindGroup(spec: KernelSpec, { layout, uniformBytes }: Pipeline, storage: readonly Tensor[]): GPUBindGroup {
    if (++this.#groups > MOST_GROUPS) {
      for (const { groups } of this.#pipelines.values()) groups.clear();
      this.#groups = 1;
    }
    return this.device.createBindGroup({
      label: spec.name,
      layout,
      entries: [
        { binding: 0, resource: { buffer: this.#arena, size: uniformBytes } },
        ...storage.map((tensor, i) => ({
          binding: i + 1,
          resource: { buffer: tensor.slab.buffer, offset: tensor.offset, size: bindingBytes(tensor) },
        })),
      ],
    });
  }

  #check(spec: KernelSpec, storage: readonly Tensor[], grid: readonly number[]): void {
    const refuse = (why: string): never => {
      throw new GpuError(`Cannot run ${spec.name}: ${why}`, { kernel: spec.name });
    };
    if (storage.length !== spec.storage.length) {
      refuse(`got ${storage.length} tensors, expected ${spec.storage.length}`);
    }
    const { bindingBytes: bytes, device: { limits: { maxComputeWorkgroupsPerDimension: groups } } } = this;
    for (const tensor of storage) {
      if (tensor.disposed) refuse(`a tensor of shape [${tensor.shape.join(", ")}] was disposed`);
      if (bindingBytes(tensor) > bytes) {
        refuse(`a binding of ${bindingBytes(tensor)} bytes, expected at most ${bytes}`);
      }
    }
    if (grid.some((n) => n > groups)) refuse(`grid ${grid.join(" × ")}, expected at most ${groups} an axis`);
  }
}

/** Bytes bound for `tensor`: whole vectors of four words, which the slab's rounding always holds. */
function bindingBytes(tensor: Tensor): number {
  return Math.max(16, Math.ceil(tensor.byteLength / 16) * 16);
}
