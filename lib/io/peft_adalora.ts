import type { HostTensor } from "../core/host_tensor.ts";
import { replaceAdapter, requireOneForm } from "./adapter_folder.ts";
import { writeFileAtomic } from "./atomic.ts";
import { type JsonObject, readJsonIfAny } from "./json_file.ts";
import { parsePeftConfig, peftConfigJson } from "./peft_format.ts";
import type { PeftTargets } from "./peft_targets.ts";
import { checkSelected, openPeftTensors } from "./peft_tensors.ts";
import { writeSafetensors } from "./safetensors.ts";

/** The settings of an AdaLoRA adapter (Zhang et al. 2023, arXiv:2303.10512) in PEFT's format. */
export interface PeftAdaloraConfig extends PeftTargets {
  /** PEFT's `init_r`, R: triplets of each module before any is cut. */
  readonly rank: number;
  /** `target_r`: triplets of a module at the end, on average over the modules. */
  readonly targetRank: number;
  /** `lora_alpha`, α > 0. */
  readonly alpha: number;
  /** `lora_dropout`: probability that an input of the added part is dropped in training. */
  readonly dropout: number;
  /** `tinit`: updates before the first cut. */
  readonly initWarmup: number;
  /** `tfinal`: updates after the last one. */
  readonly finalWarmup: number;
  /** `deltaT`: updates from one cut to the next. */
  readonly maskInterval: number;
  /** `total_step`: updates in all. */
  readonly steps: number;
  /** `orth_reg_weight`: weight of the factors' mean distance from orthonormal ones beside the loss in nats. */
  readonly orthogonality: number;
  /** The base model's name or path, if known. */
  readonly baseModel: string | undefined;
}

/** What one module adds to its weight: α / (R + 1e-5) · B diag(E) A, of the k triplets that are left of R. */
export interface PeftTriplets {
  /** A, `[k, in]`. */
  readonly a: HostTensor;
  /** B, `[out, k]`. */
  readonly b: HostTensor;
  /** E, `[k, 1]`. */
  readonly e: HostTensor;
  /** Which of the R triplets are left, k of them, in order: the module's `rank_pattern`. */
  readonly kept: readonly boolean[];
}

/** An AdaLoRA adapter as PEFT stores it. */
export interface PeftAdalora {
  /** The settings. */
  readonly config: PeftAdaloraConfig;
  /** What is added, by module path. */
  readonly modules: ReadonlyMap<string, PeftTriplets>;
}

/** The scale of B diag(E) A in PEFT: α / (R + 1e-5). */
export function adaloraScale({ alpha, rank }: Pick<PeftAdaloraConfig, "alpha" | "rank">): number {
  return alpha / (rank + 1e-5);
}

/**
 * Reads a folder that PEFT wrote for `AdaLoraConfig`; undefined where it holds no adapter of that kind.
 *
 * `alpha_pattern`, `use_rslora`, `lora_bias` and `init_lora_weights` mean nothing in PEFT's AdaLoRA, nor here; `beta1` and
 * `beta2` are of its training alone.
 *
 * Source: `AdaLoraModel` and `SVDLinear` of huggingface/peft, 0.21.
 *
 * @throws {SyntaxError} If a file is malformed.
 * @throws {RangeError} If a setting is not supported or makes no sense, or tensors and settings disagree.
 */
export async function readPeftAdalora(folder: string): Promise<PeftAdalora | undefined> {
  await requireOneForm(folder);
  const name = `${folder}/adapter_config.json`;
  const json = await readJsonIfAny(name);
  if (json?.peft_type !== "ADALORA") return undefined;
  const config = parseConfig(json, name);
  using file = await openPeftTensors(folder);
  const parts = new Map<string, Partial<Record<Part, HostTensor>>>();
  for (const tensor of file.tensors.keys()) {
    const [, path, part] = /^base_model\.model\.(.+)\.lora_([ABE])$/.exec(tensor) ?? [];
    if (!path || /\blora_/.test(path)) {
      throw new RangeError(
        `Cannot use ${file.path}: found tensor ${tensor}, expected base_model.model.<module>.<lora_A | lora_B | lora_E>`,
      );
    }
    parts.set(path, { ...parts.get(path), [part.toLowerCase()]: await file.read(tensor) });
  }
  if (!parts.size) throw new RangeError(`Cannot use ${file.path}: found no factors`);
  const patterns = (json.rank_pattern ?? {}) as Record<string, unknown>;
  const modules = new Map<string, PeftTriplets>();
  for (const [path, found] of [...parts].sort(([p], [q]) => p < q ? -1 : 1)) {
    if (config.targetModules.length) checkSelected(config, path, file.path);
    const key = `${path}.lora_E`;
    const kept = Object.hasOwn(patterns, key) ? patterns[key] : Array(config.rank).fill(true);
    if (!isMask(kept, config.rank)) {
      throw new RangeError(
        `Cannot use ${name}: found rank_pattern ${
          JSON.stringify(kept)
        } of ${key}, expected ${config.rank} of true and false`,
      );
    }
    modules.set(path, triplets(path, found, kept, file.path));
  }
  return { config, modules };
}

/**
 * Writes a folder that PEFT's `PeftModel.from_pretrained` reads as AdaLoRA, in place of any adapter that is there
 * ({@linkcode replaceAdapter}).
 *
 * @throws {RangeError} If a shape does not fit what is kept.
 */
