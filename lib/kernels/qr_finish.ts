import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./qr_finish.wgsl" with { type: "text" };

/** Q and the triangle of R in their final layout, signs and scale, or of their first `rows` rows; exact. */
export const qrFinishSpec: KernelSpec = {
  name: "qr_finish",
  source,
  storage: ["read", "read", "read", "read_write", "read_write"],
  uniforms: [["m", "u32"], ["n", "u32"], ["ld", "u32"], ["columns", "u32"], ["width", "u32"]],
  workgroups: ({ rows, width }) => linearGrid(Math.ceil(rows * width / 64)),
};
