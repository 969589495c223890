import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import { unroll } from "../gpu/unroll.ts";
import source from "./qr_panel.wgsl" with { type: "text" };

/** Most columns of a panel, the length of arrays in the kernel. */
export const PANEL = 32;

const CONSTS = { FOUR: 4 };

/**
 * Householder reflectors of up to 32 columns, a matrix by one workgroup; the panel does not leave the device.
 *
 * Error: that of Householder's QR, a backward error of a column of order eps √m times its norm (Higham 2002, theorem
 * 19.4, with √ for roundings of random sign).
 */
export function qrPanelSpec(invocations: number): KernelSpec {
  return {
    name: "qr_panel",
    source: unroll(source, CONSTS),
    consts: CONSTS,
    storage: ["read_write", "read_write", "read_write"],
    uniforms: [["ld", "u32"], ["columns", "u32"], ["first", "u32"], ["count", "u32"], ["batch", "u32"]],
    overrides: { WG: invocations },
    workgroups: ({ batch }) => linearGrid(batch),
  };
}
