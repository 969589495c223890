import { assert, assertEquals, assertThrows } from "@std/assert";
import { expand, type SweepConfig } from "../../lib/experiments/sweep.ts";
import type { MeasuredRun } from "../../lib/experiments/measure.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";
import { olora, run } from "../cli/command_line.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const DATA = fixturePath("llama_tied/batches.json");
const SETTINGS = {
  base: {
    model: fixturePath("llama_tied"),
    data: DATA,
    steps: 12,
    evaluation: { data: DATA, every: 4, rows: 4 },
  },
  grid: [
    { method: ["olora", "lora"], rank: [2], learningRate: [1e-3, 1e-2], seed: [1] },
    { method: ["full"], learningRate: [1e-3, 1e30], seed: [1] },
    { method: ["lora"], rank: [2], learningRate: [1e-3], seed: [1, 2] },
  ],
  measures: { validation: DATA, test: DATA, general: DATA },
};

Deno.test("expand() makes each combination of a block once, and asks for what a run needs", () => {
  const config = { ...SETTINGS, rows: "", work: "" } as unknown as SweepConfig;
  const runs = expand(config);
  assertEquals(runs.length, 4 + 2 + 1);
  assertEquals(runs[0].method, "olora");
  assertEquals(runs.map(({ learningRate }) => learningRate).slice(0, 4), [1e-3, 1e-2, 1e-3, 1e-2]);
  const lacking = { ...config, grid: [{ method: ["lora"], seed: [1] }] };
  assertThrows(() => expand(lacking), RangeError, "found no learningRate");
});

Deno.test("olora sweep, killed again and again, ends with the rows of a sweep that was not", async () => {
  const folder = await Deno.makeTempDir();
  const file = async (name: string) => {
    const path = `${folder}/${name}.json`;
    await Deno.writeTextFile(
      path,
      JSON.stringify({ ...SETTINGS, rows: `${name}.jsonl`, work: `${name}-work` }),
    );
    return path;
  };
  const whole = await file("whole");
  const ended = await run("sweep", whole, "--json");
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(JSON.parse(ended.stdout).made, 7);
  assertEquals(JSON.parse(ended.stdout).diverged, 1);

  const killed = await file("killed");
  for (const [ms, signal] of [[2500, "SIGKILL"], [3500, "SIGINT"], [3000, "SIGKILL"]] as const) {
    const process = olora("sweep", killed).spawn();
    const timer = setTimeout(() => process.kill(signal), ms);
    await process.output();
    clearTimeout(timer);
  }
  assertEquals((await run("sweep", killed)).code, 0);
  const again = await run("sweep", killed, "--json");
  assertEquals(JSON.parse(again.stdout).made, 0);

  const [expected, found] = [await rows(`${folder}/whole.jsonl`), await rows(`${folder}/killed.jsonl`)];
  assertEquals(found.map(({ run }) => run), expected.map(({ run }) => run));
  for (const [i, row] of found.entries()) {
    for (const part of ["config", "curve", "final", "trainable", "diverged", "device", "variants"] as const) {
      assertEquals(row[part], expected[i][part], `${part} of run ${i}`);
    }
  }
  const diverged = found.filter((row) => row.diverged);
  assertEquals(diverged.map(({ config }) => config.learningRate), [1e30]);
  assertEquals(new Set(expected.map(({ command }) => command)), new Set([`olora sweep ${whole} --json`]));
  for (const { driver, device } of found) assert(driver!.includes(device), driver);
  for (const { diverged, curve, final, initMs, secondsPerStep, deviceBytes } of found) {
    assert(initMs > 0 && secondsPerStep > 0 && deviceBytes > 0);
    if (diverged) continue;
    assertEquals(curve.map(({ step }) => step), [0, 4, 8, 12]);
    assert(final.validation !== null && final.test !== null && final.forgetting !== null);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora sweep, in parts and whole at the same time, makes each run once", async () => {
  const folder = await Deno.makeTempDir();
  const config = `${folder}/shared.json`;
  await Deno.writeTextFile(config, JSON.stringify({ ...SETTINGS, rows: "rows.jsonl", work: "work" }));
  const parts = [["--part", "1/2"], ["--part", "2/2"], ["--part", "1/3"], []];
  const ended = await Promise.all(parts.map((part) => run("sweep", config, ...part, "--json")));
  assertEquals(ended.map(({ code }) => code), [0, 0, 0, 0], ended.map(({ stderr }) => stderr).join());
  const made = ended.map(({ stdout }) => JSON.parse(stdout).made as number);
  assertEquals(made.reduce((a, b) => a + b), 7, String(made));
  const found = await rows(`${folder}/rows.jsonl`);
  const name = ({ config: { method, learningRate, seed } }: MeasuredRun) =>
    `${method} ${learningRate} ${seed}`;
  assertEquals(new Set(found.map(name)).size, 7);
  assertEquals(found.length, 7);
  await Deno.remove(folder, { recursive: true });
});

async function rows(path: string): Promise<MeasuredRun[]> {
  return (await readJsonl(path)).map(({ value }) => value as MeasuredRun);
}

Deno.test("olora sweep measures what was learnt and how sharp the start was where it is asked to", async () => {
  const folder = await Deno.makeTempDir();
  const measures = { validation: DATA, general: DATA, spectrum: true, sharpness: 1 };
  const grid = [{ method: ["olora"], rank: [2], learningRate: [1e-3], seed: [1] }];
  await Deno.writeTextFile(
    `${folder}/a.json`,
    JSON.stringify({ ...SETTINGS, grid, measures, rows: "rows.jsonl", work: "work" }),
  );
  const ended = await run("sweep", `${folder}/a.json`, "--json");
  assertEquals(ended.code, 0, ended.stderr);
  const rows = (await readJsonl(`${folder}/rows.jsonl`)).map(({ value }) => value as MeasuredRun);
  assertEquals(rows.length, 1);
  const { final, spectrum, sharpness } = rows[0];
  assert(final.divergence! > 0 && Number.isFinite(final.divergence));
  assert(spectrum!.relativeNorm > 0 && spectrum!.drift! > 0);
  assert(spectrum!.effectiveRank >= 1 && spectrum!.effectiveRank <= 4);
  assert([spectrum!.overlap.top, spectrum!.overlap.bottom].every((share) => share >= 0 && share <= 1));
  assert(Number.isFinite(sharpness!.hessian) && sharpness!.preconditioned > 0);
  await Deno.remove(folder, { recursive: true });
});
