import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";
import type { OloraStart } from "./olora.ts";
import { qr } from "./qr.ts";

/**
 * Factors of some singular triplets of W: B₀ = U √(S / s) and A₀ = √(S / s) Vᵀ. The r largest triplets are PiSSA's start, the
 * r smallest MiLoRA's, and their U alone, as B, is MiCA's.
 *
 * Source: Meng et al. 2024, arXiv:2404.02948, eqs. (2) to (4); Wang et al. 2024, arXiv:2406.09044, §3.2; arXiv:2604.01694.
 *
 * @param triplets W = U diag(S) Vᵀ: U `[m, k]`, S `[k]` and V `[n, k]`.
 * @param options First triplet and how many, and s, that S is divided by.
 */
export function tripletStart(
  { u, s, v }: { u: Float64Array; s: Float64Array; v: Float64Array },
  { first, r, scale }: { first: number; r: number; scale: number },
): OloraStart {
  const k = s.length;
  const [m, n] = [u.length / k, v.length / k];
  checkLengths("tripletStart", { m, n, k }, { "u [m, k]": u, "v [n, k]": v });
  const root = (i: number) => Math.sqrt(s[first + i] / scale);
  return {
    a: Float64Array.from({ length: r * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      return root(i) * v[j * k + first + i];
    }),
    b: Float64Array.from({ length: m * r }, (_, at) => {
      const [j, i] = [Math.floor(at / r), at % r];
      return root(i) * u[j * k + first + i];
    }),
  };
}

/**
 * PEFT's orthogonal start: A₀ = Q₁ᵀ X / 10 and B₀ = Y Q₂ / 10, with Q₁ and Q₂ the first, third, … and the second, fourth, …
 * rows of the Q of a random matrix, so that B₀ A₀ = 0.
 *
 * @param random The matrix, `[r, r]`, r even; X `[r / 2, n]` and Y `[m, r / 2]`.
 */
export function orthogonalStart(
  { random, x, y }: { random: Float64Array; x: Float64Array; y: Float64Array },
  { m, n, r }: { m: number; n: number; r: number },
): OloraStart {
  const half = r / 2;
  checkLengths("orthogonalStart", { m, n, r, half }, {
    ...{ "random [r, r]": random, "x [half, n]": x, "y [m, half]": y },
  });
  const { q } = qr(random, { m: r, n: r });
  const rows = (parity: number) => q.filter((_, at) => Math.floor(at / r) % 2 === parity);
  return {
    a: matmul(rows(0), x, { m: r, n, k: half }, "tn").map((value) => value / 10),
    b: matmul(y, rows(1), { m, n: r, k: half }).map((value) => value / 10),
  };
}

/**
 * LoRA-GA's factors from the triplets of the weight's gradient G: A₀ is the first r rows of Vᵀ and B₀ the next r columns of U,
 * each d = m^¼ / √γ long; of "peft" A₀ is orthonormal and B₀ multiplied by its singular values.
 *
 * Source: Wang et al. 2024, arXiv:2407.05000, §3.2 and §3.3 ("paper"); PEFT's `lora_ga` ("peft").
 *
 * @param triplets G = U diag(S) Vᵀ: U `[m, k]`, S `[k]` and V `[n, k]`, k at least 2 r.
 */
export function loraGaStart(
  { u, s, v }: { u: Float64Array; s: Float64Array; v: Float64Array },
  { r, gamma, stable }: { r: number; gamma: number; stable: "peft" | "paper" },
): OloraStart {
  const k = s.length;
  const [m, n] = [u.length / k, v.length / k];
  checkLengths("loraGaStart", { m, n, k }, { "u [m, k]": u, "v [n, k]": v });
  const d = m ** 0.25 / gamma ** 0.5;
  const plain = tripletStart({ u, s: s.map(() => 1), v }, { first: 0, r, scale: 1 });
  const next = tripletStart({ u, s: s.map(() => 1), v }, { first: r, r, scale: 1 });
  return stable === "paper"
    ? { a: plain.a.map((x) => d * x), b: next.b.map((x) => d * x) }
    : { a: plain.a, b: next.b.map((x, at) => d * s[r + at % r] * x) };
}
