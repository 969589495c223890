import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./embedding_backward.wgsl" with { type: "text" };

/**
 * Sum of the gradients of the tokens that read a row, added to what the row holds.
 *
 * Error of an element that m tokens read: at most `EPS · √(m + 1) · (|old| + Σ|dx|)`.
 */
export const embeddingBackward: KernelSpec = {
  name: "embedding_backward",
  source,
  storage: ["read", "read", "read", "read_write"],
  uniforms: [["segments", "u32"], ["d", "u32"], ["first", "u32"], ["rows", "u32"]],
  workgroups: ({ segments, d }) => linearGrid(Math.ceil(segments * d / 64)),
};
