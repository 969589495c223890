import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import type { HostTensor } from "../../lib/core/host_tensor.ts";
import { openSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, modelFolder } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { filesUnder } from "../helpers/hub_client.ts";

const { ids } = await expected("llama_tied");
const PEFT = ["adapter_config.json", "adapter_model.safetensors"];
const WITH_START = [...PEFT, ...PEFT.map((name) => `start/${name}`)];
const KIT = ["kit_adapter.json", "kit_adapter.safetensors"];
const FULL = ["config.json", "model.safetensors"];
const FORMS: Record<string, string[]> = {
  ...{ olora: WITH_START, mora: KIT, lora: PEFT, adalora: PEFT, full: FULL },
};

async function withModel(test: (model: Model) => Promise<void>): Promise<void> {
  using model = await loadModel(modelFolder("llama_tied")!, { gpu: await testDevice() });
  await test(model);
}

/** Saves an adapter that has moved from where it starts by `step`, and gives what it computes. */
async function save(model: Model, folder: string, method: string, step: number): Promise<Float32Array[]> {
  const { gpu } = model;
  using adapter = await attach(model, { method, rank: 2 });
  for (const name of adapter.parameters.names) {
    const { value } = adapter.parameters.get(name)!;
    gpu.write(value, (await gpu.read(value)).map((x) => x + step));
  }
  await saveAdapter(adapter, folder);
  return await score(model, ids);
}

async function loaded(model: Model, folder: string): Promise<Float32Array[]> {
  using _adapter = await loadAdapter(model, folder);
  return await score(model, ids);
}

Deno.test("saveAdapter() leaves of an adapter that was there nothing, whichever form it had", () =>
  withModel((model) =>
    inFolder(async (folder) => {
      for (const method of ["mora", "olora", "adalora", "olora", "lora", "olora", "mora", "full"]) {
        const nats = await save(model, folder, method, 0.01);
        assertEquals((await filesUnder(folder)).sort(), [...FORMS[method]].sort(), method);
        if (method !== "full") assertEquals(await loaded(model, folder), nats);
      }
    })
  ));

for (
  const [first, second] of [["mora", "olora"], ["olora", "olora"], ["olora", "mora"], ["lora", "adalora"]]
) {
  Deno.test(`saveAdapter() of ${second} over ${first}, stopped at any moment, leaves one of them or none`, () =>
    withModel((model) =>
      inFolder(async (folder) => {
        const [place, copies] = [`${folder}/adapter`, `${folder}/copies`];
        const before = await save(model, place, first, 0.01);
        let moments = 0;
        const { rename, remove } = Deno;
        const after =
          <Args extends unknown[]>(act: (...args: Args) => Promise<void>) => async (...args: Args) => {
            await act(...args);
            await copy(place, `${copies}/${moments++}`);
          };
        let trained: Float32Array[];
        Object.assign(Deno, { rename: after(rename), remove: after(remove) });
        try {
          trained = await save(model, place, second, 0.02);
        } finally {
          Object.assign(Deno, { rename, remove });
        }
        const found = { before: 0, after: 0, none: 0 };
        for (let moment = 0; moment < moments; moment++) {
          const nats = await loaded(model, `${copies}/${moment}`).catch((error) => {
            if (!(error instanceof Deno.errors.NotFound)) throw error;
          });
          const what = !nats ? "none" : same(nats, trained) ? "after" : "before";
          if (what === "before") assertEquals(nats, before, `moment ${moment}`);
          found[what]++;
        }
        assert(found.before && found.after && found.none, JSON.stringify(found));
      })
    ));
}

Deno.test("loadAdapter() refuses a folder with adapters of both forms, and says so", () =>
  withModel((model) =>
    inFolder(async (folder) => {
      await save(model, `${folder}/a`, "mora", 0.01);
      await save(model, `${folder}/b`, "lora", 0.01);
      for (const name of PEFT) await Deno.rename(`${folder}/b/${name}`, `${folder}/a/${name}`);
      await assertRejects(
        () => loadAdapter(model, `${folder}/a`),
        RangeError,
        "found adapter_config.json and kit_adapter.json, expected one of them",
      );
    })
  ));

Deno.test("loadAdapter() refuses a start/ of another adapter, and takes PEFT's", () =>
  withModel((model) =>
    inFolder(async (folder) => {
      const [a, b] = [`${folder}/a`, `${folder}/b`];
      const nats = await save(model, a, "olora", 0.01);
      await save(model, b, "pissa", 0.01);
      const move = (name: string) => Deno.copyFile(`${b}/start/${name}`, `${a}/start/${name}`);
      await Deno.rename(`${a}/start`, `${folder}/kept`);
      await copy(`${folder}/kept`, `${a}/start`);
      await move("adapter_model.safetensors");
      await assertRejects(
        () => loadAdapter(model, a),
        RangeError,
        `Cannot use ${a}/start: found a start of sha256`,
      );
      await Deno.remove(`${a}/start`, { recursive: true });
      await copy(`${folder}/kept`, `${a}/start`);
      // What PEFT writes says nothing of a start.
      await withoutMetadata(`${a}/adapter_model.safetensors`);
      await assertRejects(() => loadAdapter(model, a), RangeError, "expected none, as");
      await withoutMetadata(`${a}/start/adapter_model.safetensors`);
      assertEquals(await loaded(model, a), nats);
    })
  ));

Deno.test("loadAdapter() starts from start/ where it is there, and not from what the base gives", () =>
  withModel((model) =>
    inFolder(async (folder) => {
      const nats = await save(model, folder, "olora", 0.01);
      for (const path of [folder, `${folder}/start`]) {
        await withoutMetadata(`${path}/adapter_model.safetensors`);
      }
      const path = `${folder}/start/adapter_model.safetensors`;
      const factors = await tensorsOf(path);
      const doubled = [...factors].map(([name, tensor]): [string, HostTensor] => {
        if (!name.includes("lora_B")) return [name, tensor];
        const values = new Float32Array(tensor.bytes.slice().buffer).map((x) => 2 * x);
        return [name, { ...tensor, bytes: new Uint8Array(values.buffer) }];
      });
      await writeSafetensors(path, new Map(doubled));
      assert(!same(await loaded(model, folder), nats));
      await writeSafetensors(path, factors);
      assertEquals(await loaded(model, folder), nats);
    })
  ));

function same(x: readonly Float32Array[], y: readonly Float32Array[]): boolean {
  return x.every((row, i) => row.every((nats, t) => nats === y[i][t]));
}

async function tensorsOf(path: string): Promise<Map<string, HostTensor>> {
  using file = await openSafetensors(path);
  return new Map(
    await Promise.all([...file.tensors.keys()].map(async (name) => [name, await file.read(name)] as const)),
  );
}

async function withoutMetadata(path: string): Promise<void> {
  await writeSafetensors(path, await tensorsOf(path));
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
