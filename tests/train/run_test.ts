import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach } from "../../lib/adapters/attach.ts";
import { findMethod } from "../../lib/adapters/methods.ts";
import { saveAdapter } from "../../lib/adapters/save.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { readCheckpoint, storedStart } from "../../lib/train/checkpoint.ts";
import { trainRun } from "../../lib/train/run.ts";
import type { RunConfig } from "../../lib/train/run_config.ts";
import type { RunEvent } from "../../lib/train/run_event.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const MODEL = fixturePath("llama_tied");
const DATA = fixturePath("llama_tied/batches.json");

const CONFIGS: Record<string, Partial<RunConfig>> = {
  "olora with dropout and a cosine": {
    method: "olora",
    rank: 4,
    targets: "all-linear",
    dropout: 0.2,
    schedule: "cosine",
    warmup: 2,
    weightDecay: 0.1,
    clip: 1,
  },
  "dora with dropout": { method: "dora", rank: 4, targets: "all-linear", dropout: 0.2 },
  "olora with magnitudes": { method: "olora", magnitude: true, rank: 4, targets: "all-linear", dropout: 0.2 },
  "mora with dropout": { method: "mora", rank: 4, targets: "all-linear", dropout: 0.2 },
  "remora with dropout": {
    ...{ method: "remora", rank: 4, targets: "all-linear", dropout: 0.2 },
    ...{ mergeInterval: 2, restartWarmup: 1, weightDecay: 0.1, clip: 1 },
  },
  flora: { method: "flora", rank: 2, targets: "all-linear" },
  "adalora with dropout": {
    ...{ method: "adalora", rank: 4, targets: "all-linear", dropout: 0.2 },
    ...{ targetRank: 2, initWarmup: 1, finalWarmup: 3, maskInterval: 2 },
  },
  lora2: {
    ...{ method: "lora2", rank: 4, targets: "all-linear", innerRank: 3 },
    ...{ targetRank: 2, initWarmup: 1, finalWarmup: 3, maskInterval: 2 },
  },
  "alora with accumulation": {
    ...{ method: "alora", rank: 2, targets: "all-linear", accumulate: 2, weightDecay: 0.1 },
    // An allocation right before the run stops, with the next batches drawn.
    ...{ initWarmup: 1, finalWarmup: 3, maskInterval: 2, moves: 5 },
  },
  mica: { method: "mica", rank: 4 },
  // Eight updates leave one after the second stop.
  "lora with dropout": { method: "lora", rank: 4, dropout: 0.2, steps: 8 },
  rslora: { method: "rslora", rank: 4, steps: 8 },
  "lora+ with decay": { method: "lora+", rank: 4, weightDecay: 0.1, steps: 8 },
  "lora-fa": { method: "lora-fa", rank: 4, steps: 8 },
  orthogonal: { method: "orthogonal", rank: 4, steps: 8 },
  pissa: { method: "pissa", rank: 4, steps: 8 },
  "pissa by iterations": { method: "pissa", iterations: 2, rank: 4, steps: 8 },
  milora: { method: "milora", rank: 4, steps: 8 },
  "mora of type 1": { method: "mora", type: 1, rank: 4, steps: 8 },
  "flora with a factor frozen": {
    ...{
      method: "flora",
      rank: 1,
      freeze: "B",
      targets: ["v_proj", "down_proj"],
      feedforward: ["down_proj"],
    },
    steps: 8,
  },
  "lora-ga": { method: "lora-ga", rank: 4, targets: "all-linear", startBatches: 3 },
  "eva with dropout": { method: "eva", rank: 4, targets: "all-linear", dropout: 0.2 },
  "full with accumulation": { method: "full", accumulate: 2 },
};

