import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { loadDataset } from "../../lib/datasets/load.ts";
import { loadMultipleChoice } from "../../lib/datasets/multiple_choice.ts";
import { dataFileName, firstRows, parseRows, resolveData } from "../../lib/io/data_file.ts";
import { resolveModel } from "../../lib/io/model_folder.ts";
import { makeTokenizer } from "../../lib/io/tokenizer.ts";
import { byteTokenizer } from "./byte_tokenizer.ts";
import { COMMIT, REPO, startHub } from "../helpers/hub.ts";
import { inFolder, settingsOf } from "../helpers/hub_client.ts";

const tokenizer = makeTokenizer(byteTokenizer());

Deno.test("parseRows() takes the rows from the end of a specification, and firstRows() puts fewer there", () => {
  const cases: [string, string, number, number][] = [
    ["a/b.jsonl", "a/b.jsonl", 0, Infinity],
    ["b.jsonl[16:]", "b.jsonl", 16, Infinity],
    ["b.jsonl[:16]", "b.jsonl", 0, 16],
    ["hf:datasets/o/n/b.json@v[1]x[3:5]", "hf:datasets/o/n/b.json@v[1]x", 3, 5],
    ["b[1:2]/c.jsonl", "b[1:2]/c.jsonl", 0, Infinity],
  ];
  for (const [spec, file, from, to] of cases) assertEquals(parseRows(spec), { file, from, to });
  for (const spec of ["b.jsonl[3:3]", "b.jsonl[4:3]", "b.jsonl[:0]"]) {
    assertThrows(() => parseRows(spec), RangeError, `Cannot read ${spec}: found rows`);
  }
  assertEquals(firstRows("b.jsonl", 4), "b.jsonl[0:4]");
  assertEquals(firstRows("b.jsonl[16:]", 4), "b.jsonl[16:20]");
  assertEquals(firstRows("b.jsonl[16:18]", 4), "b.jsonl[16:18]");
  assertEquals(dataFileName("hf:datasets/o/n/a/b.parquet@refs/convert/parquet[:2]"), "b.parquet");
  assertEquals(dataFileName("a\\b.jsonl"), "b.jsonl");
});

Deno.test("loadDataset() reads a part of the rows, whatever holds them", () =>
  inFolder(async (folder) => {
    const texts = ["aa", "bb", "cc", "dd"];
    const rows = texts.map((completion) => ({ prompt: "p", completion }));
    const files = {
      "x.jsonl": rows.map((row) => JSON.stringify(row)).join("\n"),
      "x.json": JSON.stringify(rows),
      "x.parquet": new Uint8Array(parquetWriteBuffer({
        columnData: [{ name: "prompt", data: texts.map(() => "p") }, { name: "completion", data: texts }],
      })),
    };
    for (const [name, content] of Object.entries(files)) {
      const path = `${folder}/${name}`;
      await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
      const read = async (part: string) =>
        (await loadDataset(path + part, tokenizer)).groups[0].map(({ ids }) =>
          tokenizer.decode(ids).slice(-2)
        );
      assertEquals(await read(""), texts, name);
      assertEquals(await read("[1:3]"), ["bb", "cc"], name);
      assertEquals(await read("[3:9]"), ["dd"], name);
      await assertRejects(() => read("[4:]"), RangeError, `Cannot read ${path} from row 4 on: found 4 rows`);
    }
    await Deno.writeTextFile(`${folder}/x.txt`, "one\ntwo\nthree");
    const { groups: [[{ ids }]] } = await loadDataset(`${folder}/x.txt[1:2]`, tokenizer);
    assertEquals(tokenizer.decode(ids), "two");
    const batches = [[[1, 2]], [[3, 4]], [[5, 300]]];
    await Deno.writeTextFile(`${folder}/b.json`, JSON.stringify({ batches }));
    const read = await loadDataset(`${folder}/b.json[1:2]`);
    assertEquals(read.groups.map(([{ ids }]) => ids), [[3, 4]]);
    await assertRejects(
      () => loadDataset(`${folder}/b.json[2:]`, undefined, { vocabularySize: 256 }),
      RangeError,
      "batch 3 row 1",
    );
    await assertRejects(() => loadDataset(`${folder}/x.parquet`), TypeError, "needs a tokenizer");
  }));

Deno.test("resolveData() fetches a dataset's file from the hub, and asks for that of a commit once", () =>
  inFolder(async (cache) => {
    const items = [["right", "wrong"], ["no", "yes"]].map((choices) => ({ prompt: "p", choices, answer: 1 }));
    const jsonl = items.map((item) => JSON.stringify(item)).join("\n");
    const parquet = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: "text", data: ["aa", "bb"] }] }),
    );
    await using hub = await startHub({
      kind: "dataset",
      files: { "part/items.jsonl": jsonl, "part/rows.parquet": parquet, "README.md": "not needed" },
    });
    const settings = await settingsOf(hub, cache);
    const name = `hf:datasets/${REPO}/part/items.jsonl`;
    const path = await resolveData(`${name}[1:]`, { settings });
    assertEquals(path, `${cache}/datasets--org--model/snapshots/${COMMIT}/part/items.jsonl`);
    assertEquals(await Deno.readTextFile(path), jsonl);
    const found = await loadMultipleChoice(`${path}[1:]`, tokenizer);
    assertEquals(found.map(({ task, answer, bytes }) => [task, answer, bytes]), [["items", 1, [2, 3]]]);
    const large = await resolveData(`hf:datasets/${REPO}/part/rows.parquet@refs/pr/1`, { settings });
    assertEquals(await Deno.readFile(large), parquet);
    const asked = hub.seen.length;
    assertEquals(await resolveData(`${name}@${COMMIT}`, { settings }), path);
    assertEquals(hub.seen.length, asked);
    await assertRejects(
      () => resolveData(`hf:datasets/${REPO}/part/none.jsonl`, { settings }),
      Deno.errors.NotFound,
      `Cannot load data hf:datasets/${REPO}/part/none.jsonl: found no part/none.jsonl, expected one of the files ` +
        "of its folder: part/items.jsonl, part/rows.parquet",
    );
    await assertRejects(
      () => resolveData("hf:datasets/org/none/x.jsonl", { settings }),
      Deno.errors.NotFound,
      "there is no dataset org/none",
    );
    await assertRejects(() => resolveData(`hf:${REPO}`, { settings }), RangeError, "found a model");
    await assertRejects(() => resolveModel(name, { settings }), RangeError, "found data");
  }));
