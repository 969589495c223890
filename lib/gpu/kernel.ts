/** Kind of a uniform value. */
export type UniformType = "u32" | "f32";

/** Optional abilities of a device that a kernel may ask for. */
export type GpuFeature = "subgroups" | "shader-f16" | "timestamp-query";

/**
 * A kernel as plain data. Its WGSL declares `struct Uniforms` with the fields of `uniforms` in order,
 * `@group(0) @binding(0) var<uniform> u: Uniforms`, and storage buffers at bindings 1, 2, … in the order
 * of `storage`; its entry point is `main`.
 */
export interface KernelSpec {
  /** Unique name, also the label in errors. */
  readonly name: string;
  /** WGSL text. */
  readonly source: string;
  /** Access of each storage binding. */
  readonly storage: readonly ("read" | "read_write")[];
  /** Fields of the uniform struct, in order; each is four bytes. */
  readonly uniforms: readonly (readonly [name: string, type: UniformType])[];
  /** Lines `const NAME = value;` prepended to the source (sizes of arrays in registers). */
  readonly consts?: Readonly<Record<string, number>>;
  /** Values of `override` constants (workgroup and tile sizes). */
  readonly overrides?: Readonly<Record<string, number>>;
  /** Features that the kernel cannot do without. */
  readonly features?: readonly GpuFeature[];
  /** Workgroups for these uniforms; zero in any axis means nothing to do. */
  readonly workgroups: (uniforms: Readonly<Record<string, number>>) => readonly [number, number, number];
}

/** What tells two compiled kernels apart. */
export function kernelKey(spec: KernelSpec): string {
  return JSON.stringify([spec.name, spec.consts ?? {}, spec.overrides ?? {}]);
}

/** The WGSL that is compiled: header lines that the engine wants, constants, source. */
export function kernelCode(spec: KernelSpec, enableLines: string): string {
  const consts = Object.entries(spec.consts ?? {}).map(([name, value]) => `const ${name} = ${value};`);
  return [enableLines, ...consts, spec.source].filter(Boolean).join("\n");
}

/**
 * Splits `count` workgroups over two grid axes, as one axis holds at most 65535. The kernel finds its index as
 * `workgroup_id.x + workgroup_id.y * num_workgroups.x` and returns when it is past the end.
 */
export function linearGrid(count: number): [number, number, number] {
  if (count <= 65535) return [count, count ? 1 : 0, 1];
  const y = Math.ceil(count / 65535);
  return [Math.ceil(count / y), y, 1];
}

const made = new Map<string, KernelSpec>();

/** The spec called `key`, made at its first use: writing out loops takes longer than a dispatch. */
export function once(key: string, make: () => KernelSpec): KernelSpec {
  let spec = made.get(key);
  if (!spec) made.set(key, spec = make());
  return spec;
}
