import { assertEquals, assertThrows } from "@std/assert";
import { isHubName, parseHubName } from "../../lib/io/hub_name.ts";

Deno.test("parseHubName() takes a name apart", () => {
  const cases: [string, string, string, string | undefined][] = [
    ["hf:org/name", "org/name", "main", undefined],
    ["hf:Qwen/Qwen2.5-0.5B_x@v1.0", "Qwen/Qwen2.5-0.5B_x", "v1.0", undefined],
    ["hf:org/name@refs/pr/1", "org/name", "refs/pr/1", undefined],
    ["hf:org/name/q4/m.Q4_1.GGUF@abc", "org/name", "abc", "q4/m.Q4_1.GGUF"],
    ["hf:org/name/m.gguf", "org/name", "main", "m.gguf"],
  ];
  for (const [spec, repo, revision, file] of cases) {
    assertEquals([isHubName(spec), parseHubName(spec)], [true, { kind: "model", repo, revision, file }]);
  }
  assertEquals(parseHubName("hf:datasets/org/name/a b/x.parquet@refs/convert/parquet"), {
    ...{ kind: "dataset", repo: "org/name", revision: "refs/convert/parquet", file: "a b/x.parquet" },
  });
  assertEquals(parseHubName("hf:datasets/name").repo, "datasets/name");
  assertEquals(isHubName("org/name"), false);
});

Deno.test("parseHubName() refuses other forms, and parts that lead out of a folder", () => {
  const forms = [
    "hf:",
    "hf:name",
    "hf:org/",
    "hf:/name",
    "hf:org/name/x.bin",
    "hf:org/name@",
    "hf:../name",
    "hf:org/..",
  ];
  for (const spec of [...forms, "hf:org/a..b", "hf:org/na me", "hf:org\\x/name"]) {
    assertThrows(() => parseHubName(spec), RangeError, `Cannot load model ${spec}: expected hf:org/name`);
  }
  for (const spec of ["hf:datasets/org/name", "hf:datasets/org/name@v1", "hf:datasets/org/name/x.csv"]) {
    assertThrows(() => parseHubName(spec), RangeError, `Cannot load data ${spec}: expected hf:datasets/org`);
  }
  const parts = [
    "hf:datasets/org/name/../x.jsonl",
    "hf:org/name@../main",
    "hf:org/name@/etc",
    "hf:org/name@a\\b",
    "hf:org/name@a//b",
    "hf:org/name@./a",
  ];
  for (const spec of [...parts, "hf:org/name/../x.gguf", "hf:org/name/a:b.gguf", "hf:org/name@a\u0001b"]) {
    assertThrows(() => parseHubName(spec), RangeError, "expected a path inside its folder");
  }
});
