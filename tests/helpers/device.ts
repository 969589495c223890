/** One device per test file: opening one costs a self-test. */
import { openDevice } from "../../lib/gpu/device.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { quietLoader } from "../../lib/cli/setup.ts";
import { type KernelCase, title } from "./kernel_case.ts";

let opened: Promise<Gpu> | undefined;

/** The device that all tests of one file share; freed when the file's tests are over. */
export function testDevice(): Promise<Gpu> {
  if (opened === undefined) {
    quietLoader();
    opened = openDevice();
    opened.then((gpu) => globalThis.addEventListener("unload", () => gpu[Symbol.dispose]()), () => {});
  }
  return opened;
}

/** Registers each case as a test of its own, on the shared device, and fails one that leaves tensors alive. */
export function testCases(cases: readonly KernelCase[]): void {
  for (const c of cases) {
    Deno.test(title(c), async () => {
      const gpu = await testDevice();
      const before = gpu.liveBytes;
      await c.run(gpu);
      if (gpu.liveBytes !== before) {
        throw new Error(`${title(c)}: left ${gpu.liveBytes - before} bytes of device memory alive`);
      }
    });
  }
}
