import { assertEquals, assertThrows } from "@std/assert";
import { RunIdentities } from "../../lib/experiments/identity.ts";
import {
  addRows,
  gather,
  parsePart,
  type Part,
  partFile,
  readRows,
  runsOfPart,
} from "../../lib/experiments/parts.ts";
import { fakeRow, PLACE } from "./fake_rows.ts";

Deno.test("parsePart() reads I/N and refuses what is no part", () => {
  assertEquals(parsePart("3/12"), { index: 3, of: 12 });
  for (const text of ["0/3", "4/3", "1", "1/0", "-1/3", "1.5/3", "a/b", ""]) {
    assertThrows(() => parsePart(text), RangeError, "expected I/N");
  }
});

Deno.test("runsOfPart() gives each run to one part, in order, and parts that differ by one run at most", () => {
  for (const [runs, of] of [[12, 12], [12, 5], [13, 4], [1, 1], [3, 7], [0, 2]]) {
    const parts = Array.from({ length: of }, (_, i) => runsOfPart(runs, { index: i + 1, of }));
    assertEquals(parts.flat(), Array.from({ length: runs }, (_, i) => i));
    const sizes = parts.map(({ length }) => length);
    assertEquals(Math.max(...sizes) - Math.min(...sizes) <= 1, true);
  }
});

Deno.test("addRows() adds each run once, also when several write at the same time", async () => {
  const work = await Deno.makeTempDir();
  const rows = await Promise.all(["a", "b", "c"].map((key) => fakeRow(key)));
  const path = `${work}/rows.jsonl`;
  await addRows(path, [rows[0], rows[0]], work);
  await Promise.all([rows, rows.toReversed(), rows].map((list) => addRows(path, list, work)));
  assertEquals((await readRows(path)).map(({ run }) => run).sort(), rows.map(({ run }) => run).sort());
  await Deno.remove(work, { recursive: true });
});

Deno.test("gather() appends the rows of all parts in the order of the runs, none lost or doubled when it is cut off", async () => {
  const work = await Deno.makeTempDir();
  const keys = ["a", "b", "c", "d"];
  const identities = new RunIdentities(keys);
  const [a, b, c, d] = await Promise.all(keys.map((key) => fakeRow(key)));
  const elsewhere = await fakeRow("b", { ...PLACE, device: "another" });
  const stranger = await fakeRow("x");
  const put = (part: Part, rows: unknown[]) =>
    Deno.writeTextFile(partFile(work, part), rows.map((row) => JSON.stringify(row) + "\n").join(""));
  await Deno.mkdir(`${work}/parts`);
  await put({ index: 1, of: 2 }, [c, a, stranger]);
  await put({ index: 2, of: 2 }, [d, elsewhere, b]);
  await put({ index: 1, of: 4 }, [a]);
  const files = { rows: `${work}/rows.jsonl`, work };
  const whole = [a, elsewhere, b, c, d];
  await gather(files, identities);
  assertEquals(await readRows(files.rows), whole);
  const text = await Deno.readTextFile(files.rows);
  for (const cut of [0, 1, 100, text.indexOf("\n"), text.indexOf("\n") + 1, text.length - 1]) {
    await Deno.writeTextFile(files.rows, text.slice(0, cut));
    await gather(files, identities);
    await gather(files, identities);
    assertEquals(await readRows(files.rows), whole, `cut at ${cut}`);
  }
  await Deno.remove(work, { recursive: true });
});
