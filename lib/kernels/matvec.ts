import type { DType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid, once } from "../gpu/kernel.ts";
import { unroll } from "../gpu/unroll.ts";
import source from "./matvec.wgsl" with { type: "text" };
import { readFours } from "./read_weight.ts";

/** Consts of `matvecSpec`. */
export interface MatvecOptions {
  /** How W is stored. */
  dtype: DType;
  /** Invocations of a workgroup. */
  lanes: number;
  /** Rows of W of a workgroup, at most `lanes`. */
  rows: number;
  /** Whether y is added to. */
  accumulate: boolean;
}

/**
 * `y = scale · W x`, W read as it is stored. A lane sums in ascending k, so an entry is off by at most
 * eps · √in · Σ|terms|.
 */
export function matvecSpec({ dtype, lanes, rows, accumulate }: MatvecOptions): KernelSpec {
  const words = readFours(dtype, "w");
  const consts = { LANES: lanes, ROWS: rows, FORMAT: words.format, ACCUMULATE: Number(accumulate) };
  return once(`matvec ${Object.values(consts)}`, () => ({
    name: "matvec",
    source: words.source + unroll(source, consts),
    consts,
    storage: ["read", "read", "read_write"],
    uniforms: [["out", "u32"], ["width", "u32"], ["scale", "f32"]],
    workgroups: ({ out }) => linearGrid(Math.ceil(out / rows)),
  }));
}
