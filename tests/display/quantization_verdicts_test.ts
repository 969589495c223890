import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  PEFT_FACTOR,
  type QuantizationRow,
  quantizationVerdicts,
  type QuantizedBase,
} from "../../lib/display/quantization_verdicts.ts";

/** A base whose starts of rank 8 lose these shares of what plain NF4 loses, and olora's loss against plain's 1.1. */
function base(olora: number, pissa: number, loftq: number, loss: number): QuantizedBase {
  const row = (start: string, relativeNuclear: number, loss = 1.1): QuantizationRow => ({
    ...{ dtype: "nf4", start, rank: start === "none" ? 0 : 8, relativeNuclear, loss },
  });
  return {
    unquantizedLoss: 1,
    rows: [row("none", 1), row("olora", olora, loss), row("pissa", pissa), row("loftq", loftq)],
  };
}

const outcomes = (bases: readonly QuantizedBase[]) =>
  quantizationVerdicts(bases).map(({ outcome }) => outcome);

Deno.test("quantizationVerdicts() hold where the whole interval over bases is on the claim's side", () => {
  const bases = [base(0.7, 0.8, 0.9, 1.05), base(0.71, 0.82, 0.9, 1.04), base(0.69, 0.8, 0.91, 1.05)];
  assertEquals(outcomes(bases), Array(5).fill("held"));
});

Deno.test("quantizationVerdicts() are refuted where it is on the other side, and inconclusive across it", () => {
  const bases = [base(1.1, 0.8, 0.9, 1.15), base(1.11, 0.82, 1.2, 1.17), base(1.09, 0.8, 1.3, 1.16)];
  assertEquals(outcomes(bases), ["refuted", "refuted", "refuted", "inconclusive", "refuted"]);
});

Deno.test("quantizationVerdicts() set PEFT's factor against the norm itself, not against 1", () => {
  const between = (1 + 1 / PEFT_FACTOR) / 2;
  const bases = [base(between, 1, 1, 1.1), base(between + 1e-3, 1, 1, 1.1), base(between - 1e-3, 1, 1, 1.1)];
  assertEquals(outcomes(bases).slice(0, 2), ["held", "refuted"]);
});

Deno.test("quantizationVerdicts() are inconclusive on one base, and say so without an interval", () => {
  const verdicts = quantizationVerdicts([base(0.7, 0.8, 0.9, 1.05)]);
  assertEquals(verdicts.map(({ outcome }) => outcome), Array(5).fill("inconclusive"));
  for (const { sentence } of verdicts) {
    assertMatch(sentence, /\(1 base\)/);
    assertEquals(/NaN|–/.test(sentence), false);
  }
});

Deno.test("quantizationVerdicts() give mean, both sides and interval of the paired difference", () => {
  // Differences 0.1, 0.12 and 0.14: 0.12 ± 4.3027 · 0.02 / √3.
  const bases = [base(0.9, 0.8, 1, 1.1), base(0.92, 0.8, 1, 1.1), base(0.94, 0.8, 1, 1.1)];
  assertEquals(
    quantizationVerdicts(bases)[2].sentence,
    "Nuclear norm of what is lost, over that of plain NF4: 0.920 (PiSSA 0.800): a difference of +0.120 " +
      "(95 % interval 0.070 to 0.170, 3 bases).",
  );
});

Deno.test("quantizationVerdicts() name the rows that there are where one is missing", () => {
  assertThrows(
    () => quantizationVerdicts([base(0.7, 0.8, 0.9, 1.05)], { rank: 4 }),
    RangeError,
    "Cannot judge nf4 olora of rank 4: found nf4 none 0, nf4 olora 8, nf4 pissa 8, nf4 loftq 8, expected a row of it",
  );
});
