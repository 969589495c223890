import type { KernelSpec } from "../gpu/kernel.ts";
import { type AttentionBuild, attentionSpec } from "./attention.ts";
import source from "./attention_backward_queries.wgsl" with { type: "text" };

/**
 * Attention's gradient with respect to the queries.
 *
 * A weight p is off by p · w, w = E + `EPS` · √(c + 2) · (|log_sum_exp| + Σ|q k| / √c) with E = 33 `EPS` for exp; the
 * slope s = dout·v − delta by e = `EPS` · (√(c + 1) · (Σ|dout v| + 2 Σ|dout out|) + Σ|dout out|), the second for
 * delta. So dq is off by at most Σ p (w |s| + e) |k| / √c + `EPS` · √n · Σ p |s k| / √c over the n keys seen.
 */
export function attentionBackwardQueries(build: AttentionBuild): KernelSpec {
  const read = ["read", "read", "read", "read", "read", "read"] as const;
  return attentionSpec("attention_backward_queries", source, [...read, "read_write", "read_write"], build);
}
