/** What makes two matrices a QR factorisation of a third, with the bounds that LAPACK's own tests use. */
import { EPS, expectClose } from "../helpers/close.ts";

/** Q `[m, width]` and R `[width, n]` of W `[m, n]`, of which `columns` columns were factored. */
export interface Factored {
  w: ArrayLike<number>;
  q: ArrayLike<number>;
  r: ArrayLike<number>;
  m: number;
  n: number;
  columns: number;
  width: number;
}

/**
 * Fails unless QᵀQ = I within 10 · eps · max(m, n); each factored column of QR is W's within 60 · eps · max(m, n)
 * of its own norm; R is QᵀW beyond, is zero below its diagonal, and has no negative number on it.
 *
 * Source of the factors 10 and 60: JAX's `testQr`.
 */
export function expectFactors({ w, q, r, m, n, columns, width }: Factored): void {
  const unit = EPS * Math.max(m, n);
  const columnsOfQ = Array.from(
    { length: width },
    (_, j) => Float64Array.from({ length: m }, (_, i) => q[i * width + j]),
  );
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const gram = columnsOfQ.flatMap((x) => columnsOfQ.map((y) => dot(x, y)));
  expectClose(gram, gram.map((_, at) => Number(Math.floor(at / width) === at % width)), 10 * unit, "QᵀQ");

  for (let j = 0; j < n; j++) {
    const column = Float64Array.from({ length: m }, (_, i) => w[i * n + j]);
    const scale = Math.max(...column.map(Math.abs)) || 1;
    const norm = scale * Math.sqrt(column.reduce((sum, x) => sum + (x / scale) ** 2, 0));
    // A device may flush what is smaller than the smallest normal number.
    const limit = 60 * unit * norm + 2 ** -126;
    if (j < columns || width === m) {
      const product = new Float64Array(m);
      columnsOfQ.forEach((x, k) => x.forEach((value, i) => product[i] += value * r[k * n + j]));
      expectClose(product, column, limit, `column ${j} of QR`);
    }
    const projected = columnsOfQ.map((x) => dot(x, column));
    expectClose(columnsOfQ.map((_, k) => r[k * n + j]), projected, limit, `column ${j} of R against QᵀW`);
    for (let k = j + 1; k < width && j < columns; k++) expectClose([r[k * n + j]], [0], 0, `R[${k}, ${j}]`);
    if (j < columns && !(r[j * n + j] >= 0)) {
      throw new Error(`R[${j}, ${j}] is ${r[j * n + j]}, expected >= 0`);
    }
  }
}
