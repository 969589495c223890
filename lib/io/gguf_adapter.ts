import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { openGguf } from "./gguf.ts";
import { ggufArchitecture, ggufLinearName, halvesApart, inTurnHeads } from "./gguf_model.ts";
import { type GgufField, writeGguf } from "./gguf_write.ts";
import type { DecoderConfig } from "./model_config.ts";
import {
  moduleRank,
  moduleScale,
  type PeftAdapter,
  type PeftConfig,
  type PeftFactors,
  refuseMagnitudes,
} from "./peft_format.ts";
import { targetNames } from "./peft_targets.ts";
import { linearModules } from "./weights.ts";

/**
 * Writes a plain LoRA in the form that llama.cpp applies with `--lora`: `blk.N.attn_q.weight.lora_a`, A `[r, in]`, and
 * `.lora_b`, B `[out, r]`, with metadata of type `adapter`. Rows of B of q and k are moved as llama.cpp's converter moves
 * those of the base.
 *
 * llama.cpp knows one α for all layers and scales by α / r; where that is not the scale of a layer, B makes up for it.
 *
 * Source: `convert_lora_to_gguf.py` and `llama-adapter.cpp` of ggml-org/llama.cpp.
 *
 * @param path The file, by custom `.gguf`.
 * @param adapter A plain LoRA of the untouched base, as `toPlainLora` makes it.
 * @param config The base's configuration.
 * @param dtype What the factors are rounded to.
 * @throws {RangeError} If llama.cpp lacks the base's architecture, a module is none of its linear layers, or the adapter has
 * more than low-rank factors.
 */
export async function writeGgufAdapter(
  path: string,
  { config: settings, factors, weights }: PeftAdapter,
  config: DecoderConfig,
  dtype: "f32" | "f16" = "f32",
): Promise<void> {
  refuseMagnitudes(settings);
  if (weights || settings.loraBias) {
    throw new RangeError(
      `Cannot write ${path}: found ${
        weights
          ? `weights of its own, ${[...weights.keys()].slice(0, 3).join(", ")}`
          : "biases of B (lora_bias)"
      }, expected low-rank factors alone, as llama.cpp applies them`,
    );
  }
  const architecture = ggufArchitecture(config);
  const modules = [...factors.keys()];
  const alphaOf = (module: string) => moduleScale(settings, module) * moduleRank(settings, module);
  const alpha = modules.map(alphaOf).find((found) => found !== 0) ?? 1;
  const tensors = new Map<string, HostTensor>();
  for (const [module, { a, b }] of factors) {
    const name = ggufLinearName(config, module);
    const factor = alphaOf(module) / alpha;
    const scaled = hostTensor(b.shape, toFloat32(b).map((x) => factor * x), dtype);
    tensors.set(`${name}.lora_a`, hostTensor(a.shape, toFloat32(a), dtype));
    tensors.set(`${name}.lora_b`, inTurns(scaled, inTurnHeads(config, module)));
  }
  const metadata = new Map<string, GgufField>([
    ["general.architecture", ["string", architecture]],
    ["general.type", ["string", "adapter"]],
    ["adapter.type", ["string", "lora"]],
    ["adapter.lora.alpha", ["f32", alpha]],
    ["general.file_type", ["u32", dtype === "f32" ? 0 : 1]],
  ]);
  await writeGguf(path, metadata, tensors);
}

/**
 * Reads an adapter in llama.cpp's form as PEFT has it: modules by PEFT's names, rows of B of q and k back in transformers' places,
 * f32. What {@linkcode writeGgufAdapter} wrote in f32 comes back bit for bit, but that B holds what makes one α do for all layers.
 *
 * Source: `llama-adapter.cpp` of ggml-org/llama.cpp.
 *
 * @param path The file.
 * @param config The base's configuration, whichever form the base has.
 * @returns A plain LoRA of llama.cpp's scale, α / r with each layer's own r, or 1 where α is 0.
 * @throws {SyntaxError} If the file is not well-formed, or a factor's shape or its other factor is not what it should be.
 * @throws {RangeError} If it is no LoRA of the base's architecture, or has more than factors of linear layers.
 */
