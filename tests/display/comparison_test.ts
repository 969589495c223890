import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type ComparedRuns,
  comparisonFigure,
  comparisonText,
  comparisonVerdicts,
} from "../../lib/display/comparison.ts";
import type { RunRow } from "../../lib/display/rows.ts";
import { svgFigure } from "../../lib/display/svg.ts";

function row(method: string, learningRate: number, seed: number, test: number): RunRow {
  return {
    run: `${method}-${learningRate}-${seed}`,
    config: { method, learningRate, seed },
    device: "synthetic device",
    isSoftware: true,
    curve: [{ step: 0, loss: 2 }, { step: 10, loss: test + 0.5 }, { step: 20, loss: test }],
    final: { validation: test, test },
    trainable: 100,
    deviceBytes: 1e6,
    initMs: 1,
    diverged: false,
  };
}

function compared(method: string, losses: number[], counts = true): ComparedRuns {
  return {
    learningRate: 1e-3,
    counts,
    search: [1e-4, 1e-3, 1e-2].map((rate, i) => row(method, rate, 0, losses[0] + 0.1 * Math.abs(i - 1))),
    runs: losses.map((loss, i) => row(method, 1e-3, i + 1, loss)),
  };
}

const outcomes = (...methods: ComparedRuns[]) => comparisonVerdicts(methods).map(({ outcome }) => outcome);

Deno.test("comparisonVerdicts() decides by the paired interval: lower, and no match", () => {
  const lora = compared("lora", [1, 1.2, 0.9, 1.1]);
  assertEquals(outcomes(compared("olora", [0.8, 1.01, 0.69, 0.9]), lora), ["held", "refuted"]);
  assertEquals(outcomes(compared("olora", [1.2, 1.41, 1.09, 1.3]), lora), ["refuted", "refuted"]);
});

Deno.test("comparisonVerdicts() finds a match where the interval lies within the margin, and neither where it is wide", () => {
  const lora = compared("lora", [1, 1.2, 0.9, 1.1]);
  assertEquals(outcomes(compared("olora", [1.001, 1.199, 0.901, 1.099]), lora), ["inconclusive", "held"]);
  assertEquals(outcomes(compared("olora", [0.7, 1.5, 1.2, 0.8]), lora), ["inconclusive", "inconclusive"]);
});

Deno.test("comparisonVerdicts() leaves inconclusive what rests on a rate at an edge, or on a run that diverged", () => {
  const lora = compared("lora", [1, 1.2, 0.9, 1.1]);
  const edge = comparisonVerdicts([compared("olora", [0.8, 1.01, 0.69, 0.9], false), lora]);
  assertEquals(edge.map(({ outcome }) => outcome), ["inconclusive", "inconclusive"]);
  assertStringIncludes(edge[0].sentence, "no two tried rates on either side: OLoRA");
  const runs = compared("olora", [0.8, 1.01, 0.69, 0.9]);
  const diverged = { ...runs, runs: runs.runs.map((each, i) => ({ ...each, diverged: i === 1 })) };
  assertEquals(outcomes(diverged, lora), ["inconclusive", "inconclusive"]);
});

Deno.test("comparisonText() and comparisonFigure() show every method, its rate, and how many tests were made", () => {
  const methods = [compared("olora", [0.8, 1]), compared("lora", [1, 1.2]), compared("pissa", [1, 1.1])];
  const text = comparisonText(methods);
  for (
    const word of ["OLoRA", "LoRA", "PiSSA", "1e-3", "2 methods are set against OLoRA, in two tests each"]
  ) {
    assertStringIncludes(text, word);
  }
  const figure = comparisonFigure(methods);
  assertEquals(figure.panels.length, 2);
  assertStringIncludes(figure.caption!, "2 runs a method with fresh seeds");
  const svg = svgFigure(figure);
  assert(svg.startsWith("<svg") && !svg.includes("NaN"));
});
