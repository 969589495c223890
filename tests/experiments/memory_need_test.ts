import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { describeNeed, type MemoryNeed, memoryNeeds } from "../../lib/experiments/memory_need.ts";
import type { SweepRun } from "../../lib/experiments/sweep.ts";
import { countingDevice } from "../../lib/gpu/counting_device.ts";
import { fetchFromHub } from "../../lib/io/hub.ts";
import { planMemory } from "../../lib/train/memory.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { REPO, startHub } from "../helpers/hub.ts";
import { inFolder, LIMITS, settingsOf } from "../helpers/hub_client.ts";

const MODEL = fixturePath("llama_tied");
const run: SweepRun = {
  ...{ model: MODEL, data: "rows.jsonl", method: "olora", rank: 2, learningRate: 1, seed: 1, batchSize: 4 },
  seqLen: 16,
};
const runs = [run, { ...run, seed: 2 }, { ...run, rank: 4 }];
const measures = { validation: "rows.jsonl[:8]" };

/** A counting device whose memory ends after so many bytes. */
function deviceWith(bytes: number) {
  const gpu = countingDevice();
  let free = bytes;
  const make = gpu.device.createBuffer.bind(gpu.device);
  Object.assign(gpu.device, {
    createBuffer(descriptor: GPUBufferDescriptor) {
      free -= descriptor.size;
      const buffer = make(descriptor);
      return Object.assign(buffer, { destroy: () => void (free += descriptor.size) });
    },
    popErrorScope: () => Promise.resolve(free < 0 ? { message: "out of memory" } : null),
  });
  return gpu;
}

const found = (model: string) => Promise.resolve(model);

Deno.test("memoryNeeds() says once for runs alike what training and evaluations take", async () => {
  using gpu = countingDevice();
  const needs = await Array.fromAsync(memoryNeeds(runs, { gpu, measures, find: found }));
  assertEquals(needs.map(({ runs }) => runs.map(({ rank, seed }) => [rank, seed])), [[[2, 1], [2, 2]], [[
    4,
    1,
  ]]]);
  const training = { method: "olora", rank: 2, batchSize: 4, seqLen: 16 };
  assertEquals(needs[0].plan, await planMemory(MODEL, { ...training, evaluated: 8 }));
  assertMatch(
    describeNeed(needs[0]),
    /^2 runs of olora r 2 on .*llama_tied: [\d.]+ GB of memory \([\d.]+ GB of weights, [\d.]+ GB for an update or /,
  );
  const [wide] = await Array.fromAsync(
    memoryNeeds([run], { gpu, measures: { validation: "rows.jsonl" }, find: found }),
  );
  assert(wide.plan!.total > needs[0].plan!.total, "64 evaluated rows take more than 4 trained ones");
});

Deno.test("memoryNeeds() leaves out what does not fit, and goes on with what does", async () => {
  const [small, large] = await Promise.all([2, 4].map(async (rank) => {
    const training = { method: "olora", rank, batchSize: 4, seqLen: 16, evaluated: 8 };
    return (await planMemory(MODEL, training)).total;
  }));
  assert(small < large);
  using gpu = deviceWith(small);
  const needs: MemoryNeed[] = await Array.fromAsync(memoryNeeds(runs, { gpu, measures, find: found }));
  assertEquals(needs.map(({ refusal }) => refusal === undefined), [true, false]);
  assertMatch(
    describeNeed(needs[1]),
    /^left out, 1 run of olora r 4: Cannot train .*llama_tied: counting device gives \d+ MB of memory, expected \d+ MB/,
  );
  const strange = [{ ...run, rank: 4096 }];
  await assertRejects(
    () => Array.fromAsync(memoryNeeds(strange, { gpu, measures, find: found })),
    RangeError,
    "rank 4096",
  );
});

Deno.test("memoryNeeds() knows a model on the hub by its config.json, and fetches one that fits", () =>
  inFolder(async (cache) => {
    const config = await Deno.readTextFile(`${MODEL}/config.json`);
    const weights = await Deno.readFile(`${MODEL}/model.safetensors`);
    await using hub = await startHub({ files: { "config.json": config, "model.safetensors": weights } });
    const options = { settings: await settingsOf(hub, cache), patience: LIMITS };
    const find = (model: string) => fetchFromHub(model, options);
    const model = `hf:${REPO}`;
    const asked = runs.map((run) => ({ ...run, model }));
    using full = deviceWith(0);
    const refused = await Array.fromAsync(memoryNeeds(asked, { gpu: full, measures, find, options }));
    assertEquals(refused.map(({ plan }) => plan), [undefined, undefined]);
    assertStringIncludes(refused[0].refusal!, `Cannot train ${model}: counting device gives 0 MB`);
    assertEquals(hub.stored, []);

    using gpu = countingDevice();
    const [{ plan }] = await Array.fromAsync(memoryNeeds(asked, { gpu, measures, find, options }));
    assertEquals(hub.stored.length, 1);
    const training = { method: "olora", rank: 2, batchSize: 4, seqLen: 16, evaluated: 8 };
    assertEquals(plan, await planMemory(MODEL, training));

    const missing = [{ ...run, model: "hf:org/none" }, { ...run, model: `${cache}/none` }];
    const none = await Array.fromAsync(memoryNeeds(missing, {
      gpu,
      measures,
      options,
      find: (model) => {
        return model.startsWith("hf:")
          ? find(model)
          : Promise.reject(new Deno.errors.NotFound("Cannot load it"));
      },
    }));
    assertStringIncludes(none[0].refusal!, "there is no model org/none");
    assertEquals(none[1].refusal, "Cannot load it");
  }));
