import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { methodKey } from "../../lib/display/rows.ts";
import { bestSettings, settingsAtRate } from "../../lib/display/settings.ts";
import { svgFigure } from "../../lib/display/svg.ts";
import {
  comparisonsNote,
  VARIANT_CLAIMS,
  variantPanel,
  variantTable,
  variantVerdicts,
} from "../../lib/display/variant_verdicts.ts";
import { makeRow, makeSearch } from "./run_row.ts";

/** Four seeds of each, whose losses at the best rate differ from OLoRA's by `by`. */
const search = (method: string, by: number, config = {}) =>
  [1, 2, 3, 4].flatMap((seed) =>
    makeSearch({ method, test: 1 + by + 0.001 * (seed % 2) * (by ? 1 : 0), best: 1e-3, seed, config })
  );
const olora = search("olora", 0);
const basis = (name: string, by: number) => search("olora", by, { basis: name });
const outcome = (rows: ReturnType<typeof search>) =>
  variantVerdicts(bestSettings(rows), "at all rates")[0].outcome;

Deno.test("variantVerdicts() hold where every variant is within the margin, and fail where one is beyond", () => {
  const near = [...olora, ...basis("last", 0.002), ...basis("pivoted", -0.3)];
  assertEquals(outcome([...near, ...basis("random", 0.005)]), "held");
  assertEquals(outcome([...near, ...basis("random", 0.2)]), "refuted");
  assertEquals(outcome(near), "inconclusive");
  assertEquals(outcome([...olora, ...basis("last", 0.2)]), "refuted");
});

Deno.test("variantVerdicts() name what was not measured, and are all inconclusive without a run", () => {
  const [first, second] = variantVerdicts(bestSettings([...olora, ...basis("last", 0.002)]), "at all rates");
  assertEquals(first.claim, `${VARIANT_CLAIMS[0].claim}, at all rates`);
  assertStringIncludes(first.sentence, "Not measured yet: OLoRA, pivoted columns; OLoRA, random basis.");
  assertStringIncludes(first.sentence, "OLoRA, last columns +0.00250 nats (95 % interval");
  assertEquals(second.sentence, "Not measured yet: OLoRA, basis of rows; PiSSA.");
  const none = variantVerdicts([], "at all rates");
  assertEquals(none.map(({ outcome }) => outcome), VARIANT_CLAIMS.map(() => "inconclusive"));
});

Deno.test("variantVerdicts() are inconclusive where a best rate lies at the edge, and with one seed", () => {
  const edge = basis("last", 0.2).filter(({ config }) => config.learningRate >= 1e-3);
  const [first] = variantVerdicts(bestSettings([...olora, ...edge]), "at all rates");
  assertEquals(first.outcome, "inconclusive");
  assertStringIncludes(first.sentence, "no two tried rates on either side: OLoRA, last columns");
  const mixed = [...olora, ...edge, ...basis("random", 0.2)];
  assertEquals(outcome(mixed), "refuted");
  const one = [...olora, ...basis("last", 0.2)].filter(({ config }) => config.seed === 1);
  const [alone] = variantVerdicts(bestSettings(one), "at all rates");
  assertEquals(alone.outcome, "inconclusive");
  assertStringIncludes(alone.sentence, "one seed on one base");
});

Deno.test("variantTable() gives the share of OLoRA's lead that is kept, on the seeds that all three have", () => {
  const at = (method: string, test: number, seed: number, config = {}) =>
    makeRow({ method, test, seed, rate: 3e-4, config });
  const rows = [
    ...[1, 2].flatMap((seed) => [at("olora", 0.6, seed), at("lora", seed === 1 ? 0.8 : 5, seed)]),
    at("olora", 0.65, 1, { basis: "last" }),
  ];
  const { columns, rows: cells } = variantTable(bestSettings(rows), settingsAtRate(rows, 3e-4));
  const kept = columns.indexOf("Lead kept there");
  const last = cells.find(([name]) => name === "OLoRA, last columns")!;
  assertEquals(last[kept], "75 %");
  assertEquals(cells.map((row) => row[kept]).slice(0, 2), ["100 %", "0 %"]);
  assertEquals(last[columns.indexOf("Best rate")], "3e-4 (edge)");
  const behind = [at("olora", 0.9, 1), at("lora", 0.8, 1)];
  const none = variantTable(bestSettings(behind), settingsAtRate(behind, 3e-4));
  assertEquals(none.rows.map((row) => row[kept]), [null, null]);
});

Deno.test("variantPanel() draws each setting at its own name, with OLoRA's loss as a line", () => {
  const panel = variantPanel(bestSettings([...olora, ...basis("last", 0.2)]), "a title");
  assertEquals(panel.xNames, ["OLoRA", "OLoRA, last columns"]);
  assertEquals(panel.series.map(({ x, y }) => [x.length, y.length]), [[1, 1], [1, 1]]);
  assertEquals(panel.marks, [{ y: 1, role: "olora" }]);
  const svg = svgFigure({ title: "a figure", caption: "a caption", panels: [panel] });
  assertStringIncludes(svg, "OLoRA, last columns</text>");
  assert(!svg.includes("NaN"));
});

Deno.test("comparisonsNote() counts what chance would make of the comparisons that have an interval", () => {
  const verdict = (sentence: string) => ({
    claim: "",
    outcome: "inconclusive" as const,
    sentence,
    effect: "",
  });
  const decided = verdict(
    "A +0.1 nats (95 % interval 0.0 to 0.2, 10 pairs); B +0.2 nats (95 % interval 0.1 to 0.3, 9 pairs).",
  );
  const single = verdict("A +0.1 nats (one pair, no interval).");
  assertEquals(
    comparisonsNote([decided, single]),
    "3 comparisons, 2 decided by a 95 % interval: of as many that differ in nothing, 0.10 would be expected to seem to. " +
      "One pair of runs decides nothing, as in 1 of them.",
  );
  assertStringIncludes(comparisonsNote([single]), "1 comparison, none with a 95 % interval");
  assertStringIncludes(comparisonsNote([]), "No comparison has been measured yet");
});

Deno.test("VARIANT_CLAIMS name settings of the committed experiment", async () => {
  const path = new URL("../../data/experiments/variants.json", import.meta.url);
  const { grid } = JSON.parse(await Deno.readTextFile(path));
  const run = grid[0].method.map((config: Record<string, unknown>) =>
    methodKey({ learningRate: 1, seed: 1, method: "", ...config })
  );
  for (const method of VARIANT_CLAIMS.flatMap(({ methods }) => methods)) assert(run.includes(method), method);
});
