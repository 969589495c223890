import { assert, assertEquals } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { readCheckpoint, removeCheckpoint, saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { Trainer } from "../../lib/train/train.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

/** Does `work` and dies at its call number `at` that renames or removes something, a folder half removed. */
async function killedAt(at: number, work: () => Promise<void>): Promise<boolean> {
  const { rename, remove } = Deno;
  let calls = 0;
  const step = async (path: string, call: () => Promise<void>) => {
    if (++calls < at) return await call();
    await remove(`${path}/numbers.safetensors`).catch(() => {});
    throw new Error("killed");
  };
  Deno.rename = (from, to) => ++calls < at ? rename(from, to) : Promise.reject(new Error("killed"));
  Deno.remove = (path, options) => step(String(path), () => remove(path, options));
  try {
    await work();
    return false;
  } catch (error) {
    assertEquals((error as Error).message, "killed");
    return true;
  } finally {
    Object.assign(Deno, { rename, remove });
  }
}

Deno.test("saveCheckpoint() killed at any moment, and killed again, leaves a whole checkpoint", async () => {
  using model = await loadModel(fixturePath("llama_tied"), { gpu: await testDevice() });
  using adapter = await attach(model, { method: "lora", rank: 2 });
  using trainer = new Trainer(adapter, [].values(), { steps: 1 }, 0);
  const out = await Deno.makeTempDir();
  const folder = `${out}/checkpoint`;
  const save = () => saveCheckpoint(folder, trainer, "run");
  const killed = new Set<number>();
  for (let first = 1;; first++) {
    await removeCheckpoint(folder);
    await save();
    if (!await killedAt(first, save)) break;
    for (let second = 1;; second++) {
      const isKilled = await killedAt(second, save);
      const found = await readCheckpoint(folder);
      assert(found, `none after kills at ${first} and ${second}`);
      await Deno.stat(`${found.folder}/numbers.safetensors`);
      if (!isKilled) break;
      killed.add(first);
    }
  }
  assert(killed.size >= 4, `${killed.size} moments`);
  await removeCheckpoint(folder);
  assertEquals([...Deno.readDirSync(out)], []);
  await Deno.remove(out, { recursive: true });
});
