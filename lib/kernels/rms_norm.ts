import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./rms_norm.wgsl" with { type: "text" };
import rows from "./rms_norm_rows.wgsl" with { type: "text" };

/** How a norm's kernels go over a row of `d` features. */
export interface RowLayout {
  /** Invocations that share a row, a power of two up to 64. */
  lanes: number;
  /** Features read at once: 4 where d is a multiple of 4, else 1. */
  width: 1 | 4;
}

/**
 * `h = x + delta`, `y = w h / √(mean(h²) + eps)` for each row.
 *
 * Error of y: (eps √d / 2 + 6 eps) |y| beyond what h's own rounding makes of it, as all terms of the mean are
 * positive: half of the mean's relative error, `sqrt` and the division (2.5 eps each in WGSL), and the products.
 */
export function rmsNormSpec(layout: RowLayout): KernelSpec {
  return {
    name: "rms_norm",
    ...rowKernel(source, layout),
    storage: ["read", "read", "read", "read_write", "read_write", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["has_delta", "u32"], ["eps", "f32"]],
  };
}

/** What the spec of a kernel with `n` rows owes to how it goes over them: `rms_norm_rows.wgsl` stands before `text`. */
export function rowKernel(
  text: string,
  { lanes, width }: RowLayout,
): Pick<KernelSpec, "source" | "overrides" | "consts" | "workgroups"> {
  const [type, product] = width === 4 ? ["vec4f", "dot(a, b)"] : ["f32", "a * b"];
  const values = `alias Value = ${type};\nfn inner(a: Value, b: Value) -> f32 { return ${product}; }`;
  return {
    source: [values, rows, text].join("\n"),
    overrides: { LANES: lanes },
    consts: { WIDTH: width },
    workgroups: ({ n }) => linearGrid(Math.ceil(n * lanes / 64)),
  };
}
