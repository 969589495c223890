import { assertAlmostEquals, assertEquals } from "@std/assert";
import { scheduleFactor } from "../../lib/optim/schedule.ts";

// transformers.get_scheduler(name, optimizer, num_warmup_steps=3, num_training_steps=10), factors of updates 0 … 9:
// its formulas are step / warmup, then 1, (10 − step) / 7, and (1 + cos(π (step − 3) / 7)) / 2.
const THIRD = 1 / 3;
const VALUES = {
  constant: [0, THIRD, 2 * THIRD, 1, 1, 1, 1, 1, 1, 1],
  linear: [0, THIRD, 2 * THIRD, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7],
  cosine: [
    0,
    THIRD,
    2 * THIRD,
    1,
    0.9504844339512095,
    0.8117449009293668,
    0.6112604669781572,
    0.38873953302184283,
    0.1882550990706332,
    0.04951556604879043,
  ],
};

for (const [name, values] of Object.entries(VALUES)) {
  Deno.test(`scheduleFactor("${name}") gives the factors of transformers`, () => {
    values.forEach((value, step) =>
      assertAlmostEquals(scheduleFactor(name as keyof typeof VALUES, step, 3, 10), value, 1e-15)
    );
  });
}

Deno.test("scheduleFactor() starts at 1 without a warm-up and ends at 0 for linear and cosine", () => {
  for (const name of ["constant", "linear", "cosine"] as const) {
    assertEquals(scheduleFactor(name, 0, 0, 10), 1);
    assertAlmostEquals(scheduleFactor(name, 10, 0, 10), name === "constant" ? 1 : 0, 1e-15);
  }
  assertEquals(scheduleFactor("linear", 12, 0, 10), 0);
  assertEquals(scheduleFactor("linear", 4, 5, 5), 0.8);
});
