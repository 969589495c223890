import { assert, assertEquals } from "@std/assert";
import { makeFiles } from "../../data/make/files.ts";
import { describe, generate, type Manifest } from "../../data/make/make_data.ts";

const DATA = new URL("../../data/", import.meta.url);
const manifest: Manifest = JSON.parse(await Deno.readTextFile(new URL("manifest.json", DATA)));

Deno.test("generate() makes the text and the tokenizer of data/tiny bit for bit", async () => {
  const { contents, manifest: made } = await generate();
  assertEquals(made.splits, manifest.splits);
  for (const [path, bytes] of contents) {
    assertEquals(made.files[path], manifest.files[path], path);
    assertEquals(await Deno.readFile(new URL(path, DATA)), bytes, path);
  }
});

Deno.test("manifest.json names size and sha256 of every file in data/tiny, at most 8 MB in all", async () => {
  const found: string[] = [];
  let total = 0;
  const walk = async (folder: string) => {
    for await (const entry of Deno.readDir(new URL(folder, DATA))) {
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory) await walk(`${path}/`);
      else found.push(path);
    }
  };
  await walk("tiny/");
  assertEquals(found.sort(), Object.keys(manifest.files).sort());
  for (const path of found) {
    const entry = await describe(await Deno.readFile(new URL(path, DATA)));
    assertEquals(entry, manifest.files[path], path);
    total += entry.bytes;
  }
  assert(total <= 8e6, `data/tiny holds ${total} bytes, expected at most 8 MB`);
});

Deno.test("makeFiles() gives rows in which every line is one JSON object with the fields of its form", () => {
  for (const [path, text] of makeFiles().files) {
    if (!path.endsWith(".jsonl")) continue;
    for (const line of text.trimEnd().split("\n")) {
      const keys = Object.keys(JSON.parse(line)).join();
      assert(["text", "prompt,completion", "prompt,choices,answer"].includes(keys), `${path}: ${line}`);
    }
  }
});
