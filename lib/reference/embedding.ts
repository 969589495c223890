import { checkLengths } from "./check.ts";

/** Lengths of an embedding: `n` tokens, width `d`, vocabulary `v`. */
export interface EmbeddingDims {
  /** Tokens. */
  n: number;
  /** Width. */
  d: number;
  /** Vocabulary. */
  v: number;
}

/**
 * Rows of a table: x[i] = w[ids[i]].
 *
 * @param w `[v, d]`.
 * @param ids `[n]`, each in [0, v).
 * @returns x, `[n, d]`.
 * @throws {RangeError} If an id is outside the table.
 */
export function embedding(w: Float64Array, ids: Int32Array, dims: EmbeddingDims): Float64Array {
  const { n, d } = dims;
  checkLengths("embedding", { ...dims }, { "w [v, d]": w, "ids [n]": ids });
  checkIds("embedding", ids, dims);
  const x = new Float64Array(n * d);
  ids.forEach((id, i) => x.set(w.subarray(id * d, (id + 1) * d), i * d));
  return x;
}

/** Gradient of {@linkcode embedding} for dL/dx = `dx`, `[n, d]`: each row of dw sums the rows that read it. */
export function embeddingBackward(dx: Float64Array, ids: Int32Array, dims: EmbeddingDims): Float64Array {
  const { d, v } = dims;
  checkLengths("embeddingBackward", { ...dims }, { "dx [n, d]": dx, "ids [n]": ids });
  checkIds("embeddingBackward", ids, dims);
  const dw = new Float64Array(v * d);
  ids.forEach((id, i) => {
    for (let j = 0; j < d; j++) dw[id * d + j] += dx[i * d + j];
  });
  return dw;
}

function checkIds(operation: string, ids: Int32Array, { v }: EmbeddingDims): void {
  const at = ids.findIndex((id) => id < 0 || id >= v);
  if (at >= 0) {
    throw new RangeError(
      `Cannot compute ${operation} with ids[${at}]: got ${ids[at]}, expected 0 <= id < ${v}`,
    );
  }
}
