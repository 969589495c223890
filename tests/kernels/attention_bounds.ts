/** Attention's twin at any start, with the bounds that the specs of its kernels state, for the cases. */
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention as twin, attentionBackward as twinBackward } from "../../lib/reference/attention.ts";
import { bound, EPS, EXP_GRANT, LOG_GRANT } from "../helpers/close.ts";

/** Lengths of a case; `start` is 0 and `s` is t where absent. */
export interface AttentionShape {
  b: number;
  t: number;
  h: number;
  hk: number;
  c: number;
  start?: number;
  s?: number;
  window?: number;
}

/** Runs `body` by each kernel variant that the device can run. */
export async function onEachVariant(gpu: Gpu, body: (variant: string) => Promise<void>): Promise<void> {
  const before = gpu.variants.get("attention");
  const { subgroupSize } = gpu.info;
  const variants = subgroupSize > 0 && subgroupSize % 4 === 0 ? ["alone", "share"] : ["alone"];
  try {
    for (const variant of variants) {
      gpu.variants.set("attention", variant);
      await body(variant);
    }
  } finally {
    if (before === undefined) gpu.variants.delete("attention");
    else gpu.variants.set("attention", before);
  }
}

/** Results of the forward pass and their bounds. */
export function attentionTwin(
  host: { q: Float32Array; k: Float32Array; v: Float32Array },
  { b, t, h, hk, c, start = 0, s = t, window = Infinity }: AttentionShape,
) {
  // The twin knows no start: queries of zeros stand before the others.
  const all = start + t;
  const tokens = (x: Float32Array, from: number, width: number, skip: number) => {
    const out = new Float64Array(b * all * width);
    for (let text = 0; text < b; text++) {
      out.set(
        x.subarray(text * from * width, (text * from + all - skip) * width),
        (text * all + skip) * width,
      );
    }
    return out;
  };
  const [q, k, v] = [
    tokens(host.q, t, h * c, start),
    tokens(host.k, s, hk * c, 0),
    tokens(host.v, s, hk * c, 0),
  ];
  const dims = { b, t: all, h, hk, c, window };
  const { out, logSumExp } = twin(q, k, v, dims);
  const outBound = new Float64Array(out.length);
  const logSumExpBound = new Float64Array(logSumExp.length);
  forEachQuery(dims, ({ query, qAt, kvAt, row }) => {
    const first = Math.max(0, query + 1 - window);
    const scores = Array.from(
      { length: query + 1 - first },
      (_, i) => dot(q, qAt, k, kvAt(first + i), c) / Math.sqrt(c),
    );
    const largest = Math.max(...scores);
    let normaliser = 0;
    const [size, error] = [new Float64Array(c), new Float64Array(c)];
    scores.forEach((score, place) => {
      const key = first + place;
      const probability = Math.exp(score - logSumExp[row]);
      const off = 2 * EXP_GRANT + EPS * (largest - score) +
        bound(c + 1, [dot(q, qAt, k, kvAt(key), c, true) / Math.sqrt(c)])[0];
      normaliser += probability * off;
      for (let i = 0; i < c; i++) {
        size[i] += probability * Math.abs(v[kvAt(key) + i]);
        error[i] += probability * off * Math.abs(v[kvAt(key) + i]);
      }
    });
    logSumExpBound[row] = normaliser + bound(query + 1, [1], LOG_GRANT)[0] +
      bound(1, [Math.abs(largest) + Math.abs(logSumExp[row])])[0];
    const rounding = bound(query + 1, size, normaliser);
    for (let i = 0; i < c; i++) outBound[qAt + i] = rounding[i] + error[i];
  });
  const lastTokens = (x: Float64Array) =>
    Float64Array.from({ length: b * t * h * c }, (_, at) => {
      const text = Math.floor(at / (t * h * c));
      return x[at + (text + 1) * start * h * c];
    });
  const lastRows = (x: Float64Array) =>
    Float64Array.from({ length: b * h * t }, (_, at) => x[Math.floor(at / t) * all + start + at % t]);
  return {
    out: lastTokens(out),
    outBound: lastTokens(outBound),
    logSumExp: lastRows(logSumExp),
    logSumExpBound: lastRows(logSumExpBound),
  };
}

