import type { KernelSpec } from "../gpu/kernel.ts";
import { type AttentionBuild, attentionSpec } from "./attention.ts";
import source from "./attention_backward_keys.wgsl" with { type: "text" };

/**
 * Attention's gradients with respect to the keys and the values.
 *
 * With w and e as in `attentionBackwardQueries`, and n the queries of the group that see a key, dv is off by at most
 * Σ p w |dout| + `EPS` · √n · Σ p |dout|, dk by Σ p (w |s| + e) |q| / √c + `EPS` · √n · Σ p |s q| / √c.
 */
export function attentionBackwardKeys(build: AttentionBuild): KernelSpec {
  const read = ["read", "read", "read", "read", "read", "read"] as const;
  return attentionSpec("attention_backward_keys", source, [...read, "read_write", "read_write"], build);
}
