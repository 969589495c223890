/** Which adapter to open: a kind, or a part of the adapter's name (case does not matter). */
export type AdapterPreference = "any" | "hardware" | "software" | (string & Record<never, never>);

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