export async function readGgufAdapter(path: string, config: DecoderConfig): Promise<PeftAdapter> {
  using file = await openGguf(path);
  const kind = {
    "general.architecture": ggufArchitecture(config),
    "general.type": "adapter",
    "adapter.type": "lora",
  };
  for (const [field, expected] of Object.entries(kind)) {
    const found = file.metadata.get(field) ?? null;
    if (found === expected) continue;
    throw new RangeError(
      `Cannot read ${path}: found ${field} ${JSON.stringify(found)}, expected "${expected}"`,
    );
  }
  const shapes = linearModules(config);
  const modules = new Map([...shapes.keys()].map((module) => [ggufLinearName(config, module), module]));
  const read = async (name: string, expected: (number | undefined)[]) => {
    const { shape = [] } = file.tensors.get(name) ?? {};
    if (shape.length === 2 && expected.every((axis, i) => axis === undefined || axis === shape[i])) {
      return hostTensor(shape, toFloat32(await file.read(name)));
    }
    throw new SyntaxError(
      `Cannot read ${path}: found ${name} of shape [${shape.join(", ")}], expected [${
        expected.map((axis) => axis ?? "r").join(", ")
      }]`,
    );
  };
  const factors = new Map<string, PeftFactors>();
  for (const tensor of file.tensors.keys()) {
    const name = tensor.replace(/\.lora_[ab]$/, "");
    const module = modules.get(name);
    if (module === undefined || name === tensor) {
      throw new RangeError(`Cannot read ${path}: found ${tensor}, expected factors of linear layers alone`);
    }
    if (factors.has(module)) continue;
    const { out, in: width } = shapes.get(module)!;
    const a = await read(`${name}.lora_a`, [undefined, width]);
    const b = await read(`${name}.lora_b`, [out, a.shape[0]]);
    const heads = inTurnHeads(config, module);
    factors.set(module, { a, b: heads === undefined ? b : halvesApart(b, heads) });
  }
  const alpha = Number(file.metadata.get("adapter.lora.alpha") ?? 0);
  return { config: settingsOf(factors, alpha, shapes.keys()), factors };
}

/** The settings of plain LoRA with these factors. */
function settingsOf(
  factors: ReadonlyMap<string, PeftFactors>,
  alpha: number,
  all: Iterable<string>,
): PeftConfig {
  const ranks = [...factors].map(([module, { a }]): [string, number] => [module, a.shape[0]]);
  const rank = ranks[0]?.[1] ?? 1;
  const rankPattern = Object.fromEntries(
    ranks.filter(([, own]) => own !== rank).map(([module, own]) => [module.replaceAll(".", "\\."), own]),
  );
  return {
    ...{ rank, alpha: alpha || rank, rankPattern, alphaPattern: alpha ? {} : rankPattern },
    ...{ dropout: 0, rsLora: false, dora: false, init: true, baseModel: undefined },
    targetModules: targetNames(factors.keys(), all),
  };
}

/** Rows j c / 2 + i of each head in places 2 i + j; no heads leave them. */
function inTurns(tensor: HostTensor, heads: number | undefined): HostTensor {
  if (heads === undefined) return tensor;
  const [rows] = tensor.shape;
  const c = rows / heads;
  const stride = tensor.bytes.length / rows;
  const bytes = new Uint8Array(tensor.bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, place] = [Math.floor(row / c), row % c];
    const to = head * c + 2 * (place % (c / 2)) + Math.floor(place / (c / 2));
    bytes.set(tensor.bytes.subarray(row * stride, (row + 1) * stride), to * stride);
  }
  return { ...tensor, bytes };
}
