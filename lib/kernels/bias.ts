import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./bias.wgsl" with { type: "text" };

/** `y[i, j] = x[i, j] + b[j]`. Error: eps |y|. */
export const biasSpec: KernelSpec = {
  name: "bias",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["size", "u32"], ["d", "u32"]],
  workgroups: ({ size }) => linearGrid(Math.ceil(size / 64)),
};
