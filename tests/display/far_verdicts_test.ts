import { assertEquals, assertStringIncludes } from "@std/assert";
import { farTable, farVerdicts } from "../../lib/display/far_verdicts.ts";
import { bestSettings } from "../../lib/display/settings.ts";
import { makeSearch } from "./run_row.ts";

const runs = (method: string, test: number, start: number, config = {}) =>
  bestSettings(
    [1, 2, 3, 4].flatMap((seed) =>
      makeSearch({ method, test: test + 0.001 * (seed % 2), start, best: 1e-3, seed, config })
    ),
  )[0];
const LORA = 1;

Deno.test("farVerdicts() tell ending higher on the far task from falling further behind there", () => {
  const near = [runs("lora", LORA, 2), runs("olora", 1.2, 2)]; // behind by 20 % of what LoRA gained
  const verdicts = (olora: number) =>
    farVerdicts([runs("lora", LORA, 6), runs("olora", olora, 6)], near, 8).slice(0, 2);
  assertEquals(verdicts(1.5).map(({ outcome }) => outcome), ["held", "refuted"]); // 10 %
  assertEquals(verdicts(3).map(({ outcome }) => outcome), ["held", "held"]); // 40 %
  assertEquals(verdicts(0.5).map(({ outcome }) => outcome), ["refuted", "refuted"]);
  assertStringIncludes(
    verdicts(3)[1].sentence,
    "Behind LoRA by 40.0 % of its improvement there and by 20.0 % near",
  );
});

Deno.test("farVerdicts() have the same claims without a run, all inconclusive", () => {
  const none = farVerdicts([], [], 8);
  const some = farVerdicts([runs("lora", LORA, 6), runs("olora", 3, 6)], [], 8);
  assertEquals(none.map(({ claim }) => claim), some.map(({ claim }) => claim));
  assertEquals(new Set(none.map(({ outcome }) => outcome)), new Set(["inconclusive"]));
  assertStringIncludes(some[1].sentence, "Not measured yet");
});

Deno.test("farVerdicts() are inconclusive with one seed, and where a best rate lies at the edge", () => {
  const one = (method: string, test: number, rates = 0) =>
    bestSettings(makeSearch({ method, test, start: 6, best: 1e-3 }).slice(rates))[0];
  const near = [runs("lora", LORA, 2), runs("olora", 1.2, 2)];
  const [, alone] = farVerdicts([one("lora", 1), one("olora", 3)], near, 8);
  assertEquals(alone.outcome, "inconclusive");
  assertStringIncludes(alone.sentence, "one seed on one base");
  const [, edge] = farVerdicts([one("lora", 1), one("olora", 3, 2)], near, 8);
  assertStringIncludes(edge.sentence, "no two tried rates on either side: OLoRA");
});

Deno.test("farTable() sets both tasks side by side, and a dash where the near one was not run", () => {
  const { rows } = farTable([runs("lora", 3, 6), runs("olora", 3, 6)], [runs("lora", 0.5, 2)]);
  assertEquals(rows.map((row) => [row[0], row[4], row[8]]), [
    ["LoRA", "50.0 %", "75.0 %"],
    ["OLoRA", "50.0 %", null],
  ]);
});