/** Gradients and their bounds, for a forward pass whose results are the twin's rounded to f32. */
export function attentionBackwardTwin(
  host: { q: Float32Array; k: Float32Array; v: Float32Array; dOut: Float32Array },
  dims: { b: number; t: number; h: number; hk: number; c: number; window?: number },
) {
  const { c, window = Infinity } = dims;
  const [q, k, v, dOut] = [host.q, host.k, host.v, host.dOut].map((x) => Float64Array.from(x));
  const forward = twin(q, k, v, dims);
  const gradients = twinBackward(q, k, v, forward, dOut, dims);
  const sizes = {
    dq: new Float64Array(q.length),
    dk: new Float64Array(k.length),
    dv: new Float64Array(v.length),
  };
  const errors = {
    dq: new Float64Array(q.length),
    dk: new Float64Array(k.length),
    dv: new Float64Array(v.length),
  };
  const scale = 1 / Math.sqrt(c);
  forEachQuery(dims, ({ query, qAt, kvAt, row }) => {
    const lse = forward.logSumExp[row];
    const delta = dot(dOut, qAt, forward.out, qAt, c);
    const deltaSize = dot(dOut, qAt, forward.out, qAt, c, true);
    for (let key = Math.max(0, query + 1 - window); key <= query; key++) {
      const at = kvAt(key);
      const probability = Math.exp(scale * dot(q, qAt, k, at, c) - lse);
      const off = EXP_GRANT + bound(c + 2, [Math.abs(lse) + scale * dot(q, qAt, k, at, c, true)])[0];
      const slope = dot(dOut, qAt, v, at, c) - delta;
      const slopeOff = bound(c + 1, [dot(dOut, qAt, v, at, c, true) + 2 * deltaSize])[0] + EPS * deltaSize;
      const dScore = scale * probability * Math.abs(slope);
      const dScoreOff = scale * probability * (off * Math.abs(slope) + slopeOff);
      for (let i = 0; i < c; i++) {
        sizes.dq[qAt + i] += dScore * Math.abs(k[at + i]);
        errors.dq[qAt + i] += dScoreOff * Math.abs(k[at + i]);
        sizes.dk[at + i] += dScore * Math.abs(q[qAt + i]);
        errors.dk[at + i] += dScoreOff * Math.abs(q[qAt + i]);
        sizes.dv[at + i] += probability * Math.abs(dOut[qAt + i]);
        errors.dv[at + i] += probability * off * Math.abs(dOut[qAt + i]);
      }
    }
  });
  const terms = { dq: dims.t, dk: dims.t * dims.h / dims.hk, dv: dims.t * dims.h / dims.hk };
  const total = (name: "dq" | "dk" | "dv") =>
    bound(terms[name], sizes[name]).map((rounding, i) => rounding + errors[name][i]);
  return { forward, ...gradients, bounds: { dq: total("dq"), dk: total("dk"), dv: total("dv") } };
}

interface Query {
  query: number;
  qAt: number;
  kvAt: (key: number) => number;
  row: number;
}

function forEachQuery(
  { b, t, h, hk, c }: { b: number; t: number; h: number; hk: number; c: number },
  visit: (query: Query) => void,
): void {
  for (let text = 0; text < b; text++) {
    for (let head = 0; head < h; head++) {
      for (let query = 0; query < t; query++) {
        visit({
          query,
          qAt: ((text * t + query) * h + head) * c,
          kvAt: (key) => ((text * t + key) * hk + Math.floor(head * hk / h)) * c,
          row: (text * h + head) * t + query,
        });
      }
    }
  }
}

function dot(
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  length: number,
  absolute = false,
): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const term = a[aAt + i] * b[bAt + i];
    sum += absolute ? Math.abs(term) : term;
  }
  return sum;
}
