import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fullFigure, fullVerdicts, sharedRuns } from "../../lib/display/full_verdicts.ts";
import { runsAtBestRate } from "../../lib/display/rows.ts";
import { bestSettings } from "../../lib/display/settings.ts";
import { svgFigure } from "../../lib/display/svg.ts";
import { makeSearch } from "./run_row.ts";

const runs = (method: string, losses: Record<string, number>, trainable: number) =>
  Object.entries(losses).flatMap(([model, test]) =>
    [1, 2, 3, 4].flatMap((seed) =>
      makeSearch({
        method,
        test: test + 0.001 * (seed % 2) * (method === "full" ? 1 : 2),
        best: 1e-3,
        seed,
        trainable,
        config: { model, rank: method === "full" ? undefined : 8 },
      })
    )
  );
const full = runs("full", { one: 0.5, two: 0.6, three: 0.7 }, 1000);
const lora = runs("lora", { one: 0.4, two: 0.5, three: 0.6 }, 80);
const of = (rows: typeof full) =>
  new Map(fullVerdicts(bestSettings(rows)).map((verdict) => [verdict.claim, verdict]));

Deno.test("fullVerdicts() decide over all pairs, on each base, and with each base as one value", () => {
  const verdicts = of([...full, ...lora, ...runs("olora", { one: 0.5, two: 0.6, three: 1.2 }, 80)]);
  const outcome = (claim: string) => verdicts.get(claim)?.outcome;
  assertEquals(outcome("OLoRA does as well as full fine-tuning"), "refuted");
  assertEquals(outcome("OLoRA does as well as full fine-tuning on the base one"), "held");
  assertEquals(outcome("OLoRA does as well as full fine-tuning on the base three"), "refuted");
  assertEquals(outcome("OLoRA does as well as full fine-tuning, each base as one value"), "inconclusive");
  assertEquals(outcome("LoRA does as well as full fine-tuning"), "held");
  const share = verdicts.get("OLoRA trains far fewer parameters than full fine-tuning")!;
  assertEquals(share.outcome, "held");
  assertStringIncludes(share.sentence, "80 of 1,000 (8.0 %)");
});

Deno.test("fullVerdicts() tell as low from the same: lower beyond the margin is one and not the other", () => {
  const verdicts = of([...full, ...runs("olora", { one: 0.4, two: 0.5, three: 0.6 }, 200)]);
  assertEquals(verdicts.get("OLoRA does as well as full fine-tuning")!.outcome, "held");
  assertEquals(verdicts.get("OLoRA and full fine-tuning end the same")!.outcome, "refuted");
  assertEquals(
    verdicts.get("OLoRA trains far fewer parameters than full fine-tuning")!.outcome,
    "refuted",
  );
  assertStringIncludes(
    verdicts.get("LoRA does as well as full fine-tuning")!.sentence,
    "Not measured yet: LoRA",
  );
});

Deno.test("sharedRuns() cut the groups to the bases and seeds that all have", () => {
  const groups = runsAtBestRate([...full.filter(({ config }) => config.model !== "two"), ...lora]);
  const shared = sharedRuns(groups);
  assertEquals(shared.map(({ rows }) => rows.length), [8, 8]);
  assert(shared.every(({ rows }) => rows.every(({ config }) => config.model !== "two")));
});

Deno.test("fullFigure() has a dot for each method and base, and one for each difference", () => {
  const olora = runs("olora", { one: 0.5, two: 0.6, three: 1.2 }, 80);
  const figure = fullFigure(bestSettings([...full, ...lora, ...olora]));
  assertEquals(figure.panels.map(({ xNames }) => xNames?.length), [9, 6]);
  assertStringIncludes(figure.panels[1].xNames![0], "OLoRA, one");
  assert(!svgFigure(figure).includes("NaN"));
});
