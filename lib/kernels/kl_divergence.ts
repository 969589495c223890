import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./kl_divergence.wgsl" with { type: "text" };

/**
 * Kullback–Leibler divergence of rows of logits, f32.
 *
 * With E = 33 `EPS` for `exp` (see `cross_entropy`), a log-probability is off by
 * `τ = EPS · √v + 2 E + 10 · EPS + EPS · (|logit − max| + |log Σ|)`, t by the τ of both sides. A term of |t| < ½ is off
 * by `(E + τ + 8 · EPS) p f + |p − q| τ` with f = t + exp(−t) − 1 >= 0, another by
 * `(E + τ + 2 · EPS) (p |t − 1| + q) + p τ`, and their sum by `EPS · √v` of their sizes besides.
 */
export const klDivergence: KernelSpec = spec("kl_divergence", 128);

/** The same for software adapters, one subgroup a row, as `crossEntropySoftware`. */
export const klDivergenceSoftware: KernelSpec = spec("kl_divergence_software", 8);

function spec(name: string, WG: number): KernelSpec {
  return {
    name,
    source,
    overrides: { WG },
    storage: ["read", "read", "read", "read_write"],
    uniforms: [["first", "u32"], ["rows", "u32"], ["v", "u32"]],
    workgroups: ({ rows }) => linearGrid(rows),
  };
}
