import { assertLess } from "@std/assert";
import { fileURLToPath } from "node:url";
import { smollm2 } from "../helpers/smollm2.ts";

const { path, ignore } = await smollm2();
const PEER = fileURLToPath(new URL("load_memory_peer.ts", import.meta.url));

/** Allowed beside the device's bytes and the largest tensor: a tokenizer of 49,152 pieces takes a third. */
const ALLOWED = 300e6;

Deno.test({
  name:
    "loading SmolLM2-135M takes at most its largest tensor and 300 MB of host memory beside the device's bytes",
  ignore: ignore || Deno.build.os !== "linux",
  async fn(t) {
    const folder = await Deno.makeTempDir();
    await t.step("from blocks of GGUF, and merging into f16 takes one f32 tensor at a time", async () => {
      const { loading, largest, merging } = await peer(path, folder);
      assertLess(loading, largest + ALLOWED);
      // The embedding, 49,152 × 576, in f32 on the device, on its way from there, and read; and what the device holds.
      assertLess(merging, loading + 4 * 4 * 49_152 * 576);
    });
    await t.step("from safetensors in f16", async () => {
      const { loading, largest } = await peer(folder);
      assertLess(loading, largest + ALLOWED);
    });
    await Deno.remove(folder, { recursive: true });
  },
});

async function peer(...args: string[]): Promise<{ loading: number; largest: number; merging: number }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", PEER, ...args],
    stderr: "inherit",
  });
  return JSON.parse(new TextDecoder().decode((await command.output()).stdout));
}
