import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./rotary.wgsl" with { type: "text" };

function spec(name: string, value: string): KernelSpec {
  return {
    name,
    source: `alias Value = ${value};\n${source}`,
    storage: ["read", "read", "read_write"],
    uniforms: [
      ["pairs", "u32"],
      ["t", "u32"],
      ["h", "u32"],
      ["half", "u32"],
      ["start", "u32"],
      ["direction", "f32"],
    ],
    workgroups: ({ pairs }) => linearGrid(Math.ceil(pairs / 64)),
  };
}

/**
 * Rotation of pairs of channels, for heads whose half is a multiple of 4; `half` and `pairs` count vectors of 4.
 *
 * Error of an output: at most `EPS · √2 · (|x₁ cos| + |x₂ sin|)`, and half an EPS of each for the rounded table.
 */
export const rotary: KernelSpec = spec("rotary", "vec4f");

/** The same for any even head width, one pair of channels an invocation. */
export const rotaryScalar: KernelSpec = spec("rotary_scalar", "f32");
