import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { VERSION } from "../core/version.ts";
import { replaceAdapter, requireOneForm } from "../io/adapter_folder.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { type JsonObject, readJsonIfAny } from "../io/json_file.ts";
import { openSafetensors, writeSafetensors } from "../io/safetensors.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Model } from "../nn/model.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import type { Adapter } from "./adapter.ts";
import type { AttachOptions } from "./attach.ts";
import { attachFilled } from "./fit.ts";
import { layerWeight } from "./layer_weight.ts";

const FORMAT = "olora-kit adapter";
const CONFIG = "kit_adapter.json";
const TENSORS = "kit_adapter.safetensors";

/**
 * Writes an adapter that PEFT has no form for: `kit_adapter.json` with the settings that `attach` took and the modules
 * in order, and `kit_adapter.safetensors` with what is trained, and what its training made of it beside that, f32, as
 * `<module>.<name>`.
 *
 * @param delta Whether to add `<module>.delta`, the change of each weight, f32 `[out, in]`: what any other program needs.
 */
export async function saveLayers(adapter: Adapter, folder: string, delta: boolean): Promise<void> {
  const { model, config, layers } = adapter;
  const { gpu } = model;
  const tensors = new Map<string, HostTensor>();
  for (const [name, value] of numbersOf(adapter)) {
    tensors.set(name, hostTensor(value.shape, await gpu.read(value)));
  }
  for (const module of delta ? layers.keys() : []) {
    const w = model.weights.get(`${module}.weight`)!;
    using merged = layerWeight(gpu, adapter.layer(module)!, w);
    using base = effectiveWeight(gpu, w);
    const before = await gpu.read(base);
    const change = (await gpu.read(merged)).map((value, i) => value - before[i]);
    tensors.set(`${module}.delta`, hostTensor(w.shape, change));
  }
  const json = {
    format: FORMAT,
    version: VERSION,
    base: model.source.name ?? null,
    ...config,
    targets: [...layers.keys()],
  };
  await replaceAdapter(folder, async (aside) => {
    await writeSafetensors(`${aside}/${TENSORS}`, tensors);
    await writeFileAtomic(`${aside}/${CONFIG}`, JSON.stringify(json, null, 2) + "\n");
  });
}

/**
 * The settings of an adapter that `saveLayers` wrote; undefined where the folder holds none.
 *
 * @throws {RangeError} If it holds one in PEFT's form too.
 */
export async function readLayers(folder: string): Promise<JsonObject | undefined> {
  await requireOneForm(folder);
  const json = await readJsonIfAny(`${folder}/${CONFIG}`);
  if (json && json.format !== FORMAT) {
    throw new SyntaxError(
      `Cannot read ${folder}/${CONFIG}: found format ${JSON.stringify(json.format)}, expected "${FORMAT}"`,
    );
  }
  return json;
}

/**
 * Attaches what `saveLayers` wrote, with the function it had.
 *
 * @throws {RangeError} If it does not fit the model: a module, a tensor or a shape.
 */
export async function loadLayers(model: Model, folder: string, settings: JsonObject): Promise<Adapter> {
  const { format: _format, version: _version, base: _base, ...options } = settings;
  using file = await openSafetensors(`${folder}/${TENSORS}`);
  return await attachFilled(model, options as AttachOptions, async (adapter) => {
    for (const [name, value] of numbersOf(adapter)) {
      const found = file.tensors.get(name);
      if (found?.shape.join() !== value.shape.join()) {
        throw new RangeError(
          `Cannot attach ${folder}: found ${
            found ? `[${found.shape.join(", ")}]` : "nothing"
          } for ${name}, ` +
            `expected [${value.shape.join(", ")}]`,
        );
      }
      model.gpu.write(value, toFloat32(await file.read(name)));
    }
  });
}

/** What `saveLayers` wrote of the layer at `module`, by names of its own. */
export async function readLayerTensors(folder: string, module: string): Promise<Map<string, HostTensor>> {
  using file = await openSafetensors(`${folder}/${TENSORS}`);
  const tensors = new Map<string, HostTensor>();
  for (const name of file.tensors.keys()) {
    if (name.startsWith(`${module}.`)) tensors.set(name.slice(module.length + 1), await file.read(name));
  }
  return tensors;
}

/** What is written of an adapter. */
function numbersOf({ parameters, course }: Adapter): [name: string, tensor: Tensor][] {
  return [
    ...parameters.names.map((name): [string, Tensor] => [name, parameters.get(name)!.value]),
    ...course?.saved ?? [],
  ];
}
