import type { KernelSpec } from "../gpu/kernel.ts";
import { type AttentionBuild, attentionSpec } from "./attention.ts";
import source from "./attention_backward_keys.wgsl" with { type: "text" };

/** Attention's gradients with respect to the keys and the values. */
export function attentionBackwardKeys(build: AttentionBuild): KernelSpec {
  const read = ["read", "read", "read", "read", "read", "read"] as const;
  return attentionSpec("attention_backward_keys", source, [...read, "read_write", "read_write"], build);
}