for (const [name, settings] of Object.entries(CONFIGS)) {
  Deno.test(`trainRun() stopped and resumed gives the bits of a run that was not: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    const config = (out: string): RunConfig => ({
      model: MODEL,
      data: DATA,
      out: `${folder}/${out}`,
      steps: 12,
      learningRate: 3e-3,
      seed: 3,
      evaluation: { data: DATA, every: 4, rows: 4 },
      ...settings,
    });
    const whole = await collect(config("whole"), Infinity);
    const first = await collect(config("parts"), 3);
    const second = await collect(config("parts"), 4, true);
    assertEquals(first.at(-1)?.checkpoint, `${folder}/parts/checkpoint`);
    const third = await collect(config("parts"), Infinity, true);
    assertEquals(third.at(-1)?.finished, true);
    const losses = (events: RunEvent[]) =>
      events.filter(({ loss }) => loss !== undefined).map((
        { step, loss, gradNorm },
      ) => [step, loss, gradNorm]);
    assertEquals([...losses(first), ...losses(second), ...losses(third)], losses(whole));
    const curve = (events: RunEvent[]) =>
      events.filter(({ evaluation }) => evaluation !== undefined).map((
        { step, evaluation },
      ) => [step, evaluation]);
    assertEquals(curve(third), curve(whole));
    for (const file of ["metrics.jsonl", "evaluations.jsonl"]) {
      assertEquals(await read(`parts/${file}`), await read(`whole/${file}`));
    }
    const own = findMethod(settings.method!).layer !== undefined && settings.method !== "adalora" &&
      !settings.freeze;
    const weights = settings.method === "full" ? "model" : own ? "kit_adapter" : "adapter_model";
    assertEquals(await read(`parts/${weights}.safetensors`), await read(`whole/${weights}.safetensors`));
    await Deno.remove(folder, { recursive: true });

    function read(path: string): Promise<Uint8Array> {
      return Deno.readFile(`${folder}/${path}`);
    }
  });
}

for (const method of ["olora", "full"]) {
  Deno.test(`trainRun() of ${method} takes the same updates whether or not it is evaluated between them`, async () => {
    const losses = async (evaluation?: RunConfig["evaluation"]) => {
      const config = { model: MODEL, data: DATA, method, steps: 6, learningRate: 3e-3, seed: 3, clip: 1 };
      const events = await collect({ ...config, ...(evaluation && { evaluation }) }, Infinity);
      return events.flatMap(({ loss, gradNorm }) => loss === undefined ? [] : [[loss, gradNorm]]);
    };
    assertEquals(await losses({ data: DATA, every: 2, rows: 4 }), await losses());
  });
}

Deno.test("trainRun() stopped where it is evaluated, and again at once, gives the bits of a run that was not", async () => {
  const folder = await Deno.makeTempDir();
  const config = (out: string): RunConfig => ({
    model: MODEL,
    data: DATA,
    out: `${folder}/${out}`,
    method: "full",
    steps: 8,
    learningRate: 3e-3,
    evaluation: { data: DATA, every: 2, rows: 4 },
  });
  await collect(config("whole"), Infinity);
  const gpu = await testDevice();
  let finished = false;
  for (let evaluations = 0; !finished; evaluations++) {
    assert(evaluations < 6, "it does not get on");
    let seen = 0;
    const stopped = () => seen > evaluations;
    for await (const event of trainRun(config("parts"), { gpu, stopped, resume: true })) {
      if (event.evaluation !== undefined) seen++;
      finished = event.finished ?? false;
    }
    if (!finished) await collect(config("parts"), 0, true);
  }
  for (const file of ["metrics.jsonl", "evaluations.jsonl", "model.safetensors"]) {
    const [found, expected] = [`parts/${file}`, `whole/${file}`].map((path) =>
      Deno.readFileSync(`${folder}/${path}`)
    );
    assertEquals(found, expected, file);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("trainRun() goes on from all that a PEFT folder trains: factors, and weights whole", async () => {
  const gpu = await testDevice();
  const init = await Deno.makeTempDir();
  using model = await loadModel(MODEL, { gpu });
  const { shape } = model.weights.get("model.norm.weight")!;
  const norm = hostTensor(shape, Array.from({ length: shape[0] }, (_, i) => 1 + i / 8));
  {
    using adapter = await attach(model, { method: "lora", weights: new Map([["model.norm.weight", norm]]) });
    await saveAdapter(adapter, init);
  }
  let start: Float32Array | undefined;
  const config = { model: MODEL, data: DATA, method: "lora", init, steps: 1 };
  const control = {
    gpu,
    stopped: () => false,
    onAttached: async (adapter: Adapter) => {
      start = await gpu.read(adapter.weight("model.norm.weight")!.value);
    },
  };
  await Array.fromAsync(trainRun(config, control));
  assertEquals(start, toFloat32(norm));
  await Deno.remove(init, { recursive: true });
});

const PATTERNS = { rankPattern: { q_proj: 3 }, alphaPattern: { "layers.1.*v_proj": 7 } };

for (
  const [from, method] of [["lora", "lora"], ["rslora", "rslora"], ["rslora", "lora"], ["lora", "rslora"]]
) {
  Deno.test(`trainRun() of ${method} starts from ${from}'s factors with the ranks and scales that they have`, async () => {
    const gpu = await testDevice();
    const init = await Deno.makeTempDir();
    const places = ({ branches }: Adapter) =>
      [...branches].map(([module, { a, scale }]) => [module, a.value.shape, Math.fround(scale)]);
    let expected: unknown;
    {
      using model = await loadModel(MODEL, { gpu });
      using adapter = await attach(model, { method: from, rank: 2, alpha: 5, ...PATTERNS });
      await saveAdapter(adapter, init);
      expected = places(adapter);
    }
    let found: unknown;
    const onAttached = (adapter: Adapter) => void (found = places(adapter));
    const config = { model: MODEL, data: DATA, method, init, steps: 1 };
    await Array.fromAsync(trainRun(config, { gpu, stopped: () => false, onAttached }));
    assertEquals(found, expected);
    await Deno.remove(init, { recursive: true });
  });
}

