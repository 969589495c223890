import { checkLengths } from "./check.ts";

/**
 * Kullback–Leibler divergence of rows of logits in float64, KL(p ‖ q) = Σ p (log p − log q) with p = softmax(x) and
 * q = softmax(y); nats.
 *
 * Source: Kullback and Leibler 1951, "On information and sufficiency".
 *
 * @param x Logits of p, `[n, v]`.
 * @param y Logits of q, `[n, v]`.
 * @param targets `[n]`; −1 masks a row.
 * @returns `[n]`; 0 where masked.
 */
export function klDivergence(
  x: Float64Array,
  y: Float64Array,
  targets: Int32Array,
  { n, v }: { n: number; v: number },
): Float64Array {
  checkLengths("klDivergence", { n, v }, { "x [n, v]": x, "y [n, v]": y, "targets [n]": targets });
  return Float64Array.from({ length: n }, (_, row) => {
    if (targets[row] < 0) return 0;
    const logP = logSoftmax(x.subarray(row * v, (row + 1) * v));
    const logQ = logSoftmax(y.subarray(row * v, (row + 1) * v));
    return logP.reduce((sum, log, i) => sum + Math.exp(log) * (log - logQ[i]), 0);
  });
}

function logSoftmax(row: Float64Array): Float64Array {
  const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return row.map((logit) => logit - max - logSum);
}
