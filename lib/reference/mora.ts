import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/** Lengths of a layer with MoRA. */
export interface MoraDims {
  /** Output features. */
  out: number;
  /** Input features. */
  in: number;
  /** r̂, the side of M. */
  side: number;
}

/**
 * MoRA's change of a weight as a matrix, dW `[out, in]`: of type 1 D M C, where C `[r̂, in]` adds up the columns of x that
 * begin anew after the last one, and D `[out, r̂]` repeats; of type 2 M's entry of the groups that row and column are in,
 * r̂ groups of neighbours of which the first are longer by one where they cannot be equal; of type 6 the blocks M R_g along the diagonal, R_g turning the
 * pairs (j, j + r̂ / 2) of group g by g · 10000^(−2 j / r̂).
 *
 * Source: arXiv:2405.12130, eqs. (6), (7) and (9) to (11); of type 2 the authors' code.
 *
 * @param m M, `[r̂, r̂]`.
 */
export function moraMatrix(
  m: Float64Array,
  { out, in: width, side }: MoraDims,
  type: 1 | 2 | 6,
): Float64Array {
  checkLengths("moraMatrix", { side, out, in: width }, { "m [side, side]": m });
  const groups = Math.ceil(width / side);
  const dw = new Float64Array(out * width);
  if (type === 1) {
    const c = new Float64Array(side * width);
    for (let p = 0; p < groups * side; p++) c[(p % side) * width + p % width]++;
    const mc = matmul(m, c, { m: side, n: width, k: side });
    return dw.map((_, at) => mc[Math.floor(at / width) % side * width + at % width]);
  }
  if (type === 2) {
    const groupOf = (i: number, length: number) => {
      const [short, longer] = [Math.floor(length / side), length % side];
      const first = longer * (short + 1);
      return i < first ? Math.floor(i / (short + 1)) : longer + Math.floor((i - first) / short);
    };
    return dw.map((_, at) => m[groupOf(Math.floor(at / width), out) * side + groupOf(at % width, width)]);
  }
  for (let i = 0; i < out; i++) {
    const q = i % (groups * side);
    const [g, row] = [Math.floor(q / side), q % side];
    for (let j = 0; j < side / 2; j++) {
      const angle = g * 10000 ** (-2 * j / side);
      const [first, second] = [m[row * side + j], m[row * side + j + side / 2]];
      const column = (k: number) => i * width + (g * side + k) % width;
      dw[column(j)] += first * Math.cos(angle) + second * Math.sin(angle);
      dw[column(j + side / 2)] += second * Math.cos(angle) - first * Math.sin(angle);
    }
  }
  return dw;
}
