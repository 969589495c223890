import { checkLengths } from "./check.ts";

/** Lengths of an attention: `b` texts, `t` tokens, `h` query heads on `hk` key-value heads of width `c`. */
export interface AttentionDims {
  /** Texts. */
  b: number;
  /** Tokens. */
  t: number;
  /** Query heads, a multiple of `hk`. */
  h: number;
  /** Key-value heads; query head i reads key-value head ⌊i hk / h⌋. */
  hk: number;
  /** Width of a head. */
  c: number;
  /** Keys that a query sees, itself the last; all at or before it unless given. */
  window?: number;
}

/**
 * Causal attention with grouped heads: out = softmax(q kᵀ / √c) v over the keys at or before each query.
 *
 * Source: Vaswani et al. 2017, arXiv:1706.03762, eq. (1); grouped heads as in Ainslie et al. 2023,
 * arXiv:2305.13245, §2.2.
 *
 * @param q `[b, t, h, c]`.
 * @param k `[b, t, hk, c]`.
 * @param v `[b, t, hk, c]`.
 * @returns `out`, `[b, t, h, c]`, and `logSumExp`, the logarithm of each softmax's denominator, `[b, h, t]`,
 * which is all that the backward pass needs to rebuild the probabilities.
 */
export function attention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  dims: AttentionDims,
): { out: Float64Array; logSumExp: Float64Array } {
  const { b, t, h, hk, c } = dims;
  checkLengths("attention", { b, t, h, hk, c }, {
    "q [b, t, h, c]": q,
    "k [b, t, hk, c]": k,
    "v [b, t, hk, c]": v,
  });
  const out = new Float64Array(q.length);
  const logSumExp = new Float64Array(b * h * t);
  for (const { query, first, qAt, kvAt, row } of queries(dims)) {
    const scores = Float64Array.from(
      { length: query + 1 - first },
      (_, i) => dot(q, qAt, k, kvAt(first + i), c) / Math.sqrt(c),
    );
    const max = scores.reduce((a, x) => Math.max(a, x), -Infinity);
    const sum = scores.reduce((total, score) => total + Math.exp(score - max), 0);
    logSumExp[row] = max + Math.log(sum);
    scores.forEach((score, i) => {
      const probability = Math.exp(score - logSumExp[row]);
      const at = kvAt(first + i);
      for (let j = 0; j < c; j++) out[qAt + j] += probability * v[at + j];
    });
  }
  return { out, logSumExp };
}

/**
 * Gradients of {@linkcode attention} for dL/dout = `dout`. With P the probabilities and D = Σ_c dout out:
 *
 * dv = Pᵀ dout, dS = P (dout vᵀ − D), dq = dS k / √c, dk = dSᵀ q / √c; heads of one group add up in dk and dv.
 *
 * Source: Dao et al. 2022, arXiv:2205.14135, appendix B.2.
 */
export function attentionBackward(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  forward: { out: Float64Array; logSumExp: Float64Array },
  dout: Float64Array,
  dims: AttentionDims,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { b, t, h, hk, c } = dims;
  const { out, logSumExp } = forward;
  checkLengths("attentionBackward", { b, t, h, hk, c }, {
    "q [b, t, h, c]": q,
    "k [b, t, hk, c]": k,
    "v [b, t, hk, c]": v,
    "out [b, t, h, c]": out,
    "logSumExp [b, h, t]": logSumExp,
    "dout [b, t, h, c]": dout,
  });
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  for (const { query, first, qAt, kvAt, row } of queries(dims)) {
    const delta = dot(dout, qAt, out, qAt, c);
    for (let key = first; key <= query; key++) {
      const at = kvAt(key);
      const probability = Math.exp(dot(q, qAt, k, at, c) / Math.sqrt(c) - logSumExp[row]);
      const dscore = probability * (dot(dout, qAt, v, at, c) - delta) / Math.sqrt(c);
      for (let i = 0; i < c; i++) {
        dv[at + i] += probability * dout[qAt + i];
        dq[qAt + i] += dscore * k[at + i];
        dk[at + i] += dscore * q[qAt + i];
      }
    }
  }
  return { dq, dk, dv };
}

/** Every query with the offset of its vector, of the key and value vectors it reads, and of its `[b, h, t]` row. */
function* queries({ b, t, h, hk, c, window = Infinity }: AttentionDims) {
  for (let text = 0; text < b; text++) {
    for (let head = 0; head < h; head++) {
      const group = Math.floor(head * hk / h);
      for (let query = 0; query < t; query++) {
        yield {
          query,
          first: Math.max(0, query + 1 - window),
          qAt: ((text * t + query) * h + head) * c,
          kvAt: (key: number) => ((text * t + key) * hk + group) * c,
          row: (text * h + head) * t + query,
        };
      }
    }
  }
}

function dot(a: Float64Array, aAt: number, b: Float64Array, bAt: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aAt + i] * b[bAt + i];
  return sum;
}
