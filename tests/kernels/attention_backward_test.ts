import { assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { attention, attentionBackward } from "../../lib/ops/attention.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./attention_backward_cases.ts";
import { onEachVariant } from "./attention_bounds.ts";

testCases(cases);

Deno.test("attentionBackward() keeps b · h · t floats while it runs and gives the same bits each time", async () => {
  const gpu = await testDevice();
  const [b, t, h, hk, c] = [2, 64, 4, 2, 16];
  const rng = new Rng(12);
  const normal = (shape: number[]) =>
    gpu.upload(Float32Array.from({ length: shape.reduce((x, y) => x * y) }, () => rng.normal()), shape);
  using q = normal([b, t, h, c]);
  using k = normal([b, t, hk, c]);
  using v = normal([b, t, hk, c]);
  using dOut = normal([b, t, h, c]);
  await onEachVariant(gpu, async () => {
    const { out, logSumExp } = attention(gpu, q, k, v);
    const runs: Uint8Array[][] = [];
    for (let run = 0; run < 2; run++) {
      const before = gpu.liveBytes;
      gpu.pool.resetPeak();
      const { dq, dk, dv } = attentionBackward(gpu, { q, k, v, out, logSumExp, dOut });
      assertEquals(gpu.pool.peakBytes - before, 4 * (b * t * (h + 2 * hk) * c + b * h * t));
      runs.push(await Promise.all([dq, dk, dv].map((made) => gpu.readBytes(made))));
      [dq, dk, dv].forEach((made) => made.dispose());
    }
    assertEquals(runs[0], runs[1]);
    out.dispose();
    logSumExp.dispose();
  });
});

Deno.test("attentionBackward() refuses shapes that disagree", async () => {
  const gpu = await testDevice();
  using q = gpu.tensor([1, 4, 2, 8]);
  using logSumExp = gpu.tensor([1, 4, 2]);
  assertThrows(
    () => attentionBackward(gpu, { q, k: q, v: q, out: q, logSumExp, dOut: q }),
    RangeError,
    "logSumExp [b, h, t]: got shape [1, 4, 2], expected h = 2",
  );
});
