/** Which adapter to open: a kind, or a part of the adapter's name (case does not matter). */
export type AdapterPreference = "any" | "hardware" | "software" | (string & Record<never, never>);

/** What an adapter says of itself. */
export interface AdapterInfo {
  /** Description, or vendor and architecture where there is none. */
  readonly name: string;
  /**
   * All that the adapter tells of its hardware and driver: vendor, architecture, device, description. WebGPU has no field
   * for a driver's version; only some descriptions name it, as llvmpipe's does.
   */
  readonly driver: string;
  /** True for drivers that compute on the CPU. */
  readonly isSoftware: boolean;
  /** Invocations of a subgroup where all subgroups are of one size, else 0. */
  readonly subgroupSize: number;
  /** Whether this engine's WGSL wants `enable subgroups;`. */
  readonly enableSubgroups: boolean;
}

/**
 * The environment variable `name`, or undefined where there is no environment or no permission to read it.
 * Goes through Node's `process`, which Deno has as well and a browser has not.
 */
export function environment(name: string): string | undefined {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return process?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

/** Whether an adapter computes on the CPU, by its own word or by the names of the known software drivers. */
export function isSoftwareAdapter(info: GPUAdapterInfo): boolean {
  const flag = (info as GPUAdapterInfo & { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return flag === true || /llvmpipe|lavapipe|swiftshader|basic render/i.test(adapterName(info));
}

/** The adapter's description, or what else it tells. */
export function adapterName(info: GPUAdapterInfo): string {
  return info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(" ") ||
    "unnamed adapter";
}

/** Vendor, architecture, device and description of an adapter, as far as it tells them. */
export function adapterDriver({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return [vendor, architecture, device, description].filter(Boolean).join(" ");
}
