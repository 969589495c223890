import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { contrastPairs, judgeContrast, pairRuns } from "../../lib/display/contrast.ts";
import { methodOptionNames } from "../../lib/adapters/options.ts";
import { groupRuns, methodKey, methodName } from "../../lib/display/rows.ts";
import {
  bestSettings,
  contrastSettings,
  distinctRuns,
  settingsAtRate,
  settingVerdict,
} from "../../lib/display/settings.ts";
import { settingNames } from "../../lib/train/run_config.ts";
import { differenceText } from "../../lib/display/verdicts.ts";
import { makeRow, makeRows, makeSearch } from "./run_row.ts";

const contrast = (a: number[], b: number[]) =>
  contrastPairs(pairRuns(makeRows(a, { method: "olora" }), makeRows(b, { method: "lora" })))!;

Deno.test("pairRuns() pairs by base, permutation and seed, and leaves out who has no partner", () => {
  const on = (model: string, permutation: number, seed: number, test = 1) =>
    makeRow({ method: "olora", test, seed, config: { model, permutation } });
  const pairs = pairRuns(
    [on("one", 1, 1), on("one", 2, 2), on("two", 1, 1), on("two", 1, 3)],
    [on("two", 1, 1, 5), on("one", 1, 1, 4), on("one", 1, 2, 6)],
  );
  assertEquals(pairs.map(([, { final }]) => final.test), [4, 5]);
  assertEquals(contrastPairs([]), undefined);
});

Deno.test("judgeContrast() decides each relation by the whole interval, and leaves one pair inconclusive", () => {
  const relations = ["lower", "higher", "as low", "the same"] as const;
  const judged = (a: number[], b: number[]) =>
    relations.map((relation) => judgeContrast(contrast(a, b), relation));
  const b = [1, 1.2, 0.9, 1.1];
  const shifted = (by: number[]) => b.map((x, i) => x + by[i]);
  assertEquals(judged(shifted([-0.2, -0.21, -0.19, -0.2]), b), [
    "held",
    "refuted",
    "held",
    "refuted",
  ]);
  assertEquals(judged(shifted([0.2, 0.21, 0.19, 0.2]), b), [
    "refuted",
    "held",
    "refuted",
    "refuted",
  ]);
  assertEquals(judged(shifted([0.001, -0.001, 0.002, -0.001]), b), [
    "inconclusive",
    "inconclusive",
    "held",
    "held",
  ]);
  assertEquals(judged(shifted([0.3, -0.3, 0.2, -0.2]), b), [
    "inconclusive",
    "inconclusive",
    "inconclusive",
    "inconclusive",
  ]);
  assertEquals(judged([0.5], [1]), ["inconclusive", "inconclusive", "inconclusive", "inconclusive"]);
  // Higher beyond doubt, and yet within the margin.
  assertEquals(judged(shifted([0.01, 0.011, 0.009, 0.01]), b), ["refuted", "held", "held", "held"]);
});

Deno.test("judgeContrast() leaves inconclusive what a diverged run is part of", () => {
  const b = makeRows([1, 1.2], { method: "lora" });
  const a = makeRows([0.5, 0.7], { method: "olora" }).map((row, i) => ({ ...row, diverged: i === 0 }));
  for (const relation of ["lower", "higher", "as low", "the same"] as const) {
    assertEquals(judgeContrast(contrastPairs(pairRuns(a, b))!, relation), "inconclusive");
  }
});

Deno.test("differenceText() has a sign, an interval where there is one, and the number of pairs", () => {
  assertEquals(
    differenceText({ mean: 0.0123, low: 0.002, high: 0.0226, n: 4 }, "nats"),
    "+0.012 nats (95 % interval 0.002 to 0.023, 4 pairs)",
  );
  assertEquals(
    differenceText({ mean: -1.5, low: -3, high: 0, n: 3 }, "points", { of: "bases" }),
    "−1.5 points (95 % interval −3.0 to 0.0, 3 bases)",
  );
  assertEquals(
    differenceText({ mean: 0.0411, low: NaN, high: NaN, n: 1 }, "nats"),
    "+0.0411 nats (one pair, no interval)",
  );
});

