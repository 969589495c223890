import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { removeAdapter } from "../io/adapter_folder.ts";
import { readPeftAdapter, readPeftStart, writePeftAdapter } from "../io/peft.ts";
import { readPeftAdalora } from "../io/peft_adalora.ts";
import { readPeftIa3 } from "../io/peft_ia3.ts";
import { moduleRank, moduleScale, type PeftConfig, type PeftFactors, startOf } from "../io/peft_format.ts";
import { targetNames } from "../io/peft_targets.ts";
import { isConv1d } from "../io/stored_form.ts";
import { linearModules } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import type { Adapter } from "./adapter.ts";
import { findMethod, METHODS, trainsMagnitude } from "./methods.ts";
import type { AttachOptions } from "./attach.ts";
import { toPlainLora } from "./convert.ts";
import { attachFilled, requireFit } from "./fit.ts";
import { loadAdalora, saveAdalora } from "./save_adalora.ts";
import { isIa3, loadIa3, saveIa3 } from "./save_ia3.ts";
import { loadLayers, readLayers, saveLayers } from "./save_layers.ts";
import { saveModel } from "./save_model.ts";
import { wholeWeightSettings } from "./whole_weights.ts";

/**
 * Writes `adapter` to a folder that PEFT's `PeftModel.from_pretrained` loads on the same base.
 *
 * An adapter that starts away from zero (olora) also gets `start/`, a PEFT folder of its own with A₀ and B₀: loading
 * it here needs no QR, and `attach` can start from it. PEFT itself forms W − s B₀ A₀ again from the base; the product
 * does not depend on the signs of Q. A start that PEFT cannot form (another basis, milora, lora-ga, pissa by iterations; any for GPT-2, whose
 * matrices PEFT's olora takes for their transposes) is written as plain LoRA of rank 2 r,
 * [B, B₀] and [A; −A₀], which is the same function. An adalora is written as PEFT's AdaLoRA (`saveAdalora`), a flora of
 * which one factor is trained as its IA³ (`saveIa3`), full
 * fine-tuning as a model folder in f32, and what
 * has no two factors (mora, remora, flora, lora2, alora) in a form of the kit's own: `kit_adapter.json` with the settings of `attach`, and
 * `kit_adapter.safetensors` with `<module>.<name>` for all that is trained. An adapter that the folder held before, in
 * whichever form, is not there any more.
 *
 * @param options `delta`: in the kit's own form, whether to write the change of each weight too, as `<module>.delta`.
 */
export async function saveAdapter(
  adapter: Adapter,
  folder: string,
  { delta = false }: { delta?: boolean } = {},
): Promise<void> {
  const { model, config, branches } = adapter;
  if (config.method === "full") {
    await saveModel(model, folder);
    return await removeAdapter(folder);
  }
  if (config.method === "adalora") return await saveAdalora(adapter, folder);
  if (isIa3(adapter)) return await saveIa3(adapter, folder);
  if (adapter.layers.size) return await saveLayers(adapter, folder, delta);
  const transposed = config.method === "olora" &&
    [...branches.keys()].some((path) => isConv1d(`${path}.weight`));
  const { peft, startsAtZero } = findMethod(config.method);
  const expanded = transposed || !peft || config.iterations !== undefined ||
    (config.basis !== undefined && config.basis !== "first");
  const factors = new Map<string, PeftFactors>();
  const start = new Map<string, PeftFactors>();
  for (const [module, { a, b, magnitude, bias, start: frozen }] of branches) {
    factors.set(module, {
      ...{ a: await download(model, a.value), b: await download(model, b.value) },
      ...(magnitude && { magnitude: await download(model, magnitude.value) }),
      ...(bias && { bias: await download(model, bias.value) }),
    });
    if (frozen) start.set(module, { a: await download(model, frozen.a), b: await download(model, frozen.b) });
  }
  const weights = new Map<string, HostTensor>();
  for (const name of adapter.wholeWeights) {
    weights.set(name, await download(model, adapter.weight(name)!.value));
  }
  const settings: PeftConfig = {
    rank: config.rank,
    alpha: config.alpha,
    dropout: config.dropout,
    targetModules: targetNames(branches.keys(), linearModules(model.config).keys()),
    rankPattern: config.rankPattern ?? {},
    alphaPattern: config.alphaPattern ?? {},
    rsLora: config.method === "rslora",
    dora: trainsMagnitude(config),
    ...([...branches.values()].some(({ bias }) => bias) && { loraBias: true }),
    ...wholeWeightSettings(weights.keys(), new Set(branches.keys())),
    init: true,
    baseModel: model.source.name,
  };
  const plain = { config: settings, factors, ...(weights.size && { weights }) };
  if (!start.size) {
    const init = startsAtZero && peft ? peft : true;
    return await writePeftAdapter(folder, { ...plain, config: { ...settings, init } });
  }
  if (expanded) return await writePeftAdapter(folder, toPlainLora(plain, start));
  await writePeftAdapter(
    folder,
    { ...plain, config: { ...settings, init: peft! } },
    { config: { ...settings, dora: false }, factors: start },
  );
}

