/** The whole kernel suite, one line a kernel: what `tests/browser/kernels_test.ts` runs in Chromium. */
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Cases of all kernels. */
export const allCases: readonly KernelCase[] = [];
