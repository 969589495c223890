import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attention as forwardKernel, type AttentionBuild } from "../kernels/attention.ts";
import { attentionBackwardKeys } from "../kernels/attention_backward_keys.ts";
import { attentionBackwardQueries } from "../kernels/attention_backward_queries.ts";

/** Options of `attention`. */
export interface AttentionOptions {
  /** Position of the first query; default 0. Query i sees the keys 0 to start + i. */
  start?: number;
  /** Keys that a query sees, itself the last, a whole number > 0; default all at or before it. */
  window?: number;
}

/**
 * Causal attention with grouped heads: out = softmax(q kᵀ / √c) v over the keys at or before each query; query
 * head i reads key-value head ⌊i hk / h⌋.
 *
 * f32 and deterministic for one kernel variant. No score leaves the registers: beside its result the call keeps
 * `logSumExp`, b · h · t floats, from which `attentionBackward` rebuilds the probabilities.
 *
 * Source: Vaswani et al. 2017, arXiv:1706.03762, eq. (1); grouped heads as in Ainslie et al. 2023,
 * arXiv:2305.13245, §2.2; one pass with a running maximum as in Dao et al. 2022, arXiv:2205.14135, §3.1.
 *
 * @param q f32 `[b, t, h, c]`, c even and at most 256.
 * @param k f32 `[b, s, hk, c]`, s >= start + t.
 * @param v f32 `[b, s, hk, c]`.
 * @returns `out`, f32 `[b, t, h, c]`, and `logSumExp`, the logarithms of the softmaxes' denominators, f32
 * `[b, h, t]`.
 * @throws {RangeError} If shapes disagree, e.g. `Cannot compute attention with h = 3: expected a multiple of hk = 2`.
 */
export function attention(
  gpu: Gpu,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): { out: Tensor; logSumExp: Tensor } {
  const { start = 0, window } = options;
  const axes = bindAxes("attention", {
    "q [b, t, h, c]": q.shape,
    "k [b, s, hk, c]": k.shape,
    "v [b, s, hk, c]": v.shape,
  });
  checkHeads("attention", axes);
  const { b, t, s, h, hk, c } = axes;
  if (start < 0 || start + t > s) {
    throw new RangeError(
      `Cannot compute attention of queries ${start} to ${start + t - 1}: expected at least ${
        start + t
      } keys, got ${s}`,
    );
  }
  const out = gpu.tensor(q.shape);
  const logSumExp = gpu.tensor([b, h, t]);
  gpu.run(forwardKernel(buildFor(gpu, c, window)), [q, k, v, out, logSumExp], {
    ...uniformsOf(axes, start),
    rows: h / hk * t,
  });
  return { out, logSumExp };
}

/** What `attentionBackward` takes: the inputs and results of `attention`, and the gradient of `out`. */
export interface AttentionSaved {
  /** Queries, f32 `[b, t, h, c]`. */
  q: Tensor;
  /** Keys, f32 `[b, t, hk, c]`. */
  k: Tensor;
  /** Values, f32 `[b, t, hk, c]`. */
  v: Tensor;
  /** Result, f32 `[b, t, h, c]`. */
  out: Tensor;
  /** Logarithms of the softmaxes' denominators, f32 `[b, h, t]`. */
  logSumExp: Tensor;
  /** Gradient of `out`, f32 `[b, t, h, c]`. */
  dOut: Tensor;
  /** The window that `attention` was called with. */
  window?: number;
}

/**
 * Gradients of `attention` from position 0. With P the probabilities, rebuilt from `logSumExp`, and D = Σ_c dOut out:
 * dv = Pᵀ dOut, dS = P (dOut vᵀ − D), dq = dS k / √c, dk = dSᵀ q / √c; heads of one group add up in dk and dv.
 *
 * f32, without atomics, deterministic for one kernel variant; beside its results it holds D, b · h · t floats,
 * while it runs.
 *
 * Source: Dao et al. 2022, arXiv:2205.14135, appendix B.2; queries and keys are gone through in two kernels of our
 * own, as float atomics are lacking.
 *
 * @returns `dq` f32 `[b, t, h, c]`, `dk` and `dv` f32 `[b, t, hk, c]`.
 * @throws {RangeError} If shapes disagree.
 */
export function attentionBackward(gpu: Gpu, saved: AttentionSaved): { dq: Tensor; dk: Tensor; dv: Tensor } {
  const { q, k, v, out, logSumExp, dOut } = saved;
  const axes = bindAxes("attentionBackward", {
    "q [b, t, h, c]": q.shape,
    "k [b, t, hk, c]": k.shape,
    "v [b, t, hk, c]": v.shape,
    "out [b, t, h, c]": out.shape,
    "logSumExp [b, h, t]": logSumExp.shape,
    "dOut [b, t, h, c]": dOut.shape,
  });
  checkHeads("attentionBackward", axes);
  const { b, t, h, hk, c } = axes;
  const build = buildFor(gpu, c, saved.window);
  const uniforms = uniformsOf({ ...axes, s: t }, 0);
  const [dq, dk, dv] = [gpu.tensor(q.shape), gpu.tensor(k.shape), gpu.tensor(v.shape)];
  using delta = gpu.tensor([b, h, t]);
  gpu.run(attentionBackwardQueries(build), [q, k, v, out, dOut, logSumExp, delta, dq], {
    ...uniforms,
    rows: h / hk * t,
  });
  gpu.run(attentionBackwardKeys(build), [q, k, v, dOut, logSumExp, delta, dk, dv], { ...uniforms, rows: t });
  return { dq, dk, dv };
}

function checkHeads(operation: string, { h, hk, c }: Record<string, number>): void {
  if (hk === 0 ? h > 0 : h % hk) {
    throw new RangeError(`Cannot compute ${operation} with h = ${h}: expected a multiple of hk = ${hk}`);
  }
  if (c % 2 || c < 2 || c > 256) {
    throw new RangeError(
      `Cannot compute ${operation} with c = ${c}: expected an even head width of 2 to 256`,
    );
  }
}

function uniformsOf({ b, t, s, h, hk, c }: Record<string, number>, start: number): Record<string, number> {
  return { t, s, start, h, hk, scale: 1 / Math.sqrt(c), pairs: b * hk };
}

/** The variant in use where none was tuned: the faster one on this kind of adapter. */
export function defaultAttentionVariant(gpu: Gpu): AttentionBuild["variant"] {
  const { subgroupSize: subgroup, isSoftware } = gpu.info;
  return isSoftware && subgroup > 0 && subgroup % 4 === 0 ? "share" : "alone";
}

/** The kernel variant that `gpu.variants` names, or the default. */
function buildFor(gpu: Gpu, c: number, window?: number): AttentionBuild {
  if (window !== undefined && !(Number.isSafeInteger(window) && window > 0)) {
    throw new RangeError(`Cannot compute attention with window ${window}: expected a whole number > 0`);
  }
  const { subgroupSize: subgroup } = gpu.info;
  const variant = gpu.variants.get("attention") ?? defaultAttentionVariant(gpu);
  if (variant !== "alone" && variant !== "share") {
    throw new RangeError(`Cannot compute attention by variant "${variant}": expected "alone" or "share"`);
  }
  return { c, variant, subgroup, ...(window !== undefined && { window }) };
}
