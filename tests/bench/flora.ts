import { constant, type Gpu, Tape, type Tensor } from "../../mod.ts";
import { floraLayer } from "../../lib/adapters/flora.ts";
import { add } from "../../lib/ops/add.ts";
import { matmul } from "../../lib/ops/matmul.ts";
import { measure, noise } from "./measure.ts";

const [TEXTS, T, WIDTH, OUT] = [16, 64, 128, 344];

/**
 * A layer of 344 × 128 on 16 texts of 64 tokens with an adapter of its own for each: flora, one product for all, beside
 * LoRA, two batched products beside one with W. In turns.
 */
export async function compareFlora(gpu: Gpu): Promise<void> {
  console.log(`\nAn adapter for each of ${TEXTS} texts of ${T} tokens, layer ${OUT} x ${WIDTH}, forward`);
  using x = gpu.upload(noise(TEXTS * T * WIDTH), [TEXTS * T, WIDTH]);
  using w = gpu.upload(noise(OUT * WIDTH), [OUT, WIDTH]);
  const cell = (ms: number) => ms.toFixed(2).padStart(10);
  for (const r of [1, 2, 4, 8, 16]) {
    using a = gpu.upload(noise(TEXTS * r * OUT), [TEXTS, r * OUT]);
    using b = gpu.upload(noise(TEXTS * r * WIDTH), [TEXTS, r * WIDTH]);
    const flora = () => {
      const tape = new Tape(gpu, { gradients: false });
      floraLayer(tape, { x: constant(x), w: constant(w), a: constant(a), b: constant(b) });
    };
    const lora = () => {
      const inner = matmul(gpu, "nt", x.view([TEXTS, T, WIDTH]), b.view([TEXTS, r, WIDTH]));
      const outer: Tensor = matmul(gpu, "nn", inner, a.view([TEXTS, r, OUT]));
      add(gpu, matmul(gpu, "nt", x, w), outer.view([TEXTS * T, OUT]));
    };
    const [ours, theirs] = await measure(
      gpu,
      [flora, lora].map((record) => ({ kernel: "", shape: "", record: () => gpu.scope(record) })),
    );
    const ratio = (theirs.ms / ours.ms).toFixed(2);
    console.log(
      `  r ${String(r).padEnd(3)} flora ${cell(ours.ms)} ms   lora by batched products ${
        cell(theirs.ms)
      } ms   flora ${ratio} ×`,
    );
  }
}
