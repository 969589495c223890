import { assert, assertEquals, assertMatch } from "@std/assert";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { openGguf } from "../../lib/io/gguf.ts";
import { readGgufAdapter } from "../../lib/io/gguf_adapter.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { readPeftAdapter } from "../../lib/io/peft.ts";
import { moduleScale, type PeftAdapter } from "../../lib/io/peft_format.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { EPS, expectClose, furthest } from "../helpers/close.ts";
import { run } from "./command_line.ts";

const MODEL = fixturePath("llama_tied");
const DATA = fixturePath("llama_tied/batches.json");

async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(...words, "--json");
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

async function nll(ids: string, ...words: string[]): Promise<number[][]> {
  return (await json("eval", ...words, "--ids", ids)).nll as number[][];
}

/** A trained adapter of the fixture's model, and rows to compare functions on. */
async function trained(...words: string[]): Promise<{ folder: string; adapter: string; ids: string }> {
  const folder = await Deno.makeTempDir();
  const adapter = `${folder}/adapter`;
  await json(
    ...["train", "--model", MODEL, "--data", DATA, "--out", adapter, "--rank", "3", "--alpha", "2"],
    ...["--steps", "4", "--learning-rate", "1e-2", "--targets", "all-linear", ...words],
  );
  const ids = `${folder}/ids.json`;
  await Deno.writeTextFile(ids, JSON.stringify([[1, 5, 9, 13, 2, 40, 7], [3, 3, 8, 20]]));
  return { folder, adapter, ids };
}

/** Has the adapter name a base that is not on this machine. */
async function withoutBase(adapter: string): Promise<void> {
  const path = `${adapter}/adapter_config.json`;
  const config = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...config, base_model_name_or_path: "no/such-model" }));
}

const same = (actual: number[][], expected: number[][], bound: number) =>
  actual.forEach((row, i) => expectClose(row, expected[i], bound, `row ${i}`));

