import { type BlockDType, type DType, isBlockDType } from "../core/dtype.ts";
import { readBlocks } from "./dequantize.ts";
import { widenWords } from "./effective_weight.ts";

/** WGSL, to prepend to a kernel, that reads a weight in the form it is stored in. */
export interface WeightText {
  /** The text. */
  readonly source: string;
  /** The kernel's const FORMAT. */
  readonly format: number;
}

/** `part` of dense weights: they have no scales, so all of a row has the same. */
const ENDLESS = 2 ** 30;

/**
 * Fours: `alias Words`, the element type of the storage array `binding`; `four(i)`, elements i to i + 3 as f32 for i a
 * multiple of 4; and the same in two steps for loops, `scales(i)` and `four_scaled(i, scales)`, where the scales are
 * those of each i in the same `part` of a row.
 */
export function readFours(dtype: DType, binding: string): WeightText & { readonly part: number } {
  return isBlockDType(dtype) ? blocks(dtype, binding) : dense(dtype, binding);
}

/** Single elements: `alias Words`, `one(i)`, element i as f32, and `four(i)`. */
export function readElements(dtype: DType, binding: string): WeightText {
  if (dtype === "f32") {
    return {
      source: `alias Words = f32;
fn one(i: u32) -> f32 { return ${binding}[i]; }
fn four(i: u32) -> vec4f { return vec4f(one(i), one(i + 1u), one(i + 2u), one(i + 3u)); }
`,
      format: 0,
    };
  }
  const { source, format } = readFours(dtype, binding);
  return { source: `${source}fn one(i: u32) -> f32 { return four(i - i % 4u)[i % 4u]; }\n`, format };
}

function blocks(dtype: BlockDType, binding: string) {
  const { source, format } = readBlocks(dtype);
  return {
    source: `alias Words = u32;
fn word(i: u32) -> u32 { return ${binding}[i]; }
${source}
fn four(i: u32) -> vec4f { return four_of_blocks(i); }
fn scales(i: u32) -> vec2f { return scales_of_blocks(i); }
fn four_scaled(i: u32, scales: vec2f) -> vec4f { return scaled(scales, quants_of_blocks(i)); }
`,
    format,
    part: dtype === "q6_k" ? 16 : 32,
  };
}

function dense(dtype: DType, binding: string) {
  const { source, format } = widenWords(dtype);
  return {
    source: `${source}fn four(i: u32) -> vec4f { return widen(${binding}[i / 4u]); }
fn scales(i: u32) -> vec2f { return vec2f(); }
fn four_scaled(i: u32, scales: vec2f) -> vec4f { return four(i); }
`,
    format,
    part: ENDLESS,
  };
}
