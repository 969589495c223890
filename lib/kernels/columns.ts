import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./columns.wgsl" with { type: "text" };

/** Copies `width` neighbouring columns of one matrix into another of as many rows. Exact. */
export const columnsSpec: KernelSpec = {
  name: "columns",
  source,
  storage: ["read", "read_write"],
  uniforms: [
    ["n", "u32"],
    ["width", "u32"],
    ["wide", "u32"],
    ["from_column", "u32"],
    ["broad", "u32"],
    ["to_column", "u32"],
  ],
  workgroups: ({ n, width }) => linearGrid(Math.ceil(n * width / 64)),
};
