import { assert, assertEquals, assertRejects } from "@std/assert";
import { compare, type CompareOptions } from "../../lib/experiments/compare.ts";
import { readRows } from "../../lib/experiments/parts.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { run } from "../cli/command_line.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const DATA = fixturePath("llama_tied/batches.json");

async function load(): Promise<Model> {
  return await loadModel(fixturePath("llama_tied"), { gpu: await testDevice() });
}

Deno.test("compare() of ten runs looks for each method's own rate, and gives all the same fresh seeds", async () => {
  using model = await load();
  const out = await Deno.makeTempDir();
  const options: CompareOptions = {
    methods: ["lora", { method: "olora", rank: 2, basis: "last" }],
    budget: 10,
    rank: 3,
    steps: 3,
    seed: 7,
    out,
  };
  const found = (await compare(model, DATA, options))!;
  const longest = Math.max(...found.map(({ search }) => search.length));
  for (const { learningRate, search, runs } of found) {
    const best = search.toSorted((a, b) => a.final.validation! - b.final.validation!)[0];
    assertEquals(learningRate, best.config.learningRate);
    assert(runs.every(({ config }) => config.learningRate === learningRate));
    assertEquals(new Set(search.map(({ config }) => config.seed)), new Set([7]));
    assertEquals(runs.map(({ config }) => config.seed), [8, 9, 10, 11, 12].slice(0, 10 - longest));
    assert(runs.every(({ final }) => Number.isFinite(final.test)));
  }
  assertEquals(found.map(({ runs }) => [runs[0].config.rank, runs[0].config.basis]), [[3, undefined], [
    2,
    "last",
  ]]);
  const rows = await readRows(`${out}/rows.jsonl`);
  const made = found.flatMap(({ search, runs }) => [...search, ...runs]).length;
  assertEquals(rows.length, made);
  assertEquals(await compare(model, DATA, options), found);
  assertEquals((await readRows(`${out}/rows.jsonl`)).length, made);
  await Deno.remove(out, { recursive: true });
});

Deno.test("compare() of a small budget looks with half of it, and says that its rates are no optimum", async () => {
  using model = await load();
  const out = await Deno.makeTempDir();
  const found = (await compare(model, DATA, { methods: ["lora", "full"], budget: 3, steps: 2, out }))!;
  assertEquals(found.map(({ search, runs, counts }) => [search.length, runs.length, counts]), [
    [2, 1, false],
    [2, 1, false],
  ]);
  await Deno.remove(out, { recursive: true });
});

Deno.test("compare() stopped gives nothing, and goes on where it was", async () => {
  using model = await load();
  const out = await Deno.makeTempDir();
  const controller = new AbortController();
  const options = { methods: ["lora", "full"], budget: 10, steps: 3, out };
  const stopped = await compare(model, DATA, {
    ...options,
    signal: controller.signal,
    onProgress: ({ done }) => done >= 4 && controller.abort(),
  });
  assertEquals(stopped, undefined);
  const before = await readRows(`${out}/rows.jsonl`);
  assert(before.length >= 3 && before.length < 20);
  const found = await compare(model, DATA, options);
  assertEquals(found?.length, 2);
  assertEquals((await readRows(`${out}/rows.jsonl`)).slice(0, before.length), before);
  await Deno.remove(out, { recursive: true });
});

Deno.test("compare() refuses too small a budget, one method, and options that make no sense, before any run", async () => {
  using model = await load();
  const out = await Deno.makeTempDir();
  const refused = (options: Partial<CompareOptions>, message: string) =>
    assertRejects(
      () => compare(model, DATA, { methods: ["lora", "full"], budget: 10, steps: 3, out, ...options }),
      RangeError,
      message,
    );
  await refused({ budget: 1 }, "budget of 1 runs a method: expected at least 2, one to look for");
  await refused({ methods: ["lora"] }, "Cannot compare 1 method");
  await assertRejects(() => compare(model, DATA, { methods: [], budget: 10 }), RangeError, "0 method");
  await refused({ methods: ["lora", "full", "lora"] }, "with itself: expected different methods or settings");
  await refused({ methods: ["lora", "lara"] }, 'Cannot use method "lara"');
  await refused({ methods: ["lora", { method: "lora", basis: "last" }] }, "basis");
  assertEquals(await readRows(`${out}/rows.jsonl`), []);
  await Deno.remove(out, { recursive: true });
});

Deno.test("olora compare prints rates, table and verdicts, and writes the figure", async () => {
  const out = await Deno.makeTempDir();
  const words = ["--model", fixturePath("llama_tied"), "--data", DATA, "--methods", "olora,lora"];
  const { code, stdout, stderr } = await run(
    ...["compare", ...words, "--budget", "10", "--steps", "2", "--rank", "2", "--out", out, "--json"],
  );
  assertEquals(code, 0, stderr);
  const result = JSON.parse(stdout);
  assertEquals(result.methods.map(({ method }: { method: string }) => method), ["olora", "lora"]);
  assertEquals(result.verdicts.length, 2);
  assert((await Deno.readTextFile(`${out}/comparison.svg`)).startsWith("<svg"));
  const bad = await run("compare", ...words, "--budget", "many");
  assertEquals(bad.code, 1);
  assert(/^error: [^\n]+\n$/.test(bad.stderr.split("adapter").at(-1)!.replace(/^.*?error/s, "error")));
  await Deno.remove(out, { recursive: true });
});
