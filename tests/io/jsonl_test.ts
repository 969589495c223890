import { assert, assertEquals, assertThrows } from "@std/assert";
import { appendLine, parseJsonl, readJsonl } from "../../lib/io/jsonl.ts";

Deno.test("parseJsonl() numbers lines from 1, skips empty ones, takes CR LF and a byte order mark", () => {
  assertEquals(parseJsonl('\uFEFF{"a":1}\r\n\r\n{"a":2}', "x.jsonl"), [
    { line: 1, value: { a: 1 } },
    { line: 3, value: { a: 2 } },
  ]);
});

Deno.test("parseJsonl() names the file and the line that is not JSON", () => {
  assertThrows(
    () => parseJsonl('{"a":1}\n{"a"\n', "x.jsonl"),
    SyntaxError,
    'Cannot read x.jsonl line 2: expected JSON, found "{\\"a\\""',
  );
});

Deno.test("parseJsonl() with dropUnfinished leaves out only a last line without its newline", () => {
  const options = { dropUnfinished: true };
  assertEquals(parseJsonl('{"a":1}\n{"a"', "x", options).length, 1);
  assertThrows(() => parseJsonl('{"a":1}\n{"a"\n', "x", options), SyntaxError, "line 2");
});

/** Content of a file after a kill, and what it holds once row 9 has been appended. */
const CASES: [string, string, string][] = [
  ["an empty file", "", '{"row":9}\n'],
  ["whole rows", '{"row":1}\n', '{"row":1}\n{"row":9}\n'],
  ["a row cut off", '{"row":1}\n{"ro', '{"row":1}\n{"row":9}\n'],
  ["a first row cut off", '{"ro', '{"row":9}\n'],
  ["a row that lacks only its newline", '{"row":1}\n{"row":2}', '{"row":1}\n{"row":2}\n{"row":9}\n'],
  ["a number that may be cut off", "1\n12", '1\n{"row":9}\n'],
  ["a row cut off inside a character", '{"row":1}\n{"row":"é', '{"row":1}\n{"row":9}\n'],
];
for (const [what, before, after] of CASES) {
  Deno.test(`appendLine() after ${what}`, async () => {
    const path = await Deno.makeTempFile();
    const bytes = new TextEncoder().encode(before);
    await Deno.writeFile(path, what.includes("character") ? bytes.subarray(0, -1) : bytes);
    appendLine(path, { row: 9 });
    assertEquals(await Deno.readTextFile(path), after);
    await Deno.remove(path);
  });
}

Deno.test("appendLine() repairs a cut-off row longer than the block it reads", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, '{"row":1}\n{"row":"' + "x".repeat(200_000));
  appendLine(path, { row: 9 }, { row: 10 });
  assertEquals((await readJsonl(path)).map(({ value }) => (value as { row: number }).row), [1, 9, 10]);
  await Deno.writeTextFile(path, JSON.stringify({ row: "x".repeat(200_000) }));
  appendLine(path, { row: 9 });
  assertEquals((await readJsonl(path)).length, 2);
  await Deno.remove(path);
});

Deno.test("appendLine() from several processes at once, some killed, loses and doubles no acknowledged row", async () => {
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  const module = new URL("../../lib/io/jsonl.ts", import.meta.url).href;
  const code = `import { appendLine } from "${module}";
    for (let i = 0; ; i++) { appendLine(Deno.args[0], { by: Deno.pid, i }); console.log(i); }`;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, code);
  const writers = [0, 1].map(() =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-read", "--allow-write", script, path],
      stdout: "piped",
      stderr: "null",
    }).spawn()
  );
  const acknowledged = await Promise.all(writers.map(async (writer) => {
    let said = "";
    for await (const chunk of writer.stdout.pipeThrough(new TextDecoderStream())) {
      said += chunk;
      if (said.split("\n").length > 30) writer.kill("SIGKILL");
    }
    await writer.status;
    return said.split("\n").slice(0, -1).map((i) => `${writer.pid} ${i}`);
  }));
  assert(
    acknowledged.every((rows) => rows.length >= 30),
    `too few rows: ${acknowledged.map((rows) => rows.length)}`,
  );
  appendLine(path, { by: 0, i: 0 });
  const rows = (await readJsonl(path)).map(({ value }) => value as { by: number; i: number });
  const found = rows.map(({ by, i }) => `${by} ${i}`);
  assertEquals(new Set(found).size, found.length);
  assertEquals(acknowledged.flat().filter((row) => !found.includes(row)), []);
  await Deno.remove(path);
  await Deno.remove(script);
});
