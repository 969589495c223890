import { assert, assertEquals, assertThrows } from "@std/assert";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { permuteWeight, randomPermutations } from "../../lib/nn/permute.ts";
import { score } from "../../lib/nn/score.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, modelFolder } from "../helpers/fixtures.ts";

for (const name of ["llama_tied", "llama_untied"] as const) {
  Deno.test(`randomPermutations() keeps the function of ${name}`, async () => {
    const gpu = await testDevice();
    const { ids, nll } = await expected(name);
    for (const permutation of [1, 2]) {
      using model = await loadModel(modelFolder(name)!, { gpu, permutation });
      (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], 1e-5, `row ${i}`));
    }
  });
}

Deno.test("permuteWeight() moves every weight but keeps its elements", async () => {
  const folder = modelFolder("llama_untied")!;
  const orders = randomPermutations(await readModelConfig(folder), 3);
  using file = await openModelTensors(folder);
  for (const name of file.tensors.keys()) {
    const before = await file.read(name);
    const after = permuteWeight(name, before, orders);
    const numbers = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer).sort();
    assertEquals(numbers(after.bytes), numbers(before.bytes));
    if (before.shape.length === 2) assert(after.bytes.some((byte, i) => byte !== before.bytes[i]), name);
  }
});

Deno.test("permuteWeight() refuses to take columns out of their blocks", () => {
  const w = { dtype: "q4_0", shape: [4, 32], bytes: new Uint8Array(4 * 18) } as const;
  const orders = { family: "llama" as const, width: [...Array(32).keys()], layers: [] };
  assertThrows(
    () => permuteWeight("model.embed_tokens.weight", w, orders),
    TypeError,
    "Cannot permute columns stored as q4_0: expected f32, f16 or bf16",
  );
});