Deno.test("bestSettings() chooses each method's rate by the validation loss, for every rank apart", () => {
  const rows = [
    ...makeSearch({ method: "olora", test: 0.5, best: 1e-3 }),
    ...makeSearch({ method: "olora", test: 0.7, best: 1e-2, config: { rank: 4 } }),
    ...makeSearch({ method: "full", test: 0.4, best: 1e-4, config: { rank: undefined } }),
    makeRow({ method: "lora", test: 0.1, validation: 0.6, rate: 1e-3 }),
    makeRow({ method: "lora", test: 0.9, validation: 0.5, rate: 1e-2 }),
    makeRow({ method: "pissa", test: 0.1, diverged: true }),
  ];
  const found = bestSettings(rows).map(({ method, rank, rate, counts }) => [method, rank, rate, counts]);
  assertEquals(found, [
    ["olora", 8, 1e-3, true],
    ["lora", 8, 1e-2, false],
    ["olora", 4, 1e-2, true],
    ["full", undefined, 1e-4, true],
  ]);
  assertEquals(settingsAtRate(rows, 1e-2).map(({ method, rank }) => [method, rank]), [
    ["olora", 8],
    ["lora", 8],
    ["olora", 4],
  ]);
});

Deno.test("bestSettings() counts a seed that two files hold once, the first time", () => {
  const [setting] = bestSettings([
    ...makeRows([0.5, 0.7], { method: "olora" }),
    makeRow({ method: "olora", test: 9 }),
  ]);
  assertEquals(setting.search.map(({ final }) => final.test), [0.5, 0.7]);
});

Deno.test("bestSettings() compares rates on the bases that all of them were run on, each base as one value", () => {
  const on = (model: string, rate: number, ...losses: number[]) =>
    losses.map((test, i) => makeRow({ method: "olora", test, rate, seed: i + 1, config: { model } }));
  // On the easy base alone, and so with the lowest mean, yet behind there.
  const easy = [...on("easy", 1e-3, 0.2), ...on("easy", 3e-3, 0.3), ...on("hard", 1e-3, 0.9)];
  assertEquals(bestSettings(easy)[0].rate, 1e-3);
  // Three runs on one base do not outvote one run on another.
  const uneven = [
    ...[...on("a", 1e-3, 0.4, 0.4, 0.4), ...on("b", 1e-3, 0.9)],
    ...[...on("a", 3e-3, 0.5, 0.5, 0.5), ...on("b", 3e-3, 0.7)],
  ];
  assertEquals(bestSettings(uneven)[0].rate, 3e-3);
  // Rates of another base than those compared on are none on either side.
  const apart = [
    ...[1e-3, 3e-3, 1e-2].flatMap((rate) => on("a", rate, Math.abs(rate - 3e-3))),
    ...[1e-4, 1e-1].flatMap((rate) => on("b", rate, 0)),
  ];
  assertEquals(bestSettings(apart).map(({ rate, counts }) => [rate, counts]), [[3e-3, false]]);
});

Deno.test("contrastSettings() takes fresh seeds where both have some, and else those the rates were chosen by", () => {
  const search = [
    ...makeSearch({ method: "olora", test: 0.5, best: 1e-3 }),
    ...makeSearch({ method: "lora", test: 0.6, best: 1e-3 }),
  ];
  const fresh = (method: string, test: number, rate = 1e-3) =>
    [11, 12].map((seed) => makeRow({ method, test: test + seed / 1000, seed, rate }));
  const differenceOf = (rows: ReturnType<typeof fresh>) => {
    const [olora, lora] = bestSettings(search, rows);
    return contrastSettings(olora, lora)!.difference;
  };
  assertAlmostEquals(differenceOf([...fresh("olora", 0.8), ...fresh("lora", 0.5)]).mean, 0.3);
  assertAlmostEquals(differenceOf(fresh("olora", 0.8)).mean, -0.1);
  // At another rate than the chosen one they say nothing.
  assertAlmostEquals(differenceOf([...fresh("olora", 0.8), ...fresh("lora", 0.5, 3e-3)]).mean, -0.1);
});

