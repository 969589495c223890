import { blockDTypes } from "../../lib/core/dtype.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { dequantize } from "../../lib/ops/dequantize.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { type BenchRow, measure } from "./measure.ts";

/** Blocks of every format widened to f32, in the shapes of SmolLM2-135M's (Q4_K and Q6_K want whole 256s). */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const dtype of blockDTypes) {
    const [out, width] = [576, 1536];
    using w = gpu.uploadHost(randomBlocks(new Rng(1), [out, width], dtype));
    rows.push(
      ...await measure(gpu, [{
        kernel: "dequantize",
        shape: `[${out}, ${width}] ${dtype}`,
        bytes: w.byteLength + 4 * out * width,
        record: () => dequantize(gpu, w).dispose(),
      }]),
    );
  }
  return rows;
}
