import { constant, type Gpu, Tape, type Tensor } from "../../mod.ts";
import { floraLayer } from "../../lib/adapters/flora.ts";
import { add } from "../../lib/ops/add.ts";
import { matmul } from "../../lib/ops/matmul.ts";
import { median, noise } from "./measure.ts";

const [TEXTS, T, WIDTH, OUT] = [16, 64, 128, 344];
const REPEATS = 20;
const ROUNDS = 5;

/**
 * A layer of 344 × 128 on 16 texts of 64 tokens with an adapter of its own for each: flora, one product for all, beside
 * LoRA, two batched products beside one with W. In turns.
 */
export async function compareFlora(gpu: Gpu): Promise<void> {
  console.log(`\nAn adapter for each of ${TEXTS} texts of ${T} tokens, layer ${OUT} x ${WIDTH}, forward`);
  using x = gpu.upload(noise(TEXTS * T * WIDTH), [TEXTS * T, WIDTH]);
  using w = gpu.upload(noise(OUT * WIDTH), [OUT, WIDTH]);
  const cell = (seconds: number) => (1000 * seconds).toFixed(2).padStart(10);
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
    const [ours, theirs]: number[][] = [[], []];
    for (let round = -1; round < ROUNDS; round++) {
      for (const [record, times] of [[flora, ours], [lora, theirs]] as const) {
        const start = performance.now();
        for (let i = 0; i < REPEATS; i++) gpu.scope(record);
        await gpu.settled();
        if (round >= 0) times.push((performance.now() - start) / 1000 / REPEATS);
      }
    }
    const ratio = (median(theirs) / median(ours)).toFixed(2);
    console.log(
      `  r ${String(r).padEnd(3)} flora ${cell(median(ours))} ms   lora by batched products ${
        cell(median(theirs))
      } ms   flora ${ratio} ×`,
    );
  }
}