/**
 * Attaches the adapter in `folder`, as `saveAdapter` or PEFT wrote it, with the function it had.
 *
 * Of an adapter that starts away from zero, B₀ and A₀ are read from `start/` beside it, where that is; else they are made
 * again from the base: for olora by QR of r columns, for pissa by SVD. PEFT's `pissa_niter_[k]` draws its start and its
 * `lora_ga` takes it from gradients; both need `start/`, which is what PEFT's `save_pretrained` writes before training.
 *
 * @throws {RangeError} If it does not fit the model, or is of a kind that cannot be attached; if the folder holds an adapter
 * in PEFT's form and one in the kit's own, or a `start/` that was saved with another adapter.
 */
export async function loadAdapter(model: Model, folder: string): Promise<Adapter> {
  const own = await readLayers(folder);
  if (own) return await loadLayers(model, folder, own);
  const adalora = await readPeftAdalora(folder);
  if (adalora) return await loadAdalora(model, folder, adalora);
  const ia3 = await readPeftIa3(folder);
  if (ia3) return await loadIa3(model, ia3);
  const { config, factors, weights } = await readPeftAdapter(folder);
  requireFit(model, folder, factors);
  const method = startOf(config.init);
  const start = method && await readPeftStart(folder);
  const lost = method === "lora-ga"
    ? "came from gradients"
    : /niter/.test(String(config.init)) && "was drawn at random";
  if (method && !start && lost) {
    throw new RangeError(
      `Cannot attach ${folder}: found init_lora_weights ${
        JSON.stringify(config.init)
      } and no start/, expected there what PEFT saved before training, as its start ${lost}; or what PEFT makes of ` +
        `it with path_initial_model_for_weight_conversion, which needs none`,
    );
  }
  if (start) requireFit(model, `${folder}/start`, start);
  const kept = METHODS.find(({ peft }) => peft === config.init)?.name;
  const name = method ?? (config.dora ? "dora" : kept ?? (config.rsLora ? "rslora" : "lora"));
  return await attachFilled(model, {
    method: name,
    rank: config.rank,
    rankPattern: config.rankPattern,
    ...(config.rsLora && name !== "rslora" ? plainAlphas(config, factors.keys()) : {
      alpha: config.alpha,
      alphaPattern: config.alphaPattern,
    }),
    targets: [...factors.keys()],
    dropout: config.dropout,
    ...(method && config.dora && { magnitude: true }),
    ...(!method && { init: factors }),
    ...(start && { init: start }),
    ...(weights && { weights }),
  }, (adapter) => {
    for (const [module, { a, b, magnitude }] of factors) {
      for (const [name, factor] of [["a", a], ["b", b], ["magnitude", magnitude]] as const) {
        const trained = adapter.parameters.get(`${module}.${name}`);
        if (trained && factor) model.gpu.write(trained.value, toFloat32(factor));
      }
    }
  });
}

/** α √r in place of α for each module, which with s = α / r is the scale of rsLoRA. */
function plainAlphas(
  config: PeftConfig,
  modules: Iterable<string>,
): Pick<AttachOptions, "alpha" | "alphaPattern"> {
  const alphas = [...modules].map((module): [string, number] => [
    module.replaceAll(".", "\\."),
    moduleScale(config, module) * moduleRank(config, module),
  ]);
  return { alpha: config.alpha * Math.sqrt(config.rank), alphaPattern: Object.fromEntries(alphas) };
}

async function download(model: Model, tensor: Tensor): Promise<HostTensor> {
  return hostTensor(tensor.shape, await model.gpu.read(tensor));
}