Deno.test("settingVerdict() is inconclusive, and says why, where something is missing or at the edge of the grid", () => {
  const verdict = (rows: ReturnType<typeof makeRows>) =>
    settingVerdict(
      "a claim",
      bestSettings(rows),
      [{ method: "olora", rank: 8 }, { method: "lora", rank: 8 }],
      "lower",
    );
  const olora = [0, 1, 2].flatMap((i) =>
    makeSearch({ method: "olora", test: 0.5 + 0.01 * i, best: 1e-3, seed: i + 1 })
  );
  const lora = [0, 1, 2].flatMap((i) =>
    makeSearch({ method: "lora", test: 0.7 + 0.011 * i, best: 1e-3, seed: i + 1 })
  );
  const decided = verdict([...olora, ...lora]);
  assertEquals(decided.outcome, "held");
  assertStringIncludes(decided.sentence, "An indication: 3 pairs on one base.");
  const missing = verdict(olora);
  assertEquals([missing.outcome, missing.sentence], ["inconclusive", "Not measured yet: LoRA at rank 8."]);
  const edge = verdict([...olora, ...lora.filter(({ config }) => config.learningRate >= 1e-3)]);
  assertEquals(edge.outcome, "inconclusive");
  assertStringIncludes(edge.sentence, "no two tried rates on either side: LoRA");
  const apart = verdict([...olora, ...makeSearch({ method: "lora", test: 1, best: 1e-3, seed: 9 })]);
  assertEquals(apart.outcome, "inconclusive");
  assert(apart.sentence.includes("a base and seed that both have"));
});

Deno.test("distinctRuns() and groupRuns() tell runs apart by every setting that a run has", () => {
  const repeated = ["seed", "model", "permutation"];
  const changesNothing = ["out", "checkpointEvery", "recompute", "evaluation"];
  const one = makeRow({ method: "olora", test: 1 });
  const counts = settingNames.map((name) => {
    const rows = [one, { ...one, config: { ...one.config, [name]: "other" } }];
    return [name, distinctRuns(rows).length, groupRuns(rows).length];
  });
  assertEquals(
    counts,
    settingNames.map((name) => {
      const distinct = changesNothing.includes(name) ? 1 : 2;
      return [name, distinct, repeated.includes(name) ? 1 : distinct];
    }),
  );
});

Deno.test("methodKey() and methodName() say every option of a method, and what the base is quantised to", () => {
  const plain = { method: "olora", learningRate: 1, seed: 1 };
  for (const option of [...methodOptionNames, "quantize"]) {
    const [one, other] = [1e-7, 4].map((value) => methodKey({ ...plain, [option]: value }));
    const keys = [methodKey(plain), one, other];
    assertEquals(new Set(keys).size, 3, option);
    assertEquals(new Set([one, "olora"].map(methodName)).size, 2, option);
  }
  assertEquals(
    ["mora-type-6", "olora-quantize-nf4", "lora2-innerRank-4", "lora-ga-gamma-1e-7"].map(methodName),
    [
      "MoRA, type 6",
      "OLoRA, base in nf4",
      "LoRA², inner rank 4",
      "LoRA-GA, γ 1e-7",
    ],
  );
});

Deno.test("bestSettings() keeps apart what differs in a setting of the method alone", () => {
  const [one, six] = [1, 6].map((type) =>
    makeSearch({ method: "mora", test: type, best: 1e-3, config: { type } })
  );
  const fresh = [1, 6].flatMap((type) =>
    makeRow({ method: "mora", test: 2 * type, seed: 9, config: { type } })
  );
  const found = bestSettings([...one, ...six], fresh).map(({ method, search, fresh }) => [
    method,
    search.map(({ final }) => final.test),
    fresh.map(({ final }) => final.test),
  ]);
  assertEquals(found, [["mora-type-1", [1], [2]], ["mora-type-6", [6], [12]]]);
});
