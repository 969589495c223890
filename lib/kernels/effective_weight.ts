import type { DType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./effective_weight.wgsl" with { type: "text" };

/** Four elements of W as words, and what widens them. */
const WIDEN: Partial<Record<DType, string>> = {
  f32: "alias Words = vec4f;\nfn widen(w: Words) -> vec4f { return w; }\n",
  f16: `alias Words = vec2u;
fn widen(w: Words) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }
`,
  bf16: `alias Words = vec2u;
fn widen(w: Words) -> vec4f { return bitcast<vec4f>(vec4u(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u)); }
`,
};

/**
 * WGSL that names four elements of a weight of `dtype`, `Words`, and makes them f32, `widen`; with a number of its own.
 *
 * @throws {TypeError} If `dtype` is none of f32, f16 and bf16.
 */
export function widenWords(dtype: DType): { source: string; format: number } {
  const source = WIDEN[dtype];
  if (source === undefined) {
    throw new TypeError(`Cannot read a weight stored as ${dtype}: expected f32, f16 or bf16`);
  }
  return { source, format: Object.keys(WIDEN).indexOf(dtype) };
}

/**
 * W stored in `dtype` as f32, and the factors of what an adapter has moved by. Widening is exact; a difference has an
 * error of eps / 2 of itself.
 *
 * @param width Elements of the factors read at once: 4 where r is a multiple of 4, else 1. `a_size`, `b_size` and `r`
 * count such groups.
 */
export function effectiveWeightSpec(dtype: DType, width: 1 | 4): KernelSpec {
  const widen = widenWords(dtype);
  return {
    name: "effective_weight",
    source: `alias Factor = ${width === 4 ? "vec4f" : "f32"};\n${widen.source}${source}`,
    storage: ["read", "read", "read", "read", "read", "read_write", "read_write", "read_write"],
    consts: { FORMAT: widen.format, WIDTH: width },
    uniforms: [["quads", "u32"], ["a_size", "u32"], ["b_size", "u32"], ["r", "u32"]],
    workgroups: ({ quads, a_size, b_size }) => linearGrid(Math.ceil(Math.max(quads, a_size, b_size) / 64)),
  };
}
