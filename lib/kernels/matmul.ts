import type { KernelSpec } from "../gpu/kernel.ts";
import plain from "./matmul_plain.wgsl" with { type: "text" };

/** One output an invocation; right on any device and for any size. */
export const matmulPlain: KernelSpec = {
  name: "matmul_plain",
  source: plain,
  storage: ["read", "read", "read_write"],
  uniforms: [
    ["m", "u32"],
    ["n", "u32"],
    ["k", "u32"],
    ["a_row", "u32"],
    ["a_sum", "u32"],
    ["b_sum", "u32"],
    ["b_column", "u32"],
    ["accumulate", "u32"],
    ["scale", "f32"],
  ],
  workgroups: ({ m, n, batch }) => [Math.ceil(n / 16), Math.ceil(m / 16), batch],
};
