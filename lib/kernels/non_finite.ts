import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./non_finite.wgsl" with { type: "text" };

/** Whether x holds NaN or infinity, as one bit; exact. */
export const nonFiniteSpec: KernelSpec = {
  name: "non_finite",
  source,
  storage: ["read", "read_write"],
  uniforms: [["n", "u32"], ["at", "u32"]],
  workgroups: ({ n }) => linearGrid(Math.ceil(n / 256)),
};
