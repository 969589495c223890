import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { crossEntropy as hardware, crossEntropySoftware } from "../kernels/cross_entropy.ts";
import { matmul } from "./matmul.ts";

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** What the gradients are multiplied by: 1 / (rows that are not masked) for the gradient of the mean. Default 1. */
  scale?: number;
  /** Whether the gradient with respect to `x` is wanted. */
  dx?: boolean;
  /** Where the gradient with respect to `head` is added, f32 `[v, d]`. */
  dHead?: Tensor;
  /** Bytes of logits held at a time; default 16 MiB. One group of rows (see below) is held in any case. */
  chunkBytes?: number;
}

/** What `crossEntropy` returns. */
export interface CrossEntropyResult {
  /** Nats of each row, f32 `[n]`; 0 where masked. */
  nll: Tensor;
  /** Gradient of `scale · Σ nll` with respect to `x`, f32 `[n, d]`, where asked for. */
  dx?: Tensor;
}

/**
 * Cross-entropy of a linear head over the vocabulary: logits = x headᵀ, nll = log Σ exp(logits) − logits[target].
 *
 * Rows are processed in chunks, and a chunk's logits are overwritten by their gradient, so that at most
 * `chunkBytes` of them exist; chunks begin at multiples of 256 bytes of `x` (at most 64 rows). f32 and
 * deterministic. Targets lie on the device and so are not checked here (`checkTargets` does it before the upload);
 * one outside [−1, v) makes its row NaN, and so does a logit that is not finite.
 *
 * Source: the chunks are as in Hsu et al. 2024 (Liger Kernel), arXiv:2410.10989v2.
 *
 * @param x Hidden states, f32 `[n, d]`.
 * @param head `[v, d]`, in any form that `matmul` reads; f32 with `dHead`.
 * @param targets i32 `[n]`; −1 masks a row.
 * @throws {RangeError} If shapes disagree.
 * @throws {TypeError} If `targets` is not i32.
 */
export function crossEntropy(
  gpu: Gpu,
  x: Tensor,
  head: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): CrossEntropyResult {
  const { scale = 1, dHead, chunkBytes = 1 << 24 } = options;
  const { n, d, v } = bindAxes("crossEntropy", {
    "x [n, d]": x.shape,
    "head [v, d]": head.shape,
    "targets [n]": targets.shape,
    ...dHead && { "dHead [v, d]": dHead.shape },
  });
  if (targets.dtype !== "i32") {
    throw new TypeError(`Cannot compute crossEntropy with targets of ${targets.dtype}: expected i32`);
  }
  const nll = gpu.tensor([n]);
  const dx = options.dx ? gpu.tensor([n, d]) : undefined;
  const step = rowsOfChunk(n, d, v, chunkBytes);
  const kernel = gpu.info.isSoftware ? crossEntropySoftware : hardware;
  using chunk = gpu.tensor([step, v]);
  for (let first = 0; first < n; first += step) {
    const rows = Math.min(step, n - first);
    const part = x.view([rows, d], first * d);
    const logits = chunk.view([rows, v]);
    matmul(gpu, "nt", part, head, { into: logits });
    gpu.run(kernel, [targets, logits, nll], {
      ...{ first, rows, v, scale },
      gradient: Number(Boolean(dx || dHead)),
    });
    if (dx) matmul(gpu, "nn", logits, head, { into: dx.view([rows, d], first * d) });
    if (dHead) matmul(gpu, "tn", logits, part, { into: dHead, accumulate: true });
  }
  return { nll, ...dx && { dx } };
}

/**
 * Checks that each target is −1 or names a column of a head of `v` rows.
 *
 * @throws {RangeError} E.g. `Cannot compute crossEntropy with targets[3]: got 512, expected -1 <= target < 512`.
 */
export function checkTargets(operation: string, targets: ArrayLike<number>, v: number): void {
  for (let i = 0; i < targets.length; i++) {
    if (!(targets[i] >= -1 && targets[i] < v)) {
      throw new RangeError(
        `Cannot compute ${operation} with targets[${i}]: got ${targets[i]}, expected -1 <= target < ${v}`,
      );
    }
  }
}

/**
 * Rows whose logits fit in `chunkBytes`, rounded to groups of rows of `x` that fill whole runs of 256 bytes, and from 64
 * on to whole tiles of the products: each passes over all of the head, however full it is.
 */
export function rowsOfChunk(n: number, d: number, v: number, chunkBytes: number): number {
  let group = 64;
  while (group > 1 && (group / 2 * d) % 64 === 0) group /= 2;
  const fitting = Math.floor(chunkBytes / (4 * v));
  const unit = fitting < 64 ? group : 64;
  return Math.min(n, Math.max(group, Math.floor(fitting / unit) * unit));
}
