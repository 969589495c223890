import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import {
  convergenceFigure,
  convergenceTable,
  curveSeries,
  formatInterval,
  lossThresholds,
  rateFigure,
  rateStops,
} from "../../lib/display/convergence.ts";
import {
  finalLoss,
  groupRuns,
  isInterior,
  methodKey,
  methodName,
  rateName,
  type RunRow,
  runsAtBestRate,
  runsAtRate,
} from "../../lib/display/rows.ts";
import { convergenceVerdicts, replicationNote, textVerdicts } from "../../lib/display/verdicts.ts";
import { plotlyFigure } from "../../lib/display/plotly.ts";
import { svgFigure } from "../../lib/display/svg.ts";
import { SYNTHETIC_RATES, syntheticRows } from "./synthetic_rows.ts";

/** A made-up run with everything plain, to compute by hand from. */
function row(
  method: string,
  learningRate: number,
  seed: number,
  losses: number[],
  extra: Partial<RunRow> = {},
): RunRow {
  const end = losses[losses.length - 1];
  return {
    run: `${method}-${learningRate}-${seed}`,
    config: { method, learningRate, seed, model: "synthetic" },
    device: "synthetic device",
    isSoftware: true,
    curve: losses.map((loss, i) => ({ step: 10 * i, loss })),
    final: { validation: end, test: end, accuracy: 0.5, forgetting: 0.1 },
    trainable: 100,
    deviceBytes: 1e6,
    initMs: 1,
    diverged: false,
    ...extra,
  };
}

const cell = (rows: RunRow[], name: string, rate = 1e-3) => {
  const table = convergenceTable(runsAtRate(rows, rate), "");
  return table.rows.find(([first]) => String(first).startsWith(name))!.slice(1);
};

Deno.test("methodKey(), methodName() and rateName() give keys and words", () => {
  assertEquals(methodKey({ method: "olora", freeze: "B", learningRate: 1, seed: 0 }), "olora-freeze-B");
  assertEquals(["olora-freeze-B", "lora", "full", "dora", "vera"].map(methodName), [
    "OLoRA, B frozen",
    "LoRA",
    "Full fine-tuning",
    "DoRA",
    "vera",
  ]);
  assertEquals([3e-4, 1e-1, 3.16e-3, 1].map(rateName), ["3e-4", "1e-1", "3.16e-3", "1e0"]);
  assertEquals(["lora-fa", "lora+-ratio-4", "lora-norm-olora", "other-basis-last"].map(methodName), [
    "LoRA-FA",
    "LoRA+, ratio 4",
    "LoRA, A of OLoRA's norm",
    "other, last columns",
  ]);
});

Deno.test("groupRuns() orders methods and rates, whatever the order of the rows", () => {
  const rows = syntheticRows(2, 100);
  const names = groupRuns(rows).map(({ method, rate }) => `${method} ${rate}`);
  assertEquals(
    names,
    ["olora", "lora", "full"].flatMap((m) => SYNTHETIC_RATES.map((rate) => `${m} ${rate}`)),
  );
  assertEquals(groupRuns(rows.toReversed()).map(({ method, rate }) => `${method} ${rate}`), names);
});

Deno.test("groupRuns() counts a run that two devices made once", () => {
  const one = row("lora", 1e-3, 0, [4, 3]);
  const [group] = groupRuns([one, row("lora", 1e-3, 1, [4, 3]), {
    ...one,
    run: "elsewhere",
    device: "another",
  }]);
  assertEquals(group.rows.map(({ config, device }) => [config.seed, device]), [[0, one.device], [
    1,
    one.device,
  ]]);
});

Deno.test("runsAtBestRate() takes the lowest mean validation loss and never a rate where a run diverged", () => {
  const rows = [
    row("lora", 1e-3, 0, [4, 3]),
    row("lora", 1e-3, 1, [4, 2.8]),
    row("lora", 1e-2, 0, [4, 1]),
    row("lora", 1e-2, 1, [4], { diverged: true, final: { validation: null } }),
  ];
  const [best] = runsAtBestRate(rows);
  assertEquals([best.rate, finalLoss(best)], [1e-3, 2.9]);
  assertEquals(runsAtBestRate(rows.slice(3)), []);
});

Deno.test("isInterior() asks for two tried rates on either side", () => {
  const rows = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1].map((rate) => row("lora", rate, 0, [4, 3]));
  assertEquals(groupRuns(rows).map((group) => isInterior(group, rows)), [false, false, true, false, false]);
});

