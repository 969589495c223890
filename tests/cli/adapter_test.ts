import { assertEquals, assertStringIncludes } from "@std/assert";
import { openSafetensors } from "../../lib/io/safetensors.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { inGguf } from "../helpers/gguf.ts";
import { blocksAndWide } from "../helpers/gguf_model.ts";
import { run } from "./command_line.ts";

const ADAPTER = fixturePath("llama_tied/init/olora");

/** The object that a command prints, and what it notes. */
async function json(...words: string[]) {
  const { code, stdout, stderr } = await run(...words, "--json");
  assertEquals(code, 0, stderr);
  return { said: JSON.parse(stdout), noted: stderr };
}

Deno.test("olora merge widens a quantised base to f32 and says so, where no --dtype is given", async () => {
  const { blocks } = await blocksAndWide();
  await inFolder((folder) =>
    inGguf(blocks, async (path) => {
      const words = ["merge", "--model", path, "--adapter", ADAPTER, "--out", folder];
      const { said, noted } = await json(...words);
      assertEquals(said.dtype, "f32");
      assertStringIncludes(noted, "its weights are widened to f32");
      using file = await openSafetensors(`${folder}/model.safetensors`);
      assertEquals([...new Set([...file.tensors.values()].map(({ dtype }) => dtype))], ["F32"]);
    })
  );
});
