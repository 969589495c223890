import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { atEqualGain, forgettingVerdicts, paretoFigure, trades } from "../../lib/display/pareto.ts";
import type { RunRow } from "../../lib/display/rows.ts";
import { svgFigure } from "../../lib/display/svg.ts";

function row(method: string, learningRate: number, seed: number, test: number, forgetting: number): RunRow {
  return {
    run: `${method}-${learningRate}-${seed}`,
    config: { method, learningRate, seed },
    device: "synthetic device",
    isSoftware: true,
    curve: [{ step: 0, loss: 2 }, { step: 10, loss: test }],
    final: { validation: test, test, forgetting },
    trainable: 100,
    deviceBytes: 1e6,
    initMs: 1,
    diverged: false,
  };
}

const ROWS = [
  row("olora", 1e-3, 1, 1.0, 0.1),
  row("olora", 1e-3, 2, 1.2, 0.2),
  row("olora", 3e-3, 1, 0.5, 0.3),
  row("olora", 1e-2, 1, 0.9, 0.6),
  row("lora", 1e-3, 1, 1.5, 0.05),
];

Deno.test("trades() are means over runs, by method and gain, and know which rates another rate beats", () => {
  const found = trades(ROWS);
  assertEquals(found.map(({ method, rate, isFront }) => [method, rate, isFront]), [
    ["olora", 1e-3, true],
    ["olora", 1e-2, false],
    ["olora", 3e-3, true],
    ["lora", 1e-3, true],
  ]);
  assertAlmostEquals(found[0].gain, 0.9);
  assertAlmostEquals(found[0].forgetting.mean, 0.15);
  assert(found[0].forgetting.low < 0.15 && found[0].forgetting.high > 0.15);
});

Deno.test("trades() leave out a rate at which a run diverged or was not measured", () => {
  const broken = [
    { ...ROWS[2], diverged: true },
    { ...ROWS[3], final: { validation: 1, test: 0.9 } },
    ROWS[0],
  ];
  assertEquals(trades(broken).map(({ rate }) => rate), [1e-3]);
});

Deno.test("paretoFigure() draws each method's front, and names the rates that are not on it", () => {
  const figure = paretoFigure(ROWS);
  assertEquals(figure.panels[0].series.map(({ x }) => x.length), [2, 1]);
  assertStringIncludes(figure.caption, "OLoRA 1e-2");
  assert(!svgFigure(figure).includes("NaN"));
});

Deno.test("atEqualGain() interpolates along each method's rates, for each base and seed that both have", () => {
  const rows = [
    ...ROWS,
    row("lora", 3e-3, 1, 0.8, 0.4), // gains 1.2, the smaller of the two largest
    { ...row("lora", 1e-2, 1, 0.1, 9), diverged: true },
    row("lora", 1e-3, 3, 1.5, 0.05), // nobody to compare with
  ];
  const found = atEqualGain(rows, ["olora", "lora"]);
  assertEquals(found.map(({ seed }) => seed), [1]);
  assertAlmostEquals(found[0].gain, 1.2);
  // olora gained 1.0 for 0.1 and 1.5 for 0.3
  assertAlmostEquals(found[0].paid[0], 0.1 + 0.2 / 0.5 * 0.2);
  assertAlmostEquals(found[0].paid[1], 0.4);
});

Deno.test("atEqualGain() leaves out a pair where one gains more at its lowest rate than the other at any, and keeps bases apart", () => {
  const on = (model: string, made: RunRow) => ({ ...made, config: { ...made.config, model } });
  const rows = [
    on("one", row("olora", 1e-3, 1, 1, 0.4)),
    on("one", row("olora", 3e-3, 1, 0.5, 0.8)),
    on("one", row("lora", 1e-3, 1, 1, 0.1)),
    on("two", row("olora", 1e-3, 1, 1, 0.2)),
    on("three", row("olora", 1e-3, 1, 1.2, 0.4)),
    on("three", row("lora", 1e-3, 1, 1, 0.1)),
  ];
  assertEquals(atEqualGain(rows, ["olora", "lora"]).map(({ model, paid }) => [model, ...paid]), [[
    "one",
    0.4,
    0.1,
  ]]);
  assertEquals(atEqualGain(rows, ["olora", "lora"], "divergence"), []);
});

Deno.test("paretoFigure() gives each base a panel of its own", () => {
  const on = (model: string) => ROWS.map((made) => ({ ...made, config: { ...made.config, model } }));
  const { panels } = paretoFigure([...on("one"), ...on("two")]);
  assertEquals(panels.map(({ title, series }) => [title, series.length]), [["one", 2], ["two", 2]]);
});

Deno.test("forgettingVerdicts() go by the interval of what was paid at equal gain", () => {
  const pairs = (paid: [number, number][]) =>
    paid.flatMap(([olora, lora], seed) => [
      row("olora", 1e-3, seed, 1, olora),
      row("lora", 1e-3, seed, 1, lora),
    ]);
  const outcome = (paid: [number, number][]) => forgettingVerdicts(pairs(paid), ["lora"])[0].outcome;
  assertEquals(outcome([[0.1, 0.2], [0.12, 0.21], [0.1, 0.21]]), "held");
  assertEquals(outcome([[0.2, 0.1], [0.21, 0.12], [0.21, 0.1]]), "refuted");
  assertEquals(outcome([[0.1, 0.2], [0.2, 0.1], [0.1, 0.1]]), "inconclusive");
  const [one] = forgettingVerdicts(pairs([[0.1, 0.2]]), ["lora"]);
  assertEquals([one.outcome, one.sentence], ["inconclusive", "Fewer than two bases or seeds have both."]);
  const [three] = forgettingVerdicts(pairs([[0.1, 0.2], [0.12, 0.21], [0.1, 0.21]]), ["lora"]);
  assertStringIncludes(three.sentence, "0.107 (LoRA 0.207): a difference of −0.100 nats");
});
