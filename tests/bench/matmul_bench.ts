import type { Gpu } from "../../lib/gpu/gpu.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
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

/** Weights as they are stored, of SmolLM2's layers: blocks are widened in the product, forward and backward. */
const STORED = ["f32", "f16", "q4_1", "q8_0"] as const;

/** Products with the variants in use. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using stack = new DisposableStack();
  const tensor = (shape: number[]) => stack.use(gpu.upload(noise(shape[0] * shape[1]), shape));
  const [rows, out, width] = [512, 1536, 576];
  const x = tensor([rows, width]);
  const dy = tensor([rows, out]);
  const stored = STORED.flatMap((dtype) => {
    const w = stack.use(gpu.tensor([out, width], dtype));
    gpu.clear(w);
    const row = (form: "nn" | "nt", a: Tensor, shape: string) => ({
      kernel: "matmul",
      shape: `${form} ${shape}, W in ${dtype}`,
      flops: 2 * rows * out * width,
      record: () => matmul(gpu, form, a, w).dispose(),
    });
    return [row("nt", x, `${rows} × ${out} × ${width}`), row("nn", dy, `${rows} × ${width} × ${out}`)];
  });
  const products = PRODUCTS.map(([form, m, n, k, what]) => {
    const a = tensor(form === "tn" ? [k, m] : [m, k]);
    const b = tensor(form === "nt" ? [n, k] : [k, n]);
    const into = tensor([m, n]);
    const shape = `${form} ${m} × ${n} × ${k}${what ? `, ${what}` : ""}`;
    const record = () => void matmul(gpu, form, a, b, { into });
    return { kernel: "matmul", shape, flops: 2 * m * n * k, record };
  });
  return await measure(gpu, [...products, ...stored]);
}
