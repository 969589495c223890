import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  frozenVerdicts,
  parameterFigure,
  parameterTable,
  parameterVerdicts,
} from "../../lib/display/frozen_verdicts.ts";
import { bestSettings } from "../../lib/display/settings.ts";
import { svgFigure } from "../../lib/display/svg.ts";
import { type MadeRow, makeSearch } from "./run_row.ts";

type Made = Omit<MadeRow, "test" | "config"> & { rank?: number; freeze?: string };
const search = (test: number, { rank = 8, freeze, ...made }: Made) =>
  [1, 2, 3].flatMap((seed) =>
    makeSearch({
      ...made,
      test: test + 0.001 * (seed % 2),
      best: 1e-3,
      seed,
      config: { rank, ...(freeze && { freeze }) },
    })
  );
const lora = search(0.5, { method: "lora", trainable: 100, bytes: 10e6 });
const narrow = search(0.9, { method: "lora", rank: 4, trainable: 50, bytes: 9e6 });
const olora = search(0.5, { method: "olora", trainable: 100, bytes: 10e6 });
const frozen = search(0.8, { method: "olora", freeze: "B", trainable: 46, bytes: 9e6 });
const wide = search(0.5, { method: "olora", freeze: "B", rank: 17, trainable: 101, bytes: 11e6 });

const outcomes = (verdicts: ReturnType<typeof frozenVerdicts>) => verdicts.map(({ outcome }) => outcome);

Deno.test("parameterVerdicts() compare at equal rank, and the loss where parameters are about equal", () => {
  const settings = bestSettings([...lora, ...narrow, ...olora, ...frozen, ...wide]);
  const verdicts = parameterVerdicts(settings, 8);
  assertEquals(outcomes(verdicts), ["held", "held", "held", "held"]);
  assertStringIncludes(verdicts[0].sentence, "46 trained parameters (LoRA 100), counted exactly");
  assertStringIncludes(verdicts[1].sentence, "9 MB at the peak (LoRA 10 MB) on synthetic device");
  assertStringIncludes(verdicts[2].sentence, "Rank 8, 46 trained parameters (LoRA at rank 4: 50).");
  assertStringIncludes(verdicts[3].sentence, "Rank 17, 101 trained parameters (LoRA at rank 8: 100).");
});

Deno.test("parameterVerdicts() compare memory on one device only, and call less than 1 % less the same", () => {
  const memory = (rows: typeof lora) => parameterVerdicts(bestSettings([...rows, ...lora]), 8)[1];
  const elsewhere = search(0.8, { method: "olora", freeze: "B", device: "another", bytes: 1e6 });
  assertEquals(memory(elsewhere).outcome, "inconclusive");
  assertEquals(memory(search(0.8, { method: "olora", freeze: "B", bytes: 9.95e6 })).outcome, "refuted");
});

Deno.test("frozenVerdicts() set each variant against OLoRA, at equal rank and at equal parameters", () => {
  const verdicts = frozenVerdicts(bestSettings([...lora, ...olora, ...frozen, ...wide]), 8);
  assertEquals(outcomes(verdicts), ["refuted", "held", "inconclusive", "inconclusive"]);
  assertStringIncludes(verdicts[2].sentence, "Not measured yet: OLoRA, A frozen at rank 8");
});

Deno.test("parameterVerdicts() and frozenVerdicts() have the same claims without a run, all inconclusive", () => {
  const settings = bestSettings([...lora, ...narrow, ...olora, ...frozen, ...wide]);
  for (const verdicts of [parameterVerdicts, frozenVerdicts]) {
    assertEquals(verdicts([], 8).map(({ claim }) => claim), verdicts(settings, 8).map(({ claim }) => claim));
    assertEquals(new Set(outcomes(verdicts([], 8))), new Set(["inconclusive"]));
  }
});

Deno.test("parameterTable() and parameterFigure() show memory of the one device alone", () => {
  const settings = bestSettings([...lora, ...search(0.7, { method: "olora", device: "another" })]);
  const { columns, rows } = parameterTable(settings, "synthetic device");
  const memory = columns.indexOf("Memory (MB)");
  assertEquals(rows.map((row) => [row[0], row[memory]]), [["OLoRA", null], ["LoRA", 10]]);
  const figure = parameterFigure(settings, "synthetic device");
  assertEquals(figure.panels.map(({ series }) => series.map(({ y }) => Number.isFinite(y[0]))), [
    [true, true],
    [false, true],
  ]);
  assert(!svgFigure(figure).includes("NaN"));
});
