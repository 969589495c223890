import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { ggufArchitecture, ggufLinearName, inTurnHeads } from "./gguf_model.ts";
import { type GgufField, writeGguf } from "./gguf_write.ts";
import type { DecoderConfig } from "./model_config.ts";
import { moduleRank, moduleScale, type PeftAdapter, refuseMagnitudes } from "./peft_format.ts";

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