export async function writePeftAdalora(folder: string, { config, modules }: PeftAdalora): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const [path, found] of modules) {
    const { a, b, e } = triplets(path, found, found.kept, "the adapter");
    for (const [part, tensor] of [["A", a], ["B", b], ["E", e]] as const) {
      tensors.set(`base_model.model.${path}.lora_${part}`, tensor);
    }
  }
  const isCut = [...modules.values()].some(({ kept }) => kept.includes(false));
  const { rank, targetRank, initWarmup, finalWarmup, maskInterval, steps, orthogonality, ...shared } = config;
  const { r: _, use_dora: _dora, use_rslora: _rslora, ...json } = peftConfigJson({
    ...shared,
    ...{ rank, rankPattern: {}, alphaPattern: {}, rsLora: false, dora: false, init: true },
  });
  const own = {
    deltaT: maskInterval,
    init_r: rank,
    orth_reg_weight: orthogonality,
    peft_type: "ADALORA",
    rank_pattern: isCut
      ? Object.fromEntries([...modules].map(([path, { kept }]) => [`${path}.lora_E`, kept]))
      : null,
    target_r: targetRank,
    tfinal: finalWarmup,
    tinit: initWarmup,
    total_step: steps,
  };
  await replaceAdapter(folder, async (aside) => {
    await writeSafetensors(`${aside}/adapter_model.safetensors`, tensors);
    await writeFileAtomic(
      `${aside}/adapter_config.json`,
      JSON.stringify({ ...json, ...own }, undefined, 2) + "\n",
    );
  });
}

type Part = "a" | "b" | "e";

/** Fields of PEFT's that would train, or do, more than the triplets. */
const BESIDE = ["modules_to_save", "trainable_token_indices", "use_dora", "loftq_config"];

function parseConfig(json: JsonObject, name: string): PeftAdaloraConfig {
  const fail = (field: string, expected: string): never => {
    throw new RangeError(
      `Cannot use ${name}: found ${field} ${
        JSON.stringify(json[field]) ?? "missing"
      }, expected ${expected}, as peft_type is ADALORA`,
    );
  };
  const number = (field: string, allowed: (x: number) => boolean, expected: string, fallback?: number) => {
    const value = json[field] ?? fallback;
    return typeof value === "number" && allowed(value) ? value : fail(field, expected);
  };
  const isCount = (least: number) => (x: number) => Number.isSafeInteger(x) && x >= least;
  const rank = number("init_r", isCount(1), "a whole number > 0", 12);
  if ((json.bias ?? "none") !== "none") fail("bias", '"none" (not supported)');
  for (const field of BESIDE) {
    if (!isOff(json[field])) fail(field, "it unset (not supported)");
  }
  // PEFT takes R in its place, and after loading what is left of it.
  const alpha = number("lora_alpha", (x) => x > 0, "a number > 0", 8);
  const { alpha_pattern: _, use_rslora: _rslora, lora_bias: _bias, init_lora_weights: _init, ...shared } =
    json;
  const { targetModules, excludeModules, layers, layersPattern, dropout, baseModel } = parsePeftConfig(
    { ...shared, peft_type: "LORA", r: rank, rank_pattern: {} },
    name,
  );
  return {
    ...{ rank, alpha, dropout, baseModel, targetModules },
    ...(excludeModules && { excludeModules }),
    ...(layers && { layers }),
    ...(layersPattern && { layersPattern }),
    targetRank: number(
      "target_r",
      (x) => isCount(1)(x) && x <= rank,
      `a whole number from 1 to init_r, ${rank}`,
      8,
    ),
    initWarmup: number("tinit", isCount(0), "a whole number >= 0", 0),
    finalWarmup: number("tfinal", isCount(0), "a whole number >= 0", 0),
    maskInterval: number("deltaT", isCount(1), "a whole number > 0", 1),
    steps: number("total_step", isCount(1), "a whole number > 0"),
    orthogonality: number("orth_reg_weight", (x) => x >= 0, "a number >= 0", 0.5),
  };
}

function isOff(value: unknown): boolean {
  return !value || (typeof value === "object" && Object.keys(value).length === 0);
}

function isMask(kept: unknown, rank: number): kept is boolean[] {
  return Array.isArray(kept) && kept.length === rank && kept.every((x) => typeof x === "boolean");
}

/** The three parts of a module in one piece, of shapes that fit. */
function triplets(
  path: string,
  { a, b, e }: Partial<Record<Part, HostTensor>>,
  kept: readonly boolean[],
  name: string,
): PeftTriplets {
  if (!a || !b || !e) {
    throw new RangeError(
      `Cannot use ${name}: module ${path} lacks lora_${
        !a ? "A" : b ? "E" : "B"
      }, expected lora_A, lora_B and lora_E`,
    );
  }
  const k = kept.filter(Boolean).length;
  const [width, out] = [a.shape[1], b.shape[0]];
  for (
    const [part, { shape }, expected] of [["A", a, [k, width]], ["B", b, [out, k]], ["E", e, [k, 1]]] as const
  ) {
    if (shape.join() === expected.join()) continue;
    throw new RangeError(
      `Cannot use ${name}: module ${path} has lora_${part} [${shape.join(", ")}], expected [${
        expected.map((axis) => axis ?? "…").join(", ")
      }], as rank_pattern keeps ${k}`,
    );
  }
  return { a, b, e, kept };
}
