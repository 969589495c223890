import { GpuError } from "../core/errors.ts";
import { Gpu } from "./gpu.ts";
import type { GpuFeature } from "./kernel.ts";
import {
  adapterDriver,
  adapterName,
  type AdapterPreference,
  environment,
  isSoftwareAdapter,
} from "./preference.ts";
import { selfTest } from "./self_test.ts";

/** Options of `openDevice`. */
export interface DeviceOptions {
  /** Which adapter; default: the environment variable `OLORA_ADAPTER`, else any, hardware first. */
  adapter?: AdapterPreference;
}

/**
 * Opens a GPU: picks an adapter (hardware before software), asks for its own limits, finds optional features by
 * trying, and tests that it computes correctly.
 *
 * @throws {GpuError} If no adapter fits, or if the device fails the self-test; the message names what was
 * looked for, or the kernel that computed wrongly.
 *
 * @example Usage
 * ```ts ignore
 * import { openDevice } from "@olora/kit";
 *
 * using gpu = await openDevice();
 * console.log(gpu.info.name);
 * ```
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Gpu> {
  const wanted = options.adapter ?? environment("OLORA_ADAPTER") ?? "any";
  const adapter = await findAdapter(wanted);
  const { device, subgroups } = await request(adapter);
  const enableSubgroups = subgroups && await compiles(device, "enable subgroups;");
  const features = new Set<GpuFeature>(
    (["shader-f16", "timestamp-query"] as const).filter((feature) => device.features.has(feature)),
  );
  if (subgroups && await compiles(device, enableSubgroups ? "enable subgroups;" : "", "subgroupAdd(1u)")) {
    features.add("subgroups");
  }
  const { subgroupMinSize: low = 0, subgroupMaxSize: high = low } = adapter.info as GPUAdapterInfo & {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  };
  const gpu = new Gpu(device, {
    name: adapterName(adapter.info),
    driver: adapterDriver(adapter.info),
    isSoftware: isSoftwareAdapter(adapter.info),
    subgroupSize: features.has("subgroups") && low === high ? low : 0,
    enableSubgroups,
  }, features);
  await selfTest(gpu);
  return gpu;
}

/** All adapters that the engine gives for its known requests, hardware first, each once. */
export async function listAdapters(): Promise<GPUAdapter[]> {
  const found = new Map<string, GPUAdapter>();
  for (
    const request of [
      { powerPreference: "high-performance" },
      { powerPreference: "low-power" },
      { forceFallbackAdapter: true },
    ] satisfies GPURequestAdapterOptions[]
  ) {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter(request);
    if (adapter && !found.has(adapterName(adapter.info))) found.set(adapterName(adapter.info), adapter);
  }
  return [...found.values()].sort((a, b) =>
    Number(isSoftwareAdapter(a.info)) - Number(isSoftwareAdapter(b.info))
  );
}

/** Restarting matters: a process whose Vulkan loader failed once never sees an adapter again. */
const CURE =
  "install a GPU driver (Debian, Ubuntu: apt-get install -y libvulkan1 mesa-vulkan-drivers) and restart " +
  "this process or notebook kernel; `deno task setup` says what is missing";

async function findAdapter(wanted: AdapterPreference): Promise<GPUAdapter> {
  silenceLoader();
  const adapters = await listAdapters();
  const fits = adapters.find(({ info }) => {
    if (wanted === "any") return true;
    if (wanted === "software" || wanted === "hardware") {
      return isSoftwareAdapter(info) === (wanted === "software");
    }
    return adapterName(info).toLowerCase().includes(wanted.toLowerCase());
  });
  if (fits) return fits;
  const found = adapters.map(({ info }) => adapterName(info)).join(", ") || "none";
  const cure = adapters.length ? "" : `; ${CURE}`;
  throw new GpuError(`Cannot open a GPU: asked for adapter "${wanted}", found ${found}${cure}`);
}

/** Mesa complains on stderr when this is not set, whatever it points to. */
function silenceLoader(): void {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string>; platform?: string } };
    if (process?.platform === "linux" && process.env && !process.env.XDG_RUNTIME_DIR) {
      process.env.XDG_RUNTIME_DIR = "/tmp";
    }
  } catch {
    // Without the permission to set it the complaint stays; nothing else depends on it.
  }
}

/** Deno gives subgroups without listing them, so they are asked for first. */
async function request(adapter: GPUAdapter): Promise<{ device: GPUDevice; subgroups: boolean }> {
  const listed = (["shader-f16", "timestamp-query"] as GPUFeatureName[]).filter((name) =>
    adapter.features.has(name)
  );
  const requiredLimits = Object.fromEntries(
    LIMITS.map((name) => [name, adapter.limits[name]]),
  );
  const subgroups = "subgroups" as GPUFeatureName;
  try {
    const device = await adapter.requestDevice({ requiredFeatures: [...listed, subgroups], requiredLimits });
    return { device, subgroups: true };
  } catch {
    return {
      device: await adapter.requestDevice({ requiredFeatures: listed, requiredLimits }),
      subgroups: false,
    };
  }
}

const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;

async function compiles(device: GPUDevice, header: string, expression = "0u"): Promise<boolean> {
  device.pushErrorScope("validation");
  device.createShaderModule({
    label: "feature probe",
    code: `${header}
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] = ${expression}; }`,
  });
  return await device.popErrorScope() === null;
}
