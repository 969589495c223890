import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { type CountedRow, scoreContinuations } from "../../lib/nn/score_continuations.ts";
import { bound, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

/** A row whose tokens from `first` on count. */
const row = (ids: number[], first: number): CountedRow => ({ ids, mask: ids.map((_, i) => i >= first) });

/** Longer than Mistral's window here. */
const BEGUN = [46, 50, 14, 31, 35, 2, 17, 44, 9, 28, 51];
const N = BEGUN.length;
const GROUPS: CountedRow[][] = [
  [row([...BEGUN, 7, 9, 3], N), row([...BEGUN, 7, 8], N), row([...BEGUN, 12], N)],
  [row([...BEGUN, 30, 31, 32], N + 1), row([...BEGUN, 30, 33], N + 1)],
  [row([5, 6], 1), row([9, 6, 4, 2], 1)],
  [row([20, 21, 22, 23, 24, 25, 26], 6)],
  [row([1, 2, 3, 4], 2), row([1, 2, 3, 4], 3)],
  [row([8, 9], 2), row([8, 7, 6], 2)],
];

for (const family of ["llama_tied", "mistral", "gpt2", "gemma"]) {
  Deno.test(`scoreContinuations() of ${family} adds up what score() gives each row, however it is batched`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu });
    const alone = await score(model, GROUPS.flat().map(({ ids }) => ids));
    const sums = GROUPS.flat().map(({ mask }, i) =>
      alone[i].reduce((sum, x, t) => mask[t + 1] ? sum + x : sum, 0)
    );
    const bounds = bound(model.config.layers * model.config.width, sums);
    for (const batchTokens of [1, 24, 1024]) {
      const done: number[] = [];
      const found = await scoreContinuations(model, GROUPS, { batchTokens, onProgress: (n) => done.push(n) });
      assertEquals(found.map((each) => each.length), GROUPS.map((rows) => rows.length));
      expectClose(found.flat(), sums, bounds, `batches of ${batchTokens}`);
      assertEquals(done.at(-1), GROUPS.length);
    }
    assertEquals(await scoreContinuations(model, [[row([8, 9], 2)], []]), [[0], []]);
  });
}

Deno.test("scoreContinuations() scores what is attached, or the base where asked to, and leaves nothing behind", async () => {
  const gpu = await testDevice();
  using model = await loadModel(fixturePath("llama_tied"), { gpu });
  const base = await scoreContinuations(model, GROUPS);
  using adapter = await attach(model, { method: "lora", rank: 2 });
  for (const { b } of adapter.branches.values()) gpu.write(b.value, new Float32Array(b.value.size).fill(0.1));
  const live = gpu.pool.liveBytes;
  const tuned = await scoreContinuations(model, GROUPS);
  assertEquals(gpu.pool.liveBytes, live);
  assert(tuned.flat().some((x, i) => Math.abs(x - base.flat()[i]) > 1e-3));
  const again = await scoreContinuations(model, GROUPS, { changes: null });
  assertEquals(again, base);
});

Deno.test("scoreContinuations() refuses ids outside the vocabulary and rows past the context", async () => {
  using model = await loadModel(fixturePath("llama_tied"), { gpu: await testDevice() });
  const { context, vocabularySize } = model.config;
  const outside = [[row([1, vocabularySize], 1)]];
  await assertRejects(() => scoreContinuations(model, outside), RangeError, `got ${vocabularySize}`);
  const long = [[row(Array(context + 2).fill(1), 1)]];
  await assertRejects(() => scoreContinuations(model, long), RangeError, `expected at most ${context}`);
});
