import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { hostTensor } from "../../lib/core/host_tensor.ts";
import { openModelTensors, parseIndex } from "../../lib/io/model_tensors.ts";
import { writeSafetensors } from "../../lib/io/safetensors.ts";

const INDEX = "model.safetensors.index.json";

/** A folder of two shards, a and b in the first and c in the second; `weightMap` replaces the index's. */
async function sharded(test: (folder: string) => Promise<void>, weightMap?: unknown): Promise<void> {
  const folder = await Deno.makeTempDir();
  const [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  await writeSafetensors(
    `${folder}/${one}`,
    new Map([["a", hostTensor([1], [1])], ["b", hostTensor([1], [2])]]),
  );
  await writeSafetensors(`${folder}/${two}`, new Map([["c", hostTensor([1], [3])]]));
  const weight_map = weightMap ?? { a: one, b: one, c: two };
  await Deno.writeTextFile(
    `${folder}/${INDEX}`,
    JSON.stringify({ metadata: { total_size: 12 }, weight_map }),
  );
  await test(folder);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("openModelTensors() gives one view over all shards", () =>
  sharded(async (folder) => {
    using model = await openModelTensors(folder);
    assertEquals([...model.tensors.keys()], ["a", "b", "c"]);
    assertEquals(await model.read("c"), hostTensor([1], [3]));
    await assertRejects(() => model.read("d"), RangeError, "Cannot read tensor d");
  }));

Deno.test("openModelTensors() reads a single file and prefers it to an index", () =>
  sharded(async (folder) => {
    await writeSafetensors(`${folder}/model.safetensors`, new Map([["w", hostTensor([1], [9])]]));
    using model = await openModelTensors(folder);
    assertEquals([...model.tensors.keys()], ["w"]);
  }));

Deno.test("openModelTensors() names a missing shard", () =>
  sharded(async (folder) => {
    await Deno.remove(`${folder}/model-00002-of-00002.safetensors`);
    await assertRejects(
      () => openModelTensors(folder),
      Deno.errors.NotFound,
      "model-00002-of-00002.safetensors: missing",
    );
  }));

Deno.test("openModelTensors() names a tensor that its shard lacks", () =>
  sharded(async (folder) => {
    await assertRejects(() => openModelTensors(folder), SyntaxError, "Cannot read tensor d");
  }, { d: "model-00001-of-00002.safetensors" }));

Deno.test("openModelTensors() refuses a tensor that two shards hold", () =>
  sharded(async (folder) => {
    await writeSafetensors(
      `${folder}/model-00002-of-00002.safetensors`,
      new Map([
        ["c", hostTensor([1], [3])],
        ["a", hostTensor([1], [3])],
      ]),
    );
    await assertRejects(() => openModelTensors(folder), SyntaxError, "both hold it");
  }));

Deno.test("openModelTensors() says what it looked for in a folder without weights", async () => {
  const folder = await Deno.makeTempDir();
  await assertRejects(
    () => openModelTensors(folder),
    Deno.errors.NotFound,
    "found neither, expected model.safetensors",
  );
  await Deno.writeTextFile(`${folder}/pytorch_model-00001-of-00002.bin`, "");
  await assertRejects(
    () => openModelTensors(folder),
    Deno.errors.NotFound,
    "found weights only as .bin, Python's pickle",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("parseIndex() refuses shards outside the folder and malformed text", () => {
  const index = (map: unknown) => JSON.stringify({ weight_map: map });
  assertThrows(() => parseIndex(index({ a: "../x.safetensors" }), "i"), SyntaxError, "../x.safetensors");
  assertThrows(() => parseIndex(index({ a: "x.bin" }), "i"), SyntaxError, "x.bin");
  assertThrows(() => parseIndex(index({ a: 1 }), "i"), SyntaxError, "tensor a is in 1");
  assertThrows(() => parseIndex(index([]), "i"), SyntaxError, "weight_map");
  assertThrows(() => parseIndex("null", "i"), SyntaxError, "found null");
  assertThrows(() => parseIndex("{", "i"), SyntaxError, "expected JSON");
});
