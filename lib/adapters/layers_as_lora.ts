import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { adaloraScale, readPeftAdalora } from "../io/peft_adalora.ts";
import type { PeftAdapter, PeftConfig, PeftFactors } from "../io/peft_format.ts";
import type { AdapterConfig } from "./adapter.ts";
import { settingsOf } from "./attach.ts";
import type { Triplets } from "./method.ts";
import { findMethod, METHODS } from "./methods.ts";
import { readLayers, readLayerTensors } from "./save_layers.ts";

/**
 * The same function as plain LoRA of an adapter whose change is s P diag(e) Q: B = P diag(e), A = Q, without the triplets
 * whose e is zero, which take no part; each layer has the rank that this leaves it, at least 1. Reads the folder alone.
 *
 * Source: own construction; it is what the form says, rounded once where e is neither 0 nor 1.
 *
 * @param folder As `saveAdapter` or PEFT's AdaLoRA wrote it.
 * @returns Undefined where the folder holds an adapter of another format.
 * @throws {RangeError} If it holds one whose change is no product of two factors, or a tensor is missing.
 */
export async function layersAsLora(folder: string): Promise<PeftAdapter | undefined> {
  const adalora = await readPeftAdalora(folder);
  if (adalora) {
    const { config, modules } = adalora;
    const scale = adaloraScale(config);
    return plain(
      config,
      new Map([...modules].map(([module, { b, e, a }]) => [module, { p: b, e, q: a, scale }])),
    );
  }
  const json = await readLayers(folder);
  if (!json) return undefined;
  const config = json as unknown as AdapterConfig & { base?: string };
  const triplets = findMethod(config.method).layer?.triplets;
  if (!triplets) {
    const able = METHODS.filter(({ layer }) => layer?.triplets).map(({ name }) => name);
    throw new RangeError(
      `Cannot convert ${folder}: found method ${config.method}, expected one of two factors, or ${
        able.join(", ")
      }; merge takes any`,
    );
  }
  const { dropout, targets, base } = config;
  const modules = new Map<string, Triplets & { scale: number }>();
  for (const module of targets as readonly string[]) {
    const { rank, alpha } = settingsOf(config, module);
    const tensors = await readLayerTensors(folder, module);
    modules.set(module, {
      ...triplets((name) => tensors.get(name) ?? missing(folder, `${module}.${name}`)),
      scale: alpha / rank,
    });
  }
  return plain({ dropout, baseModel: base ?? undefined }, modules);
}

function plain(
  { dropout, baseModel }: Pick<PeftConfig, "dropout" | "baseModel">,
  modules: ReadonlyMap<string, Triplets & { readonly scale: number }>,
): PeftAdapter {
  const factors = new Map([...modules].map(([module, triplets]) => [module, product(triplets)]));
  const ranks = new Map([...factors].map(([module, { a }]) => [module, a.shape[0]]));
  const alphas = new Map([...modules].map(([module, { scale }]) => [module, scale * ranks.get(module)!]));
  const [rank, alpha] = [Math.max(...ranks.values()), Math.max(...alphas.values())];
  const patterns = (values: ReadonlyMap<string, number>, most: number) =>
    Object.fromEntries(
      [...values].filter(([, value]) => value !== most)
        .map(([module, value]) => [module.replaceAll(".", "\\."), value]),
    );
  return {
    config: {
      ...{ rank, alpha, rankPattern: patterns(ranks, rank), alphaPattern: patterns(alphas, alpha) },
      ...{ dropout, rsLora: false, dora: false, init: true, baseModel, targetModules: [...modules.keys()] },
    },
    factors,
  };
}

function product({ p, e, q }: Triplets): PeftFactors {
  const [left, values, right] = [p, e, q].map(toFloat32);
  const [out, r] = p.shape;
  const width = q.shape[1];
  const kept = [...values.keys()].filter((i) => values[i] !== 0);
  if (!kept.length) return { a: zeros([1, width]), b: zeros([out, 1]) };
  const a = new Float32Array(kept.length * width);
  kept.forEach((from, i) => a.set(right.subarray(from * width, (from + 1) * width), i * width));
  const b = Float32Array.from({ length: out * kept.length }, (_, at) => {
    const i = kept[at % kept.length];
    return values[i] * left[Math.floor(at / kept.length) * r + i];
  });
  return { a: hostTensor([kept.length, width], a), b: hostTensor([out, kept.length], b) };
}

function zeros([m, n]: [number, number]): HostTensor {
  return hostTensor([m, n], new Float32Array(m * n));
}

function missing(folder: string, name: string): HostTensor {
  throw new RangeError(`Cannot convert ${folder}: found nothing for ${name}, expected a tensor`);
}
