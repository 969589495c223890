import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { qrAll } from "../linalg/qr.ts";
import { matmul } from "../ops/matmul.ts";
import type { Factors, Method } from "./method.ts";

/**
 * LoRA with two factors that are not zero and whose product is: A₀ = (X Q₁)ᵀ / 10 and B₀ = Y Q₂ / 10 with Q₁, Q₂ the odd
 * and even rows of a random orthogonal matrix of r × r, so that Q₂ Q₁ᵀ = 0, and X, Y normal. r must be even.
 *
 * Q is orthogonal to rounding only, and so is B₀ A₀ zero: an adapter that was just attached changes the last bits, by less
 * than 1e-5 nats on the models of the tests.
 *
 * Source: PEFT's `orthogonal`, after D. Dey 2024, "Rethinking LoRA initialisation". Deviation: each module draws from a
 * stream of its own, as in lora.
 */
export const orthogonal: Method = {
  name: "orthogonal",
  peft: "orthogonal",
  startsAtZero: true,
  takes: [],
  async start(gpu, targets, { rank, seed }) {
    if (rank % 2) {
      throw new RangeError(`Cannot start orthogonal with rank ${rank}: expected an even number`);
    }
    const factors: Factors[] = [];
    for (const { module, out, in: width } of targets) {
      const rng = new Rng(seed, `orthogonal ${module}`);
      const normals = (rows: number, columns: number) =>
        Float32Array.from({ length: rows * columns }, () => rng.normal());
      const q = await orthogonalMatrix(gpu, module, normals(rank, rank), rank);
      const rowsOf = (parity: 0 | 1) => q.filter((_, at) => Math.floor(at / rank) % 2 === parity);
      using odd = gpu.upload(rowsOf(0), [rank / 2, rank]);
      using even = gpu.upload(rowsOf(1), [rank / 2, rank]);
      using x = gpu.upload(normals(rank / 2, width), [rank / 2, width]);
      using y = gpu.upload(normals(out, rank / 2), [out, rank / 2]);
      factors.push({
        a: gpu.keep(matmul(gpu, "tn", odd, x, { scale: 0.1 })),
        b: gpu.keep(matmul(gpu, "nn", y, even, { scale: 0.1 })),
      });
    }
    return factors;
  },
};

/** Q of a random matrix `[r, r]`. */
async function orthogonalMatrix(
  gpu: Gpu,
  name: string,
  random: Float32Array,
  rank: number,
): Promise<Float32Array<ArrayBuffer>> {
  using w = gpu.upload(random, [rank, rank]);
  const [{ q, r }] = await qrAll(gpu, [{ name, w }]);
  using basis = q;
  using _r = r;
  return await gpu.read(basis);
}
