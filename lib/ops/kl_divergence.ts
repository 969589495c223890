import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { klDivergence as hardware, klDivergenceSoftware } from "../kernels/kl_divergence.ts";
import { rowsOfChunk } from "./cross_entropy.ts";
import { matmul } from "./matmul.ts";

/** What logits are made of: hidden states f32 `[n, d]` and a linear head `[v, d]`, in any form that `matmul` reads. */
export interface Head {
  /** Hidden states, f32 `[n, d]`. */
  readonly x: Tensor;
  /** Head, f32 `[v, d]`. */
  readonly head: Tensor;
}

/**
 * Kullback–Leibler divergence of the softmax over the vocabulary of two heads, KL(p ‖ q) = Σ p (log p − log q), f32 `[n]`
 * in nats; 0 where masked, and exactly 0 where both have the same logits.
 *
 * Rows are processed in chunks as in `crossEntropy`, so that at most `chunkBytes` of the logits of each exist. f32 and
 * deterministic; no term is negative, so small divergences keep their relative accuracy.
 *
 * Source: Kullback and Leibler 1951; the sum over p (t + exp(−t) − 1), t = log p − log q, is the estimator k3 of
 * Schulman 2020, "Approximating KL divergence", in expectation.
 *
 * @param p Where the expectation is taken.
 * @param q What it is compared with.
 * @param targets i32 `[n]`; −1 masks a row, other values mean nothing here.
 * @throws {RangeError} If shapes disagree.
 * @throws {TypeError} If `targets` is not i32.
 */
export function klDivergence(
  gpu: Gpu,
  p: Head,
  q: Head,
  targets: Tensor,
  options: { chunkBytes?: number } = {},
): Tensor {
  const { chunkBytes = 1 << 24 } = options;
  const { n, d, v } = bindAxes("klDivergence", {
    "p x [n, d]": p.x.shape,
    "p head [v, d]": p.head.shape,
    "q x [n, d]": q.x.shape,
    "q head [v, d]": q.head.shape,
    "targets [n]": targets.shape,
  });
  if (targets.dtype !== "i32") {
    throw new TypeError(`Cannot compute klDivergence with targets of ${targets.dtype}: expected i32`);
  }
  const kl = gpu.tensor([n]);
  const step = rowsOfChunk(n, d, v, chunkBytes);
  const kernel = gpu.info.isSoftware ? klDivergenceSoftware : hardware;
  using left = gpu.tensor([step, v]);
  using right = gpu.tensor([step, v]);
  for (let first = 0; first < n; first += step) {
    const rows = Math.min(step, n - first);
    const logits = ([[p, left], [q, right]] as const).map(([{ x, head }, chunk]) =>
      matmul(gpu, "nt", x.view([rows, d], first * d), head, { into: chunk.view([rows, v]) })
    );
    gpu.run(kernel, [targets, ...logits, kl], { first, rows, v });
  }
  return kl;
}