Deno.test("curveSeries() averages over runs and stops where the first run does", () => {
  const [group] = groupRuns([row("lora", 1e-3, 0, [4, 3, 2]), row("lora", 1e-3, 1, [4, 2])]);
  const { x, y, low, high } = curveSeries(group);
  assertEquals([x, y], [[0, 10], [4, 2.5]]);
  // Student's interval of two values one apart: half-width t(1) · (1/√2) / √2 = 12.706 / 2.
  assertAlmostEquals(high![1] - low![1], 12.706204736174694, 1e-9);
  assertEquals(curveSeries(groupRuns([row("lora", 1e-3, 0, [4, 3])])[0]).low, undefined);
});

Deno.test("convergenceTable() times 50, 75 and 90 % of LoRA's own improvement", () => {
  const rows = [row("lora", 1e-3, 0, [4, 3, 2]), row("olora", 1e-3, 0, [4, 2, 2])];
  assertEquals(lossThresholds(runsAtRate(rows, 1e-3))?.get("synthetic"), [3, 2.5, 4 - 0.9 * 2]);
  assertEquals(cell(rows, "Steps to 50 %"), ["5", "10"]);
  assertEquals(cell(rows, "Steps to 75 %"), ["7.500", "15"]);
  assertEquals(cell(rows, "Area"), ["2.500", "3"]);
});

Deno.test("convergenceTable() times each run against LoRA's improvement on its own base", () => {
  const on = (model: string, ...made: RunRow[]) =>
    made.map((row) => ({ ...row, config: { ...row.config, model } }));
  const rows = [
    ...on("one", row("lora", 1e-3, 0, [4, 3, 2]), row("olora", 1e-3, 0, [4, 2, 2])),
    ...on("two", row("lora", 1e-3, 0, [9, 7, 5]), row("olora", 1e-3, 0, [9, 5, 5])),
  ];
  assertEquals(cell(rows, "Steps to 50 %"), ["5", "10"]);
});

Deno.test("convergenceTable() keeps runs that never arrive, at the horizon that all reached", () => {
  const rows = [
    row("lora", 1e-3, 0, [4, 3, 2, 2]),
    row("olora", 1e-3, 0, [4, 4, 4, 4, 2]),
    row("olora", 1e-3, 1, [4, 2, 2, 2, 2]),
  ];
  assertEquals(cell(rows, "Steps to 50 %"), ["median 5 (1 of 2 never)", "10"]);
});

Deno.test("convergenceTable() counts a diverged run as never arriving and says how many were averaged", () => {
  const rows = [
    row("lora", 1e-3, 0, [4, 3, 2]),
    row("olora", 1e-3, 0, [4, 9], { diverged: true, final: { validation: null } }),
    row("olora", 1e-3, 1, [4, 2, 2]),
  ];
  assertEquals(cell(rows, "Steps to 90 %")[0], "median 9 (1 of 2 never)");
  assertEquals(cell(rows, "Final validation")[0], "2 (1 of 2 runs)");
  assertEquals(cell(rows, "Area")[0], "2.500 (1 of 2 runs)");
});

Deno.test("convergenceTable() has no median of steps where fewer than half of the runs arrived", () => {
  const rows = [
    row("lora", 1e-3, 0, [4, 3, 2]),
    ...[0, 1].map((seed) => row("olora", 1e-3, seed, [4, 4, 4])),
  ];
  assertEquals(cell(rows, "Steps to 50 %")[0], "median ∞ (2 of 2 never)");
});

Deno.test("convergenceTable() shows a step's time, the early rise, and what dW is where it was measured", () => {
  const curve = [4, 5, ...Array.from({ length: 19 }, () => 3)];
  const spectrum = {
    drift: null,
    relativeNorm: 0.25,
    effectiveRank: 6,
    overlap: { top: 0.5, bottom: 0.125 },
  };
  const rows = [
    row("lora", 1e-3, 0, curve, { secondsPerStep: 0.02, spectrum }),
    row("olora", 1e-3, 0, [4, 3]),
  ];
  assertEquals(cell(rows, "Training step (ms)"), [null, "20"]);
  assertEquals(cell(rows, "Early rise"), ["0", "1"]);
  assertEquals(cell(rows, "‖dW‖"), [null, "0.2500"]);
  assertEquals(cell(rows, "Effective rank"), [null, "6"]);
  assertEquals(cell(rows, "dW in W's first"), [null, "50"]);
  assertEquals(cell(rows, "dW in W's last"), [null, "12.50"]);
  const names = convergenceTable(runsAtRate(rows.slice(1), 1e-3), "").rows.map(([name]) => name);
  assert(!names.some((name) => /dW/.test(String(name))));
});

