/** Merged models of each family and type: transformers computes of what was written here what is computed here. */
import { assert } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { type SavedDType, saveModel } from "../../lib/adapters/save_model.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { expectClose, furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { requires } from "../helpers/requires.ts";
import { askPeft, type PeftRead } from "./peft_peer.ts";

/** Nats: float32 against float32 on models whose logits are of order 10. */
const BOUND = 3e-4;

const FAMILIES: Record<string, SavedDType | "stored"> = {
  llama_tied: "f16",
  llama3: "bf16",
  mistral: "f16",
  gemma: "bf16",
  qwen2: "f16",
  qwen3: "stored",
  opt: "bf16",
  gpt2: "f16",
};

const python = requires("python");

Deno.test({
  name:
    "saveModel() merges an adapter into a folder that transformers gives the same likelihoods for, of every family",
  ignore: python.ignore,
  fn: (t) =>
    inFolder(async (folder) => {
      const gpu = await testDevice();
      const { ids: all } = await expected("llama_tied");
      const ids = all.map((row) => row.map((id) => id % 50));
      const ours: Record<string, Float32Array[]> = {};
      const read: PeftRead[] = [];
      for (const [family, dtype] of Object.entries(FAMILIES)) {
        const out = `${folder}/${family}`;
        using model = await loadModel(fixturePath(family), { gpu });
        const base = await score(model, ids);
        {
          using adapter = await attach(model, { method: "olora", rank: 2, targets: "all-linear" });
          for (const { b: { value } } of adapter.branches.values()) {
            gpu.write(value, (await gpu.read(value)).map((x, i) => x + 0.1 * Math.sin(i)));
          }
          await saveModel(model, out, dtype);
        }
        using merged = await loadModel(out, { gpu });
        ours[family] = await score(merged, ids);
        assert(furthest(ours[family], base) > 1e-2, `${family}: the adapter changes nothing`);
        read.push({ name: family, base: out });
      }
      const theirs = (await askPeft(python.path, { ids, read })).read;
      for (const [family, dtype] of Object.entries(FAMILIES)) {
        await t.step(`${family} in ${dtype}`, () =>
          ours[family].forEach((row, i) => expectClose(row, theirs[family][i], BOUND, `row ${i}`)));
      }
    }),
});
