import { assert, assertEquals } from "@std/assert";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { quantize } from "../../lib/core/quantize.ts";
import { batchesInOrder } from "../../lib/datasets/batches.ts";
import { loadDataset } from "../../lib/datasets/load.ts";
import { quantizationErrors } from "../../lib/experiments/quantization.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { quantizeModel } from "../../lib/nn/quantize.ts";
import { meanLoss } from "../../lib/train/evaluate.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";

Deno.test("quantizationErrors() has the norms of W − W̃ by layer and in all: those of plain quantisation and of loftq follow from the singular values of what NF4 loses", async () => {
  const gpu = await testDevice();
  using model = await loadModel("tiny", { gpu });
  const path = decodeURIComponent(
    new URL("../../data/tiny/general/held_out.jsonl", import.meta.url).pathname,
  );
  const rows = await loadDataset(path, model.tokenizer, { seqLen: 64 });
  const [first] = batchesInOrder(rows, { batchSize: 8, seqLen: 64 });
  const before = gpu.liveBytes;
  const found = await Array.fromAsync(quantizationErrors(model, {
    ...{ dtypes: ["nf4"], starts: ["olora", "loftq"], ranks: [1, 8], targets: ["v_proj"], batches: [first] },
  }));
  assertEquals(gpu.liveBytes, before);
  assertEquals(found.map(({ start, rank }) => [start, rank]), [
    ["none", 0],
    ["olora", 1],
    ["olora", 8],
    ["loftq", 1],
    ["loftq", 8],
  ]);

  const lost: { s: Float64Array; rounding: number }[] = [];
  for (let layer = 0; layer < model.config.layers; layer++) {
    const weight = model.weights.get(`model.layers.${layer}.self_attn.v_proj.weight`)!;
    const [m, n] = weight.shape;
    const w = await gpu.read(weight);
    const q = toFloat32(quantize("w", [m, n], w, "nf4"));
    const { s } = svd(Float64Array.from(w, (x, i) => x - q[i]), { m, n });
    // Factors of rank r and their sum with Q, in f32; the nuclear norm of that error is at most √min(m, n) of its own.
    lost.push({ s, rounding: 4 * EPS * Math.hypot(...w) });
  }
  const [plain, , olora8, loftq1, loftq8] = found;
  for (const [row, rank] of [[plain, 0], [loftq1, 1], [loftq8, 8]] as const) {
    const rest = lost.map(({ s }) => [...s.slice(rank)]);
    const frobenius = rest.map((s) => Math.hypot(...s));
    const nuclear = rest.map((s) => s.reduce((sum, x) => sum + x, 0));
    const bounds = lost.map(({ rounding }) => rounding);
    const wide = lost.map(({ rounding, s }) => rounding * Math.sqrt(s.length));
    expectClose(row.layers.map((layer) => layer.frobenius), frobenius, bounds, "‖W − W̃‖");
    expectClose(row.layers.map((layer) => layer.nuclear), nuclear, wide, "‖W − W̃‖*");
    expectClose([row.frobenius], [Math.hypot(...frobenius)], Math.hypot(...bounds), "‖W − W̃‖ in all");
    const total = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0);
    expectClose([row.nuclear], [total(nuclear)], total(wide), "‖W − W̃‖* in all");
    assertEquals(row.relativeNuclear, row.nuclear / plain.nuclear);
    assertEquals(row.layers[2].relativeFrobenius, row.layers[2].frobenius / plain.layers[2].frobenius);
  }
  assert(loftq8.relativeNuclear < loftq1.relativeNuclear && loftq1.relativeNuclear < 1);
  assert(olora8.relativeNuclear < 1);

  using quantized = await quantizeModel(model, "nf4");
  assertEquals(plain.loss, (await meanLoss(quantized, [first])).mean);
  assert(plain.loss !== (await meanLoss(model, [first])).mean);
});
