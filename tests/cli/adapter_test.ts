import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { openSafetensors } from "../../lib/io/safetensors.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { inGguf } from "../helpers/gguf.ts";
import { blocksAndWide } from "../helpers/gguf_model.ts";
import { smollm2 } from "../helpers/smollm2.ts";
import { run } from "./command_line.ts";

const MODEL = fixturePath("llama_tied");
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

Deno.test("olora lists the fields of adapter_config.json that nobody knows, in every command that reads it", () =>
  inFolder(async (folder) => {
    const adapter = `${folder}/adapter`;
    await copyAdapter(ADAPTER, adapter, { brand_new: 1, base_model_name_or_path: MODEL });
    await Deno.writeTextFile(`${folder}/ids.json`, "[[1, 5, 9, 13]]");
    const base = ["--model", MODEL];
    const data = ["--data", fixturePath("llama_tied/batches.json")];
    const commands = [
      ["eval", ...base, "--adapter", adapter, "--ids", `${folder}/ids.json`],
      ["merge", ...base, "--adapter", adapter, "--out", `${folder}/merged`],
      ["convert", "--to", "residual", "--adapter", adapter, "--out", `${folder}/residual`],
      ["inspect", adapter],
      ["train", ...base, ...data, "--init", adapter, "--steps", "1", "--out", `${folder}/trained`],
      [
        "generate",
        "--model",
        "tiny",
        "--adapter",
        `${folder}/tiny`,
        "--prompt",
        "The",
        "--max-new-tokens",
        "1",
      ],
      ["tasks", "--model", "tiny", "--adapter", `${folder}/tiny`, "--tasks", "tiny-piqa", "--limit", "1"],
    ];
    const steps = ["--steps", "0", "--out", `${folder}/of-tiny`];
    await json("train", "--model", "tiny", "--data", "data/tiny/far/test.jsonl", ...steps);
    await copyAdapter(`${folder}/of-tiny`, `${folder}/tiny`, { brand_new: 1 });
    for (const words of commands) {
      const { said, noted } = await json(...words);
      assertEquals(said.unknownFields, ["brand_new"], words[0]);
      assertStringIncludes(noted, "as nobody here knows them: brand_new");
    }
  }));

Deno.test("olora inspect tells what an adapter sets beside rank and alpha, and only that", () =>
  inFolder(async (folder) => {
    const plain = (await json("inspect", ADAPTER)).said.adapter;
    const set = {
      ...{ rank_pattern: { "layers.9.q_proj": 2 }, alpha_pattern: { v_proj: 3 }, use_rslora: true },
      ...{ bias: "lora_only", modules_to_save: ["lm_head"] },
    };
    await copyAdapter(ADAPTER, `${folder}/set`, set);
    const { baseModel, modules, ...beside } = plain;
    assertEquals((await json("inspect", `${folder}/set`)).said.adapter, {
      ...beside,
      ...{ rankPattern: set.rank_pattern, alphaPattern: set.alpha_pattern, rsLora: true },
      ...{ bias: "lora_only", modulesToSave: ["lm_head"], baseModel, modules },
    });
    assertEquals(Object.keys(beside), ["rank", "alpha", "dropout", "targetModules", "init"]);
  }));

Deno.test("olora says of an adapter on the hub that a folder is expected", async () => {
  const words = ["--adapter", "hf:org/lora", "--prompt", "x"];
  const { code, stderr } = await run("generate", "--model", "tiny", ...words);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Cannot load adapter hf:org/lora: expected a folder on this machine");
});

/** The adapter of a folder with other settings. */
async function copyAdapter(from: string, to: string, settings: Record<string, unknown>): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await Deno.copyFile(`${from}/adapter_model.safetensors`, `${to}/adapter_model.safetensors`);
  const config = JSON.parse(await Deno.readTextFile(`${from}/adapter_config.json`));
  await Deno.writeTextFile(`${to}/adapter_config.json`, JSON.stringify({ ...config, ...settings }));
}

Deno.test("olora inspect lists an adapter in llama.cpp's form, and --model says what it is", () =>
  inFolder(async (folder) => {
    const words = ["convert", "--adapter", ADAPTER, "--to", "gguf", "--model", MODEL, "--out", folder];
    const { out } = (await json(...words)).said;
    const { said } = await json("inspect", out);
    assertEquals([said.kind, said.adapter["general.type"], said.adapter["adapter.type"]], [
      "adapter",
      "adapter",
      "lora",
    ]);
    assertEquals(said.tensors.length, 2 * 14);
    const { code, stderr } = await run("generate", "--model", out, "--prompt", "x");
    assertEquals(code, 1);
    assertStringIncludes(
      stderr,
      `Cannot use ${out} as a model: found general.type "adapter", expected "model"`,
    );
  }));

Deno.test("olora generate continues a prompt that looks like an option", async () => {
  const words = ["generate", "--model", "tiny", "--max-new-tokens", "1", "--prompt", "--json"];
  const { code, stdout, stderr } = await run(...words);
  assertEquals([code, stdout.startsWith("--json")], [0, true], stderr);
});

Deno.test("olora generate --adapter continues as the adapter has it, and not as its base", () =>
  inFolder(async (folder) => {
    const base = ["--model", "tiny"];
    const data = [
      "--data",
      "data/tiny/far/test.jsonl",
      "--steps",
      "4",
      "--batch-size",
      "2",
      "--seq-len",
      "32",
    ];
    await json("train", ...base, ...data, "--learning-rate", "0.1", "--out", folder);
    const words = ["generate", ...base, "--prompt", "The animal of Max Crane is a", "--max-new-tokens", "8"];
    const { said: plain } = await json(...words);
    const { said: adapted } = await json(...words, "--adapter", folder);
    assertEquals(adapted.prompt, plain.prompt);
    assertNotEquals(adapted.ids, plain.ids);
  }));

const { path, ignore } = await smollm2();
Deno.test({
  name: "olora generate --chat answers with SmolLM2-135M",
  ignore,
  async fn() {
    const words = ["--chat", "What is the capital of France?", "--max-new-tokens", "16"];
    const { said } = await json("generate", "--model", path, ...words);
    assertStringIncludes(said.text, "Paris");
  },
});