Deno.test("convergenceTable() leaves the steps out where LoRA is missing or did not improve", () => {
  assertEquals(cell([row("olora", 1e-3, 0, [4, 2])], "Steps to 50 %"), [null]);
  assertEquals(cell([row("lora", 1e-3, 0, [4, 4.5])], "Steps to 50 %"), [null]);
});

Deno.test("formatInterval() rounds the mean to two digits of the half-width", () => {
  const text = (mean: number, half: number) =>
    formatInterval({ mean, low: mean - half, high: mean + half, n: 3 });
  assertEquals(text(2.35412, 0.0788), "2.354 ± 0.079");
  assertEquals(text(1234.5, 45.6), "1,235 ± 46");
  assertEquals(text(-0.5, 1.26), "−0.5 ± 1.3");
  assertEquals(formatInterval({ mean: 96256, low: NaN, high: NaN, n: 1 }), "96,256");
});

Deno.test("rateFigure() rings each method's best rate, leaves diverged rates as gaps and names them", () => {
  const rows = syntheticRows();
  const { panels: [panel], caption } = rateFigure(rows);
  const rings = panel.marks!.filter(({ x }) => x !== undefined);
  assertEquals(rings.map(({ x, role }) => [role, x]), runsAtBestRate(rows).map((g) => [g.method, g.rate]));
  const full = panel.series.find(({ role }) => role === "full")!;
  assertEquals(full.y.map(Number.isFinite), SYNTHETIC_RATES.map((rate) => rate < 2e-2));
  assertStringIncludes(caption, "Full fine-tuning at 3e-2 (5 of 5)");
});

Deno.test("rateStops() has a stop for each rate, all on one y axis, and names the lowest", () => {
  const stops = rateStops(syntheticRows());
  assertEquals(stops.map(({ rate }) => rate), SYNTHETIC_RATES);
  assertEquals(new Set(stops.map(({ panel }) => String(panel.yRange))).size, 1);
  assertEquals([stops[2].winner, stops[8].winner], ["full", "lora"]);
  assertStringIncludes(stops[2].sentence, "lowest first: Full fine-tuning");
  assertStringIncludes(stops[8].sentence, "Diverged: OLoRA, Full fine-tuning.");
});

Deno.test("convergenceFigure() draws what was measured now solid over the stored runs", () => {
  const rows = syntheticRows();
  const live = syntheticRows(3, 400).filter(({ config }) => config.learningRate === 1e-3);
  const [best, author] = convergenceFigure(rows, 3e-4, live).panels;
  assertEquals(best.series.map(({ dashed }) => dashed ?? false), [true, true, true, false, false, false]);
  assertEquals(author.series.some(({ dashed }) => dashed), false);
});

/** Pairs of runs over five rates; OLoRA's curves from `olora`, LoRA's from `lora`, full's from `full`. */
function grid(olora: number[][], lora: number[][], full: number[][] = []): RunRow[] {
  const rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
  const worse = (losses: number[]) => losses.map((loss, i) => i ? loss + 0.5 : loss);
  const runs = (method: string, curves: number[][]) =>
    rates.flatMap((rate) =>
      curves.map((losses, seed) => row(method, rate, seed, rate === 1e-3 ? losses : worse(losses)))
    );
  return [...runs("olora", olora), ...runs("lora", lora), ...runs("full", full)];
}
const outcome = (rows: RunRow[], start: string) =>
  convergenceVerdicts(rows, 1e-3).find(({ claim }) => claim.startsWith(start))!;

const slow = [[4, 3.5, 3, 2], [4, 3.52, 3.01, 2.01], [4, 3.48, 2.99, 1.99]];
const fast = [[4, 2.5, 2, 2], [4, 2.52, 2.01, 2.01], [4, 2.49, 2, 2]];

