import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./qr_load.wgsl" with { type: "text" };

/**
 * The first columns of w, transposed and scaled by powers of two, so that no square under- or overflows. Exact, but
 * for entries 2⁻¹²⁶ times smaller than their column's largest.
 */
export const qrLoadSpec: KernelSpec = {
  name: "qr_load",
  source,
  storage: ["read", "read_write", "read_write", "read_write"],
  uniforms: [["m", "u32"], ["n", "u32"], ["ld", "u32"], ["columns", "u32"], ["at", "u32"]],
  workgroups: ({ columns }) => linearGrid(columns),
};
