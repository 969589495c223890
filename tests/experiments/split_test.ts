import { assert, assertEquals, assertRejects } from "@std/assert";
import { splitData } from "../../lib/experiments/split.ts";

async function split(name: string, text: string, seed = 1): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/${name}`, text);
  const files = await splitData(`${folder}/${name}`, `${folder}/parts`, seed);
  const parts = await Promise.all(
    [files.train, files.validation, files.test].map((file) => Deno.readTextFile(file)),
  );
  await Deno.remove(folder, { recursive: true });
  return parts;
}

const rows = Array.from({ length: 25 }, (_, i) => JSON.stringify({ text: `row ${i}` }));

Deno.test("splitData() puts each row of a .jsonl file into one of three parts, 8 : 1 : 1", async () => {
  const parts = (await split("a.jsonl", rows.join("\n"))).map((part) => part.trim().split("\n"));
  assertEquals(parts.map(({ length }) => length), [21, 2, 2]);
  assertEquals(parts.flat().sort(), rows.toSorted());
  assert(parts.flat().some((row, i) => row !== rows[i]));
});

Deno.test("splitData() is the same for one seed, and another for another", async () => {
  const text = rows.join("\n");
  assertEquals(await split("a.jsonl", text, 3), await split("a.jsonl", text, 3));
  assert((await split("a.jsonl", text, 3))[2] !== (await split("a.jsonl", text, 4))[2]);
});

Deno.test("splitData() splits lists of rows, batches, and text in pieces from its beginning", async () => {
  const list = await split("a.json", `[${rows}]`);
  assertEquals(list.flatMap((part) => JSON.parse(part)).length, 25);
  const batches = await split("b.json", JSON.stringify({ batches: rows.map((_, i) => [[i, i + 1]]) }));
  assertEquals(batches.flatMap((part) => JSON.parse(part).batches).length, 25);
  const text = Array.from({ length: 50 }, (_, i) => `word${i}`).join(" ");
  assertEquals((await split("a.txt", text)).join(""), text);
});

Deno.test("splitData() refuses fewer than ten rows", async () => {
  await assertRejects(() => split("a.jsonl", rows.slice(0, 9).join("\n")), RangeError, "found 9 rows");
  await assertRejects(() => split("b.json", '{"rows": []}'), RangeError, "expected a list of rows");
});

Deno.test("splitData() refuses a part of the rows, and parquet", async () => {
  for (const path of ["rows.jsonl[:20]", "rows.jsonl[3:]", "hf:datasets/org/name/rows.parquet@main"]) {
    await assertRejects(
      () => splitData(path, "out", 1),
      RangeError,
      `Cannot split ${path}: expected the whole`,
    );
  }
});
