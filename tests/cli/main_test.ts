import { assert, assertAlmostEquals, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readJsonl } from "../../lib/io/jsonl.ts";
import { expected, fixturePath, modelFolder, runs } from "../helpers/fixtures.ts";
import { olora, run } from "./command_line.ts";

const MODEL = fixturePath("llama_tied");
const DATA = fixturePath("llama_tied/batches.json");
const COMMANDS = "reproduce train eval tasks generate merge convert inspect devices sweep compare fetch"
  .split(" ");

/** The lines of stderr that say what went wrong. */
const errors = (stderr: string) => stderr.split("\n").filter((line) => line.startsWith("error: "));

Deno.test("olora --help lists every command, and each has a help of its own", async () => {
  const { code, stdout, stderr } = await run("--help");
  assertEquals([code, stderr], [0, ""]);
  for (const name of COMMANDS) assertMatch(stdout, new RegExp(`^  ${name} `, "m"));
  for (const name of COMMANDS) {
    const help = await run(name, "--help");
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: olora ${name} `);
  }
});

Deno.test("olora exits with 1 and one line that says what was wrong", async () => {
  const cases: [string[], string][] = [
    [["nosuch"], "error: Cannot run command nosuch: expected one of reproduce, train"],
    [["train", "--nosuch", "1"], "unknown or unexpected option: --nosuch"],
    [["train", "--model", MODEL, "--out", "x"], "error: Cannot do without --data"],
    [["train", "--model", MODEL, "--data", "no.jsonl", "--out", "x"], "error: Cannot read no.jsonl"],
    [
      ["train", "--model", MODEL, "--data", DATA, "--out", "x", "--rank", "many"],
      "error: Cannot use --rank many",
    ],
    [
      ["train", "--model", MODEL, "--data", DATA, "--out", "x", "--rank", "99"],
      "with rank 99: expected rank <=",
    ],
    [["train", "--model", MODEL, "--data", DATA, "--out", "x", "--steps", "-1"], "steps -1"],
    [["eval", "--model", "no/model", "--ids", DATA], "error: Cannot load model no/model"],
    [["eval", "--model", MODEL], "error: Cannot score: expected either --text or --ids"],
    [["inspect"], "expected 1 arguments besides options, found none"],
    [["train", "--model", MODEL, "--data", DATA, "--out", DATA], "found a file, expected a folder"],
    [
      ["train", "--model", MODEL, "--data", DATA, "--out", "x", "--targets", "(q"],
      'error: Cannot adapt "(q": expected a regular expression',
    ],
    [["tasks", "--model", "tiny", "--tasks", "nosuch"], "tasks/nosuch.jsonl"],
    [
      ["tasks", "--model", "tiny", "--tasks", "nosuch=a.jsonl"],
      "found task nosuch, expected one of arc_challenge",
    ],
    [["tasks", "--model", "tiny", "--tasks", "piqa=a.jsonl,piqa=b.jsonl"], "expected each task of one file"],
    [["tasks", "--model", "tiny", "--tasks", "tiny-piqa", "--shots-from", "a,b"], "found 2 files"],
    [["tasks", "--model", "tiny", "--tasks", "tiny-piqa", "--shots", "-1"], "expected a whole number >= 0"],
    [["eval", "--model", MODEL, "--ids", "tests"], "error: Cannot use tests: Is a directory"],
    [["sweep", "no.json"], "no.json"],
    [
      [
        "compare",
        "--model",
        MODEL,
        "--data",
        DATA,
        "--methods",
        "olora,lora",
        "--budget",
        "10",
        "--test",
        "no.jsonl",
      ],
      "Cannot read no.jsonl: there is no such file",
    ],
    [["generate", "--model", "tiny", "--prompt", "The", "--top-p", "2"], "with topP 2"],
  ];
  for (const [words, message] of cases) {
    const { code, stdout, stderr } = await run(...words);
    assertEquals([code, stdout], [1, ""], words.join(" "));
    assertEquals(errors(stderr).length, 1, stderr);
    assertStringIncludes(errors(stderr)[0], message);
    assert(!/\bat .*:\d+:\d+/.test(stderr), stderr);
  }
});

Deno.test("olora train gives PyTorch's losses, and eval the base's with a fresh adapter", async () => {
  const out = await Deno.makeTempDir();
  const { olora: fixture } = await runs("llama_tied");
  const common = [
    "--model",
    MODEL,
    "--method",
    "olora",
    "--rank",
    "4",
    "--alpha",
    "4",
    "--targets",
    "all-linear",
  ];
  const trained = await run(
    "train",
    ...common,
    ...["--data", DATA, "--out", `${out}/a`, "--init", fixturePath("llama_tied/init/olora")],
    ...["--steps", "20", "--learning-rate", String(fixture.config.learningRate), "--json"],
  );
  assertEquals(trained.code, 0, trained.stderr);
  const said = JSON.parse(trained.stdout);
  assertEquals([said.steps, said.trainable], [20, fixture.trainable]);
  assertStringIncludes(trained.stderr, `adapter: ${said.device}`);
  const rows = (await readJsonl(`${out}/a/metrics.jsonl`)).map(({ value }) =>
    value as Record<string, number>
  );
  assertEquals(rows.map(({ step }) => step), Array.from({ length: 20 }, (_, i) => i + 1));
  rows.forEach(({ loss }, i) => assertAlmostEquals(loss, fixture.losses[i], 7e-5));
  assertEquals(Object.keys(rows[0]), ["step", "loss", "grad_norm", "learning_rate", "tokens"]);

  const fresh = await run("train", ...common, "--data", DATA, "--out", `${out}/b`, "--steps", "0");
  assertEquals(fresh.code, 0, fresh.stderr);
  const { ids, nll } = await expected("llama_tied");
  await Deno.writeTextFile(`${out}/ids.json`, JSON.stringify(ids));
  const scored = await run(
    "eval",
    "--model",
    MODEL,
    "--adapter",
    `${out}/b`,
    "--ids",
    `${out}/ids.json`,
    "--json",
  );
  assertEquals(scored.code, 0, scored.stderr);
  const result = JSON.parse(scored.stdout);
  assertEquals(result.tokens, nll.flat().length);
  assertAlmostEquals(result.perplexity, Math.exp(result.mean), 1e-9 * result.perplexity);
  result.nll.forEach((row: number[], i: number) =>
    row.forEach((x, t) => assertAlmostEquals(x, nll[i][t], 3e-5))
  );
  await Deno.remove(out, { recursive: true });
});

Deno.test("olora train and olora tasks say what they cut and leave out", async () => {
  const folder = await Deno.makeTempDir();
  const row = (prompt: string, completion: string) => JSON.stringify({ prompt, completion });
  await Deno.writeTextFile(
    `${folder}/data.jsonl`,
    [row("A", "b"), row("A", "many ".repeat(30)), row("many ".repeat(30), "b")].join("\n"),
  );
  await Deno.writeTextFile(`${folder}/short.jsonl`, row("A", "b"));
  const common = ["--model", "tiny", "--steps", "1", "--rank", "1", "--seq-len", "8", "--json"];
  const [data, short] = [`${folder}/data.jsonl`, `${folder}/short.jsonl`];
  const out = ["--out", `${folder}/a`];
  const first = await run("train", ...common, ...out, "--data", data, "--eval-data", data);
  assertEquals(first.code, 0, first.stderr);
  const cut = { file: data, rows: 3, truncated: 2, limit: 9, skipped: 1 };
  assertEquals(JSON.parse(first.stdout).cut, [cut, cut]);
  assertStringIncludes(
    first.stderr,
    `${data}: 2 of 3 rows are cut at 9 tokens; 1 of 3 rows are left out, as no token of theirs counts in the loss`,
  );
  const second = await run("train", ...common, ...out, "--data", short);
  assertEquals(JSON.parse(second.stdout).cut, undefined);
  assert(!second.stderr.includes("short.jsonl"), second.stderr);

  const item = { question: "many ".repeat(400), choices: ["a", "b"], answer: 0 };
  await Deno.writeTextFile(`${folder}/items.jsonl`, JSON.stringify(item));
  const asked = await run("tasks", "--model", "tiny", "--tasks", `${folder}/items.jsonl`, "--json");
  assertEquals(asked.code, 0, asked.stderr);
  assertEquals(JSON.parse(asked.stdout).truncated, { [`${folder}/items.jsonl`]: 1 });
  assertStringIncludes(asked.stderr, "1 of 1 items are longer than");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora train stopped by SIGINT is not overwritten, and goes on with --resume to the same bits", async () => {
  const folder = await Deno.makeTempDir();
  const { batches } = JSON.parse(await Deno.readTextFile(DATA));
  await Deno.writeTextFile(
    `${folder}/data.json`,
    JSON.stringify({ batches: Array.from({ length: 10 }, () => batches).flat() }),
  );
  const words = (out: string) => [
    "train",
    ...["--model", MODEL, "--data", `${folder}/data.json`, "--rank", "2", "--dropout", "0.1"],
    ...["--out", `${folder}/${out}`],
  ];
  const process = olora(...words("parts")).spawn();
  const metrics = `${folder}/parts/metrics.jsonl`;
  const begun = async () => (await Deno.stat(metrics).then(({ size }) => size, () => 0)) > 0;
  while (!await begun()) await new Promise((resolve) => setTimeout(resolve, 20));
  process.kill("SIGINT");
  const stopped = await process.output();
  assertEquals(stopped.code, 1);
  assertMatch(errors(new TextDecoder().decode(stopped.stderr))[0], /stopped at step \d+ of \d+; .*--resume/);
  const refused = await run(...words("parts"));
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "add --resume");
  assertEquals((await run(...words("parts"), "--resume")).code, 0);
  assertStringIncludes((await run(...words("parts"), "--resume")).stdout, "was finished before");
  assertEquals((await run(...words("whole"))).code, 0);
  for (const file of ["metrics.jsonl", "adapter_model.safetensors"]) {
    assertEquals(
      await Deno.readFile(`${folder}/parts/${file}`),
      await Deno.readFile(`${folder}/whole/${file}`),
    );
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora tasks scores the kit's sets and files alike", async () => {
  const { code, stdout, stderr } = await run(
    "tasks",
    ...[
      "--model",
      "tiny",
      "--tasks",
      "tiny-piqa,data/tiny/tasks/tiny-piqa.jsonl",
      "--limit",
      "6",
      "--json",
    ],
  );
  assertEquals(code, 0, stderr);
  const [named, file] = Object.values(JSON.parse(stdout).tasks) as { items: number }[];
  assertEquals(named, file);
  assertEquals(named.items, 6);
});

Deno.test("olora tasks asks a file's rows in the form of a task, with shots", async () => {
  const folder = await Deno.makeTempDir();
  const rows = [..."abc"].map((goal) => ({ goal, sol1: "red", sol2: "blue", label: 0 }));
  await Deno.writeTextFile(`${folder}/own.jsonl`, rows.map((row) => JSON.stringify(row)).join("\n"));
  const words = ["tasks", "--model", "tiny", "--tasks", `piqa=${folder}/own.jsonl`, "--shots", "2"];
  const { code, stdout, stderr } = await run(...words);
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /task +accuracy +per byte +items +± +acc_norm +±/);
  assertMatch(stdout, /piqa( +[01]\.\d{3}){2} +3( +[01]\.\d{3}){3}/);
  const { code: failed, stderr: reason } = await run(...words.slice(0, -1), "3");
  assertEquals(failed, 1);
  assertStringIncludes(reason, "error: Cannot take 3 shots from");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora inspect and devices say what they found", async () => {
  const model = JSON.parse((await run("inspect", MODEL, "--json")).stdout);
  assertEquals(model.kind, "model");
  assert(model.parameters > 0 && model.training.bytes.total > model.bytes);
  const adapter = JSON.parse((await run("inspect", fixturePath("llama_tied/init/olora"), "--json")).stdout);
  assertEquals([adapter.kind, adapter.adapter.rank], ["adapter", 4]);
  const { devices } = JSON.parse((await run("devices", "--json")).stdout);
  assertEquals(devices.filter(({ chosen }: { chosen: boolean }) => chosen).length, 1);
  for (const { selfTest } of devices) assertEquals(selfTest, "passed");
});

Deno.test({
  name: "olora generate continues stories260K as transformers does",
  ignore: modelFolder("stories260k") === undefined,
  async fn() {
    const { greedy } = await expected("stories260k");
    assertEquals(greedy.prompt, [1]);
    const count = 64;
    const { stdout } = await run(
      "generate",
      ...[
        "--model",
        modelFolder("stories260k")!,
        "--prompt",
        "",
        "--max-new-tokens",
        String(count),
        "--json",
      ],
    );
    assertEquals(JSON.parse(stdout).ids, greedy.continuation.slice(0, count));
    const model = ["generate", "--model", modelFolder("stories260k")!, "--max-new-tokens", "4"];
    const continued = await run(...model, "--prompt", "Once upon");
    assertEquals(continued.stdout, "Once upon a time, there\n");
  },
});
