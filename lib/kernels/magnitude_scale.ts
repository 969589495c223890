import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./magnitude_scale.wgsl" with { type: "text" };

/** `y = x m / norm` along the middle axis. Error: 3 eps |y| (WGSL grants the division 2.5 eps); none where m = norm. */
export const magnitudeScaleSpec: KernelSpec = {
  name: "magnitude_scale",
  source,
  storage: ["read", "read", "read", "read_write"],
  uniforms: [["size", "u32"], ["d", "u32"], ["inner", "u32"]],
  workgroups: ({ size }) => linearGrid(Math.ceil(size / 64)),
};
