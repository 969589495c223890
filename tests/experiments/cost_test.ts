import { assertEquals } from "@std/assert";
import { describeCost, expectedCost } from "../../lib/experiments/cost.ts";
import type { SweepRun } from "../../lib/experiments/sweep.ts";
import { fakeRow } from "./fake_rows.ts";

const run: SweepRun = { model: "tiny", data: "a", method: "olora", learningRate: 1, seed: 1, steps: 7200 };

Deno.test("expectedCost() is steps times the seconds of the latest row alike, for the runs that have one", async () => {
  const row = await fakeRow("a");
  const rows = [{ ...row, secondsPerStep: 9 }, row, { ...row, secondsPerStep: 9, diverged: true }];
  const runs = [run, { ...run, seed: 2 }, { ...run, method: "lora" }, { ...run, batchSize: 3 }];
  assertEquals(expectedCost(runs, rows), { seconds: 7200, runs: 2, devices: ["imagined"] });
  assertEquals(
    describeCost(runs, rows),
    "runs to make: 4; the training of 2 of them takes about 2.0 device hours, by rows of imagined",
  );
  assertEquals(
    describeCost([run], rows),
    "runs to make: 1; training takes about 1.0 device hours, by rows of imagined",
  );
  assertEquals(describeCost([run], []), "runs to make: 1; cost not known yet");
  assertEquals(describeCost([], rows), "runs to make: 0");
});
