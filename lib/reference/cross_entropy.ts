import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/** Lengths of a head: `n` rows, width `d`, vocabulary `v`. */
export interface HeadDims {
  /** Rows. */
  n: number;
  /** Width. */
  d: number;
  /** Vocabulary. */
  v: number;
}

/** What {@linkcode crossEntropy} finds. */
export interface CrossEntropy {
  /** Nats of each row, `[n]`; 0 where masked. */
  nll: Float64Array;
  /** log Σ exp of each row's logits, `[n]`. */
  logSumExp: Float64Array;
  /** Rows that are not masked. */
  count: number;
  /** Mean of `nll` over the rows that are not masked; 0 where all are. */
  loss: number;
}

/**
 * Cross-entropy of a linear head over the vocabulary: logits = x Wᵀ, nll = log Σ exp(logits) − logits[target].
 *
 * @param x Hidden states, `[n, d]`.
 * @param w Head, `[v, d]`.
 * @param targets `[n]`; −1 masks a row.
 * @throws {RangeError} If a target is neither −1 nor in [0, v).
 */
export function crossEntropy(
  x: Float64Array,
  w: Float64Array,
  targets: Int32Array,
  dims: HeadDims,
): CrossEntropy {
  const { n, d, v } = dims;
  check("crossEntropy", x, w, targets, dims);
  const logits = matmul(x, w, { m: n, n: v, k: d }, "nt");
  const logSumExp = Float64Array.from({ length: n }, (_, i) => {
    const row = logits.subarray(i * v, (i + 1) * v);
    const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
    return max + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  });
  const nll = logSumExp.map((lse, i) => targets[i] < 0 ? 0 : lse - logits[i * v + targets[i]]);
  const count = targets.reduce((total, target) => total + (target < 0 ? 0 : 1), 0);
  const loss = count ? nll.reduce((a, b) => a + b, 0) / count : 0;
  return { nll, logSumExp, count, loss };
}

/**
 * Gradients of the mean loss of {@linkcode crossEntropy} times `dloss`:
 *
 * dlogits = (softmax(logits) − onehot(target)) dloss / count, 0 where masked; dx = dlogits W, dw = dlogitsᵀ x.
 */
export function crossEntropyBackward(
  x: Float64Array,
  w: Float64Array,
  targets: Int32Array,
  forward: Pick<CrossEntropy, "logSumExp" | "count">,
  dims: HeadDims,
  dloss = 1,
): { dx: Float64Array; dw: Float64Array } {
  const { n, d, v } = dims;
  check("crossEntropyBackward", x, w, targets, dims);
  const dlogits = matmul(x, w, { m: n, n: v, k: d }, "nt").map((logit, at) => {
    const row = Math.floor(at / v);
    if (targets[row] < 0) return 0;
    const onehot = at % v === targets[row] ? 1 : 0;
    return (Math.exp(logit - forward.logSumExp[row]) - onehot) * dloss / forward.count;
  });
  return {
    dx: matmul(dlogits, w, { m: n, n: d, k: v }),
    dw: matmul(dlogits, x, { m: v, n: d, k: n }, "tn"),
  };
}

function check(
  operation: string,
  x: Float64Array,
  w: Float64Array,
  targets: Int32Array,
  dims: HeadDims,
): void {
  checkLengths(operation, { ...dims }, { "x [n, d]": x, "w [v, d]": w, "targets [n]": targets });
  const at = targets.findIndex((target) => target < -1 || target >= dims.v);
  if (at >= 0) {
    throw new RangeError(
      `Cannot compute ${operation} with targets[${at}]: got ${
        targets[at]
      }, expected -1 <= target < ${dims.v}`,
    );
  }
}
