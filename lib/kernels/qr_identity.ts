import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./qr_identity.wgsl" with { type: "text" };

/** The first columns of the identity, transposed; exact. */
export const qrIdentitySpec: KernelSpec = {
  name: "qr_identity",
  source,
  storage: ["read_write"],
  uniforms: [["columns", "u32"], ["ld", "u32"], ["batch", "u32"]],
  workgroups: ({ columns, ld, batch }) => linearGrid(Math.ceil(batch * columns * ld / 64)),
};