for (const [words, rank] of [[[], 6], [["--freeze", "B"], 3], [["--method", "lora"], 3]] as const) {
  Deno.test(`olora convert and merge keep the function of ${["olora", ...words].join(" ")}`, async () => {
    const { folder, adapter, ids } = await trained(...words);
    const expected = await nll(ids, "--model", MODEL, "--adapter", adapter);
    const base = await nll(ids, "--model", MODEL);
    assert(expected.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-3)));

    const lora = await json("convert", "--adapter", adapter, "--to", "lora", "--out", `${folder}/lora`);
    assertEquals(lora.rank, rank);
    same(await nll(ids, "--model", MODEL, "--adapter", `${folder}/lora`), expected, 1e-5);

    const gguf = await json(
      ...[
        "convert",
        "--adapter",
        adapter,
        "--to",
        "gguf",
        "--model",
        MODEL,
        "--out",
        folder,
        "--dtype",
        "f16",
      ],
    );
    assertEquals([gguf.rank, gguf.dtype, gguf.out], [rank, "f16", `${folder}/adapter.gguf`]);
    using file = await openGguf(`${folder}/adapter.gguf`);
    assertEquals((await file.read("blk.0.attn_q.weight.lora_a")).shape[0], rank);

    await json("merge", "--model", MODEL, "--adapter", adapter, "--out", `${folder}/merged`);
    same(await nll(ids, "--model", `${folder}/merged`), expected, 1e-5);
    await json("merge", "--model", MODEL, "--adapter", adapter, "--out", `${folder}/half`, "--dtype", "f16");
    same(await nll(ids, "--model", `${folder}/half`), expected, 1e-2);

    if (!words.includes("lora" as never)) {
      const words = ["convert", "--adapter", adapter, "--to", "residual", "--out", `${folder}/residual`];
      const { model, adapter: plain } = await json(...words) as Record<string, string>;
      assertEquals([model, plain], [`${folder}/residual/model`, `${folder}/residual/adapter`]);
      same(await nll(ids, "--model", model, "--adapter", plain), expected, 1e-5);
    }
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("olora convert makes DoRA on the untouched base of an olora with magnitudes, which gguf has no form for", async () => {
  const { folder, adapter, ids } = await trained("--magnitude");
  const expected = await nll(ids, "--model", MODEL, "--adapter", adapter);
  const { rank } = await json("convert", "--adapter", adapter, "--to", "lora", "--out", `${folder}/dora`);
  const { use_dora, init_lora_weights } = JSON.parse(
    await Deno.readTextFile(`${folder}/dora/adapter_config.json`),
  );
  assertEquals([rank, use_dora, init_lora_weights], [6, true, true]);
  same(await nll(ids, "--model", MODEL, "--adapter", `${folder}/dora`), expected, 1e-5);
  const words = ["--adapter", adapter, "--to", "gguf", "--model", MODEL, "--out", `${folder}/gguf`];
  const { code, stderr } = await run("convert", ...words);
  assertEquals(code, 1);
  assertMatch(stderr, /error: Cannot make plain LoRA of an adapter with magnitudes/);
  await Deno.remove(folder, { recursive: true });
});

const CUTS = ["--init-warmup", "1", "--final-warmup", "1"];

Deno.test("olora inspect tells of an adalora in PEFT's form, and merge takes it", async () => {
  const plan = [...CUTS, "--mask-interval", "2", "--target-rank", "1"];
  const { folder, adapter, ids } = await trained("--method", "adalora", ...plan);
  const { method, rank, targetRank, steps } = (await json("inspect", adapter)).adapter as Record<
    string,
    unknown
  >;
  assertEquals([method, rank, targetRank, steps], ["adalora", 3, 1, 4]);
  await json("merge", "--model", MODEL, "--adapter", adapter, "--out", `${folder}/merged`);
  const expected = await nll(ids, "--model", MODEL, "--adapter", adapter);
  same(await nll(ids, "--model", `${folder}/merged`), expected, 1e-5);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora inspect tells of an IA³ in PEFT's form", async () => {
  const { adapter } = await json("inspect", fixturePath("peft_ia3"));
  const { method, feedforwardModules, modules } = adapter as Record<string, unknown>;
  assertEquals([method, feedforwardModules, modules], ["ia3", ["down_proj"], 6]);
});

for (
  const [method, ...words] of [
    ["adalora", ...CUTS, "--mask-interval", "1", "--target-rank", "1"],
    ["lora2", ...CUTS, "--mask-interval", "1", "--target-rank", "1", "--learning-rate", "0.3"],
    ["alora", ...CUTS, "--mask-interval", "1", "--moves", "3"],
  ]
) {
  Deno.test(`olora convert makes plain LoRA of what the last cut of ${method} left, for llama.cpp too`, async () => {
    const { folder, adapter, ids } = await trained("--method", method, "--alpha", "6", ...words);
    const expected = await nll(ids, "--model", MODEL, "--adapter", adapter);
    assert(furthest(expected, await nll(ids, "--model", MODEL)) > 1e-3);

    const lora = ["--adapter", adapter, "--to", "lora", "--out", `${folder}/lora`];
    const { rank } = await json("convert", ...lora);
    same(await nll(ids, "--model", MODEL, "--adapter", `${folder}/lora`), expected, 1e-5);
    const plain = await readPeftAdapter(`${folder}/lora`);
    const ranks = [...plain.factors.values()].map(({ a }) => a.shape[0]);
    assertEquals(Math.max(...ranks), rank);
    assert(ranks.some((found) => found !== ranks[0]), `ranks ${ranks}`);

    const to = ["--to", "gguf", "--model", MODEL, "--out", folder];
    const gguf = await json("convert", "--adapter", adapter, ...to);
    assertEquals([gguf.rank, gguf.dtype], [rank, "f32"]);
    const read = await readGgufAdapter(`${folder}/adapter.gguf`, await readModelConfig(MODEL));
    const scaled = ({ config, factors }: PeftAdapter, module: string) =>
      toFloat32(factors.get(module)!.b).map((x) => moduleScale(config, module) * x);
    for (const [module, { a }] of plain.factors) {
      assertEquals(read.factors.get(module)!.a, a);
      const expected = scaled(plain, module);
      expectClose(scaled(read, module), expected, expected.map((x) => 4 * EPS * Math.abs(x)), module);
    }
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("olora convert makes the start again from the base where the folder has none, as PEFT's have", async () => {
  const { folder, adapter, ids } = await trained();
  const expected = await nll(ids, "--model", MODEL, "--adapter", adapter);
  await Deno.remove(`${adapter}/start`, { recursive: true });
  const words = ["--adapter", adapter, "--to", "lora", "--out", `${folder}/lora`];
  await json("convert", ...words);
  same(await nll(ids, "--model", MODEL, "--adapter", `${folder}/lora`), expected, 1e-5);
  await withoutBase(adapter);
  const refused = await run("convert", ...words);
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /error: Cannot convert \S+ without --model: found no start\//);
  await json("convert", ...words, "--model", MODEL);
  same(await nll(ids, "--model", MODEL, "--adapter", `${folder}/lora`), expected, 1e-5);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora convert and merge refuse what they do not know, in one line", async () => {
  const { folder, adapter } = await trained("--steps", "1");
  const { folder: other, adapter: dora } = await trained("--steps", "1", "--method", "dora");
  await withoutBase(adapter);
  const mora = `${folder}/mora`;
  await Deno.mkdir(mora);
  await Deno.writeTextFile(
    `${mora}/kit_adapter.json`,
    JSON.stringify({ format: "olora-kit adapter", method: "mora" }),
  );
  for (
    const [words, message] of [
      [["convert", "--adapter", adapter, "--to", "dora", "--out", `${folder}/x`], "Cannot convert to dora"],
      [["convert", "--adapter", adapter, "--to", "residual", "--out", `${folder}/x`], "without --model"],
      [["convert", "--adapter", adapter, "--to", "gguf", "--out", `${folder}/x`], "to gguf without --model"],
      [
        ["convert", "--adapter", mora, "--to", "lora", "--out", `${folder}/x`],
        "found method mora, expected one of two factors, or adalora, lora2, alora; merge takes any",
      ],
      [["convert", "--adapter", dora, "--to", "lora", "--out", `${folder}/x`], "with magnitudes (use_dora)"],
      [
        ["convert", "--adapter", adapter, "--to", "lora", "--out", `${folder}/x`, "--dtype", "f16"],
        "expected f32 or f16 for gguf, and none for the others",
      ],
      [["merge", "--model", MODEL, "--adapter", adapter, "--out", `${folder}/x`, "--dtype", "q4"], "as q4"],
      [["merge", "--model", MODEL, "--adapter", `${folder}/none`, "--out", `${folder}/x`], "no such file"],
    ] as const
  ) {
    const { code, stderr } = await run(...words);
    assertEquals(code, 1);
    assert(stderr.trim().split("\n").at(-1)!.startsWith("error: ") && stderr.includes(message), stderr);
  }
  await Deno.remove(other, { recursive: true });
  await Deno.remove(folder, { recursive: true });
});