Deno.test("trainRun() gives layers the ranks and scales of the patterns", async () => {
  const config = { model: MODEL, data: DATA, rank: 2, alpha: 5, ...PATTERNS, steps: 1 };
  let found: unknown;
  const onAttached = ({ branches }: Adapter) =>
    void (found = branches.values().map(({ a, scale }) => [a.value.shape[0], scale]).toArray());
  await Array.fromAsync(trainRun(config, { gpu: await testDevice(), stopped: () => false, onAttached }));
  assertEquals(found, [[3, 5 / 3], [2, 5 / 2], [3, 5 / 3], [2, 7 / 2]]);
});

for (const method of ["lora-ga", "eva"]) {
  Deno.test(`storedStart() has ${method}'s layers, ranks and factors, so that nothing is looked at again`, async () => {
    const out = await Deno.makeTempDir();
    const config = { model: MODEL, data: DATA, out, method, rank: 4, targets: "all-linear", steps: 8 };
    const gpu = await testDevice();
    let asked = 0;
    let made: Record<string, unknown> = {};
    const control = {
      gpu,
      stopped: () => asked++ >= 2,
      onAttached: async (adapter: Adapter) => {
        const starts = [...adapter.branches].map(async ([module, { a, b, start, scale }]) => {
          const factors = start ?? { a: a.value, b: b.value };
          return [module, [a.value.shape, scale, await gpu.read(start ? factors.a : factors.b)]] as const;
        });
        made = Object.fromEntries(await Promise.all(starts));
      },
    };
    await Array.fromAsync(trainRun(config, control));
    const stored = (await readCheckpoint(`${out}/checkpoint`))!;
    using model = await loadModel(MODEL, { gpu });
    const options = await storedStart(stored, stored.identity, model);
    const asMade = made;
    // Without batches there is nothing that it could be made of.
    using adapter = await attach(model, { method, rank: 4, ...options });
    await control.onAttached(adapter);
    assertEquals(made, asMade);
    await assertRejects(() => storedStart(stored, "{}", model), RangeError, "Cannot resume");
    await Deno.remove(out, { recursive: true });
  });
}

Deno.test("trainRun() refuses batches of a start that looks at none, and settings of it that make no sense", async () => {
  const config = { model: MODEL, data: DATA, steps: 1 };
  const refusals: [Partial<RunConfig>, string][] = [
    [{ startBatches: 4 }, "startBatches 4: expected none, as the start of olora looks at no data"],
    [{ method: "eva", startBatches: 0 }, "startBatches 0: expected a whole number >= 1"],
    [{ method: "eva", init: "folder", startBatches: 1 }, "startBatches 1: expected none, as init is given"],
    [{ method: "mora", init: "folder" }, 'init folder: expected none, as "mora" has no A and B'],
  ];
  for (const [settings, message] of refusals) {
    await assertRejects(() => collect({ ...config, ...settings }, 1), RangeError, message);
  }
});

Deno.test("trainRun() refuses the checkpoint of another run", async () => {
  const out = await Deno.makeTempDir();
  const config = { model: MODEL, data: DATA, out, steps: 8, learningRate: 1e-3 };
  await collect(config, 2);
  await assertRejects(
    () => collect({ ...config, learningRate: 2e-3 }, Infinity, true),
    RangeError,
    "Cannot resume",
  );
  await Deno.remove(out, { recursive: true });
});

Deno.test("trainRun() stops at a loss that is not finite, and says at which step", async () => {
  const gpu = await testDevice();
  const live = gpu.liveBytes;
  const error = await assertRejects(
    () => collect({ model: MODEL, data: DATA, method: "full", steps: 40, learningRate: 1e30 }, Infinity),
    Error,
    "Training diverged at step",
  );
  assert(!/NaN at step 1:/.test((error as Error).message));
  assertEquals(gpu.liveBytes, live);
});

/** Events of a run that is stopped after `most` updates. */
async function collect(config: RunConfig, most: number, resume = false): Promise<RunEvent[]> {
  const gpu = await testDevice();
  const events: RunEvent[] = [];
  let asked = 0;
  const stopped = () => asked++ >= most;
  for await (const event of trainRun(config, { gpu, stopped, resume })) events.push(event);
  return events;
}