Deno.test("convergenceVerdicts() says that speed held, is refuted or inconclusive by the paired interval", () => {
  const claim = "OLoRA converges faster than LoRA, each";
  assertEquals(outcome(grid(fast, slow), claim).outcome, "held");
  assertEquals(outcome(grid(slow, fast), claim).outcome, "refuted");
  assertEquals(
    outcome(grid([fast[0], slow[1], fast[2]], [slow[0], fast[1], slow[2]]), claim).outcome,
    "inconclusive",
  );
  assertStringIncludes(outcome(grid(fast, slow), claim).sentence, "95 % interval");
});

Deno.test("convergenceVerdicts() leaves a claim inconclusive with one pair, or with a best rate at the edge", () => {
  const claim = "OLoRA converges faster than LoRA, each";
  assertEquals(outcome(grid(fast.slice(0, 1), slow.slice(0, 1)), claim).outcome, "inconclusive");
  const edge = grid(fast, slow).filter(({ config }) => config.learningRate <= 1e-3);
  const verdict = outcome(edge, claim);
  assertEquals(verdict.outcome, "inconclusive");
  assertStringIncludes(verdict.sentence, "no two tried rates on either side: OLoRA, LoRA");
  assertEquals(outcome(edge, "OLoRA converges faster than LoRA, both at the author's").outcome, "held");
});

Deno.test("convergenceVerdicts() counts a match with full fine-tuning only within the margin fixed in advance", () => {
  const at = (end: number) => [0, 1, 2].map((seed) => [4, 3, end + 0.001 * seed]);
  const claim = "OLoRA matches full fine-tuning";
  assertEquals(outcome(grid(at(2.01), slow, at(2)), claim).outcome, "held");
  assertEquals(outcome(grid(at(2.1), slow, at(2)), claim).outcome, "refuted");
  const noisy = [[4, 3, 1.9], [4, 3, 2.0], [4, 3, 2.1]];
  assertEquals(outcome(grid(noisy, slow, at(2)), claim).outcome, "inconclusive");
});

Deno.test("convergenceVerdicts() compares parameters exactly and memory within 1 %", () => {
  const rows = grid(fast, slow).map((r) => r.config.method === "olora" ? { ...r, deviceBytes: 1.02e6 } : r);
  assertEquals(outcome(rows, "OLoRA trains as many").outcome, "held");
  assertEquals(outcome(rows, "OLoRA needs as much").outcome, "refuted");
  const half = rows.map((r) => r.config.method === "lora" ? { ...r, trainable: 50 } : r);
  assertEquals(outcome(half, "OLoRA trains as many").outcome, "refuted");
});

Deno.test("convergenceVerdicts() pairs runs by base and seed and leaves out what has no partner", () => {
  const rows = grid(fast, slow).filter(({ config }) => config.method === "lora" || config.seed !== 1);
  assertStringIncludes(outcome(rows, "OLoRA converges faster than LoRA, each").sentence, "2 pairs");
  assertStringIncludes(replicationNote(rows), "2 pairs of runs on 1 base model. That is an indication");
  assert(convergenceVerdicts(rows, 1e-3).every(({ claim }) => !claim.includes("full fine-tuning")));
});

Deno.test("textVerdicts() sets outcomes in a column of their own, within the width", () => {
  const lines = textVerdicts(convergenceVerdicts(grid(fast, slow), 1e-3), 60).split("\n");
  assert(lines.every((line) => line.length <= 60));
  assertEquals(lines[0], "held          OLoRA converges faster than LoRA, each method");
  const outcomes = new Set(lines.filter(Boolean).map((line) => line.slice(0, 14).trim()));
  assert([...outcomes].every((text) => ["held", "refuted", "inconclusive", ""].includes(text)));
});

Deno.test("figures, table and verdicts can be made from a single run, and from none", () => {
  for (const rows of [[], [row("olora", 1e-3, 0, [4, 2])], [row("lora", 1e-3, 0, [4])]]) {
    for (const figure of [convergenceFigure(rows, 1e-3), rateFigure(rows)]) {
      assert(!/NaN|Infinity|undefined/.test(svgFigure(figure)));
      plotlyFigure(figure);
    }
    assertEquals(rateStops(rows).length, rows.length);
    convergenceTable(runsAtBestRate(rows), "");
    convergenceVerdicts(rows, 1e-3);
    replicationNote(rows);
  }
});

Deno.test("convergenceVerdicts() of no rows is empty", () => {
  assertEquals(convergenceVerdicts([], 3e-4), []);
});
