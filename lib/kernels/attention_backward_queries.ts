import type { KernelSpec } from "../gpu/kernel.ts";
import { type AttentionBuild, attentionSpec } from "./attention.ts";
import source from "./attention_backward_queries.wgsl" with { type: "text" };

/** Attention's gradient with respect to the queries. */
export function attentionBackwardQueries(build: AttentionBuild): KernelSpec {
  const read = ["read", "read", "read", "read", "read", "read"] as const;
  return attentionSpec("attention_backward_queries", source, [...read, "read_write", "read_write"], build);
}
