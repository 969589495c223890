/** The page that runs the kernel suite: bundled by `kernels_test.ts`, driven through `globalThis.suite`. */
import { openDevice } from "../../lib/gpu/device.ts";
import { title } from "../helpers/kernel_case.ts";
import { allCases } from "../kernels/all_cases.ts";

/** What the test calls. */
export interface Suite {
  /** Titles of the cases, in order. */
  titles: string[];
  /** Opens the device and says which adapter it is. */
  open(): Promise<string>;
  /** Runs case `i`; resolves to the message of its failure or to null. */
  run(i: number): Promise<string | null>;
}

let gpu: Awaited<ReturnType<typeof openDevice>>;

const suite: Suite = {
  titles: allCases.map(title),
  async open() {
    gpu = await openDevice();
    return gpu.info.name;
  },
  async run(i) {
    const before = gpu.liveBytes;
    try {
      await allCases[i].run(gpu);
      return gpu.liveBytes === before ? null : `left ${gpu.liveBytes - before} bytes of device memory alive`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  },
};

(globalThis as typeof globalThis & { suite: Suite }).suite = suite;
