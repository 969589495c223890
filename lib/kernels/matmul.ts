import type { DType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid, once } from "../gpu/kernel.ts";
import { unroll } from "../gpu/unroll.ts";
import block from "./matmul_block.wgsl" with { type: "text" };
import operands from "./matmul_operands.wgsl" with { type: "text" };
import own from "./matmul_own.wgsl" with { type: "text" };
import share from "./matmul_share.wgsl" with { type: "text" };
import sum from "./matmul_sum.wgsl" with { type: "text" };
import tile from "./matmul_tile.wgsl" with { type: "text" };
import { readElements, readFours } from "./read_weight.ts";

/**
 * Kernels of the matrix product. All accumulate in f32 in ascending k, so an entry is off by at most
 * eps · √k · Σ|terms| (and once that for a sum in ranges, whose √ is smaller). B may be a weight in any form that one is
 * stored in, and is widened, exactly but for the rounding of blocks with a minimum, as it is read.
 */

/** Consts of the `share` kernel: see `matmul_share.wgsl`. */
export interface ShareOptions {
  /** Invocations of a subgroup. */
  lanes: number;
  /** Rows of a workgroup's tile. */
  rows: number;
  /** Columns of one lane, a multiple of 4. */
  columns: number;
  /** Whether k is the outer axis of A. */
  aByK: boolean;
  /** Whether k is the outer axis of B. */
  bByK: boolean;
  /** Whether c is added to. */
  accumulate: boolean;
  /** Whether c is stored `[n, m]`. */
  turned: boolean;
  /** How B is stored. */
  dtype: DType;
}

/** Subgroups hand round the elements of A; for software adapters. */
export function matmulShare(options: ShareOptions): KernelSpec {
  const { lanes, rows, columns, aByK, bByK, accumulate, turned } = options;
  const weight = readFours(options.dtype, "b");
  const consts = {
    LANES: lanes,
    TM: rows,
    TN: columns / 4,
    STEP: 4,
    A_LOADS: rows / lanes,
    QUADS: rows / 4,
    A_BY_K: Number(aByK),
    B_BY_K: Number(bByK),
    ACCUMULATE: Number(accumulate),
    C_TURNED: Number(turned),
    FORMAT: weight.format,
    PART: weight.part,
    LANE_STEP: bByK ? columns : 4,
    VEC_STEP: bByK ? 4 : 4 * lanes,
  };
  const name = "matmul_share";
  return once(`${name} ${Object.values(consts)}`, () => ({
    name,
    source: weight.source + unroll(share, consts),
    consts,
    storage: ["read", "read", "read_write"],
    features: ["subgroups"],
    uniforms: [["m", "u32"], ["n", "u32"], ["k", "u32"], ["scale", "f32"]],
    workgroups: ({ m, n, batch }) => [Math.ceil(m / rows), Math.ceil(n / (lanes * columns)), batch],
  }));
}

/** A register tile for each invocation, scalar loads; any device, any size. */
export function matmulOwn(dtype: DType): KernelSpec {
  const weight = readElements(dtype, "b");
  const consts = { TM: 8, TN: 8, STEP: 2, FORMAT: weight.format };
  const name = "matmul_own";
  return once(`${name} ${Object.values(consts)}`, () => ({
    name,
    source: weight.source + unroll(own, consts),
    consts,
    storage: ["read", "read", "read_write"],
    uniforms: [
      ["m", "u32"],
      ["n", "u32"],
      ["k", "u32"],
      ["a_row", "u32"],
      ["a_k", "u32"],
      ["b_k", "u32"],
      ["b_column", "u32"],
      ["c_row", "u32"],
      ["c_column", "u32"],
      ["accumulate", "u32"],
      ["scale", "f32"],
    ],
    workgroups: ({ m, n, batch }) => [Math.ceil(n / (8 * consts.TN)), Math.ceil(m / (4 * consts.TM)), batch],
  }));
}

/** Consts of the `tile` kernel: see `matmul_tile.wgsl`. */
export interface TileOptions {
  /** Rows and columns of a workgroup's tile: 16, 32, 48 or 64; of `block` 64 or 128. */
  size: number;
  /** Whether k is the outer axis of A. */
  aByK: boolean;
  /** Whether k is the outer axis of B. */
  bByK: boolean;
  /** How B is stored. */
  dtype: DType;
  /** Whether B is read by fours along its inner axis, a multiple of 4. */
  byFours: boolean;
}

/** Blocks of both operands in workgroup memory; for GPUs. */
export function matmulTile(options: TileOptions): KernelSpec {
  const consts = { R: options.size / 16, KT: 16, B_FOURS: Number(options.byFours), FOUR: 4 };
  return blocked("matmul_tile", tile, options, consts);
}

/** Larger blocks, read by fours: at 64 rows and columns 16 products for two reads of workgroup memory, at 128 64 for four. */
export function matmulBlock(options: TileOptions): KernelSpec {
  const consts = { G: options.size / 64, KT: 8, LOADS: options.size / 32, FOUR: 4 };
  return blocked("matmul_block", block, options, consts);
}

function blocked(
  name: string,
  text: string,
  { size, aByK, bByK, dtype }: TileOptions,
  own: Readonly<Record<string, number>>,
): KernelSpec {
  const weight = readElements(dtype, "b");
  const consts = { ...own, A_BY_K: Number(aByK), B_BY_K: Number(bByK), FORMAT: weight.format };
  return once(`${name} ${Object.values(consts)}`, () => ({
    name,
    source: weight.source + unroll(`${operands}\n${text}`, consts),
    consts,
    storage: ["read", "read", "read_write"],
    uniforms: [
      ["m", "u32"],
      ["n", "u32"],
      ["k", "u32"],
      ["splits", "u32"],
      ["span", "u32"],
      ["accumulate", "u32"],
      ["scale", "f32"],
    ],
    workgroups: ({ m, n, batch, splits }) => [Math.ceil(n / size), Math.ceil(m / size), batch * splits],
  }));
}

/** Adds up the partial products of a `tile` product whose sum was split. */
export const matmulSum: KernelSpec = {
  name: "matmul_sum",
  source: sum,
  storage: ["read", "read_write"],
  uniforms: [["size", "u32"], ["splits", "u32"], ["accumulate", "u32"], ["scale", "f32"]],
  workgroups: ({ size, batch }) => {
    const [x, y] = linearGrid(Math.ceil(size / 64));
    return [x, y, batch];
  },
};
