import { GpuError } from "../core/errors.ts";
import { listAdapters, openDevice } from "../gpu/device.ts";
import { adapterName, isSoftwareAdapter } from "../gpu/preference.ts";
import type { Command } from "./command.ts";

/** Limits that decide what fits on a device. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
] as const;

/** `olora devices`: the adapters, what they can do, and whether they compute correctly. */
export const devices: Command = {
  summary: "adapters with their limits, features and self-test",
  usage: "[--json]",
  options: {},

  async run(_args, output) {
    const chosen = await openDevice().then((gpu) => {
      using open = gpu;
      return open.info.name;
    }, (error) => {
      output.note(error.message);
      return undefined;
    });
    const found: Record<string, unknown>[] = [];
    for (const adapter of await listAdapters()) {
      const name = adapterName(adapter.info);
      const about = {
        name,
        chosen: name === chosen,
        software: isSoftwareAdapter(adapter.info),
        limits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
        ...await test(name),
      };
      found.push(about);
      output.say(`${name}${about.software ? " (a software adapter: it computes on the CPU)" : ""}`);
      output.say(`  ${about.chosen ? "used unless OLORA_ADAPTER says otherwise" : "not used"}`);
      output.say(`  self-test ${about.selfTest}; features ${about.features.join(", ") || "none"}`);
      for (const limit of LIMITS) output.say(`  ${limit} ${adapter.limits[limit]}`);
    }
    if (!found.length) {
      throw new GpuError("Cannot list devices: found no adapter; `deno task setup` says what is missing");
    }
    return { devices: found };
  },
};

async function test(name: string): Promise<{ selfTest: string; features: string[] }> {
  try {
    using gpu = await openDevice({ adapter: name });
    return { selfTest: "passed", features: [...gpu.features].sort() };
  } catch (error) {
    return { selfTest: `failed: ${(error as Error).message}`, features: [] };
  }
}
