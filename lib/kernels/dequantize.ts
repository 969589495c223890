import { type BlockDType, blockDTypes } from "../core/dtype.ts";
import { NF4_LEVELS } from "../core/nf4.ts";
import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import four from "./dequantize_four.wgsl" with { type: "text" };
import source from "./dequantize.wgsl" with { type: "text" };

const LEVELS = `var<private> NF4 = array<f32, 16>(${NF4_LEVELS.join(", ")});\n`;

/** What reads four elements of blocks: WGSL to prepend, and the number of `dtype` for its const FORMAT. */
export function readBlocks(dtype: BlockDType): { source: string; format: number } {
  return { source: LEVELS + four, format: 3 + blockDTypes.indexOf(dtype) };
}

/** Blocks of `dtype` as f32; exact but for one rounding of a sum, which f32 arithmetic on the host gives too. */
export function dequantizeKernel(dtype: BlockDType): KernelSpec {
  const blocks = readBlocks(dtype);
  return {
    name: "dequantize",
    source: blocks.source + source,
    consts: { FORMAT: blocks.format },
    storage: ["read", "read_write"],
    uniforms: [["quads", "u32"]],
    workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
  };
}
