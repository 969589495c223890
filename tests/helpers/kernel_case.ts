/**
 * The form of a kernel's test cases. They are data, kept in `tests/kernels/<name>_cases.ts`, so that Deno's test
 * runner and a browser page run the same ones.
 */
import type { Gpu } from "../../lib/gpu/gpu.ts";

/** One comparison of a kernel with its float64 twin. `run` throws on failure and uses only web APIs. */
export interface KernelCase {
  kernel: string;
  name: string;
  run(gpu: Gpu): Promise<void>;
}

/** What a case is called in reports, here and in the browser. */
export function title(c: KernelCase): string {
  return `${c.kernel}: ${c.name}`;
}
