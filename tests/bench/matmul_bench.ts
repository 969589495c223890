import type { Gpu } from "../../lib/gpu/gpu.ts";
import { matmul, type MatmulForm } from "../../lib/ops/matmul.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The square product that adapters are compared by, then a small decoder's and its adapters' products. */
const PRODUCTS: [MatmulForm, m: number, n: number, k: number, what?: string][] = [
  ["nn", 1024, 1024, 1024],
  ["nt", 1024, 1024, 1024],
  ["tn", 1024, 1024, 1024],
  ["nt", 1024, 128, 128, "x Wᵀ"],
  ["nt", 1024, 344, 128, "x Wᵀ"],
  ["nn", 1024, 128, 344, "dy W"],
  ["tn", 344, 128, 1024, "dyᵀ x"],
  ["nt", 1024, 172, 64, "x Wᵀ"],
  ["nt", 1024, 8, 128, "x Aᵀ"],
  ["nn", 1024, 8, 344, "dy B"],
  ["tn", 8, 128, 1024, "dA"],
  ["tn", 344, 8, 1024, "dB"],
  ["nt", 1021, 127, 131, "odd lengths"],
];

/** Products with the variants in use. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using stack = new DisposableStack();
  const tensor = (shape: number[]) => stack.use(gpu.upload(noise(shape[0] * shape[1]), shape));
  return await measure(
    gpu,
    PRODUCTS.map(([form, m, n, k, what]) => {
      const a = tensor(form === "tn" ? [k, m] : [m, k]);
      const b = tensor(form === "nt" ? [n, k] : [k, n]);
      const into = tensor([m, n]);
      const shape = `${form} ${m} × ${n} × ${k}${what ? `, ${what}` : ""}`;
      const record = () => void matmul(gpu, form, a, b, { into });
      return { kernel: "matmul", shape, flops: 2 * m * n * k, record };
    }),
  );
}
