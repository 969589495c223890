import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { MeasuredRun } from "../../lib/experiments/measure.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";
import { browser, launch, openPage } from "../browser/chromium.ts";
import { olora, run } from "./command_line.ts";

Deno.test("olora reproduce --quick goes on after a Ctrl-C, and ends with rows, figures, report and adapters", async (t) => {
  const out = await Deno.makeTempDir();
  const rows = async () =>
    (await readJsonl(`${out}/metrics.jsonl`).catch(() => [])).map(({ value }) => value as MeasuredRun);
  const first = olora("reproduce", "--quick", "--out", out).spawn();
  const watch = setInterval(async () => {
    if ((await rows()).length < 2) return;
    clearInterval(watch);
    first.kill("SIGINT");
  }, 200);
  const stopped = await first.output();
  clearInterval(watch);
  assertEquals(stopped.code, 1);
  assertStringIncludes(new TextDecoder().decode(stopped.stderr), "error: Cannot finish: stopped");
  const before = await rows();

  const ended = await run("reproduce", "--quick", "--out", out, "--json");
  assertEquals(ended.code, 0, ended.stderr);
  const result = JSON.parse(ended.stdout);
  const made = await rows();
  assertEquals(made.slice(0, before.length), before);
  assertEquals(new Set(made.map((row) => row.run)).size, made.length);
  const methods = [...new Set(made.map(({ config }) => config.method))];
  assertEquals(methods.sort(), ["full", "lora", "olora"]);
  assertEquals(made.length, 3 * methods.length);
  for (const row of made) {
    assertEquals(row.config.steps, result.steps);
    assertEquals(row.curve.at(-1)?.step, result.steps);
    assert(row.curve.at(-1)!.loss < row.curve[0].loss, `${row.run} learnt nothing`);
    assertEquals(row.device, result.device);
  }
  assert(result.verdicts.length > 0);
  for (
    const name of [
      "curves.svg",
      "rates.svg",
      "report.html",
      "adapters/olora-seed-11/adapter_model.safetensors",
    ]
  ) {
    assert((await Deno.stat(`${out}/${name}`)).size > 0, name);
  }
  assert(!/https?:\/\/(?!www\.w3\.org)/.test(await Deno.readTextFile(`${out}/curves.svg`)));
  await t.step({
    name: "its report is drawn in Chromium without an error, and links to nothing outside",
    ignore: browser.ignore,
    async fn() {
      const body = await Deno.readTextFile(`${out}/report.html`);
      await using chrome = await launch();
      await using opened = await openPage(chrome, { "/": { body, type: "text/html; charset=utf-8" } });
      await opened.page.waitForSelector("html[data-drawn]");
      assert(await opened.page.locator(".scatterlayer path.js-line").count() > 0);
      assertEquals(await opened.page.locator("a[href]:not([href^='#'])").count(), 0);
      assertEquals(opened.errors, []);
    },
  });
  await Deno.remove(out, { recursive: true });
});
