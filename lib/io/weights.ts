import { blockDTypes } from "../core/dtype.ts";
import { FAMILIES, type LinearName } from "./families.ts";
import type { DecoderConfig } from "./model_config.ts";
import type { TensorInfo } from "./safetensors_format.ts";

/** Sizes of a linear layer, whose weight is `[out, in]`. */
export interface LinearShape {
  /** Output features. */
  readonly out: number;
  /** Input features. */
  readonly in: number;
}

/**
 * Every linear layer inside the decoder by its module path as PEFT names it, e.g.
 * `model.layers.0.self_attn.q_proj`, in the order of the forward pass. The output head is not among them, as in
 * PEFT's "all-linear".
 */
export function linearModules(config: DecoderConfig): Map<string, LinearShape> {
  const { width, mlpWidth } = config;
  const queries = config.heads * config.headWidth;
  const keys = config.keyValueHeads * config.headWidth;
  const modules = new Map<string, LinearShape>();
  for (let layer = 0; layer < config.layers; layer++) {
    const path = `model.layers.${layer}`;
    modules.set(`${path}.self_attn.q_proj`, { out: queries, in: width });
    modules.set(`${path}.self_attn.k_proj`, { out: keys, in: width });
    modules.set(`${path}.self_attn.v_proj`, { out: keys, in: width });
    modules.set(`${path}.self_attn.o_proj`, { out: width, in: queries });
    modules.set(`${path}.mlp.gate_proj`, { out: mlpWidth, in: width });
    modules.set(`${path}.mlp.up_proj`, { out: mlpWidth, in: width });
    modules.set(`${path}.mlp.down_proj`, { out: width, in: mlpWidth });
  }
  return modules;
}

/** Every tensor that a model of this configuration is made of, by its name in a Hugging Face file. */
export function expectedTensors(config: DecoderConfig): Map<string, readonly number[]> {
  const { width, vocabularySize } = config;
  const tensors = new Map<string, readonly number[]>([["model.embed_tokens.weight", [
    vocabularySize,
    width,
  ]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    tensors.set(`model.layers.${layer}.input_layernorm.weight`, [width]);
    tensors.set(`model.layers.${layer}.post_attention_layernorm.weight`, [width]);
  }
  const { biases, headNorms } = FAMILIES[config.family];
  for (const [path, linear] of linearModules(config)) {
    tensors.set(`${path}.weight`, [linear.out, linear.in]);
    const name = path.slice(path.lastIndexOf(".") + 1) as LinearName;
    if (biases.includes(name)) tensors.set(`${path}.bias`, [linear.out]);
    if (headNorms && (name === "q_proj" || name === "k_proj")) {
      tensors.set(path.replace("_proj", "_norm.weight"), [config.headWidth]);
    }
  }
  tensors.set("model.norm.weight", [width]);
  if (!config.tiedEmbeddings) tensors.set("lm_head.weight", [vocabularySize, width]);
  return tensors;
}

/**
 * Checks that a file (or its shards) holds exactly the tensors of this configuration, in types and shapes that
 * can be used. Old files also store `rotary_emb.inv_freq`, which follows from the configuration, and some
 * repeat a tied head: both are let pass.
 *
 * @param config What the model should be.
 * @param tensors What the file holds.
 * @param name The file or folder, for errors.
 * @throws {RangeError} If a tensor is missing, unexpected, of a wrong shape or of a type other than F32, F16,
 * BF16 or (in a GGUF file) a block format: one message with the first five, each with what was found and expected.
 */
export function checkTensors(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, Pick<TensorInfo, "dtype" | "shape">>,
  name: string,
): void {
  const problems: string[] = [];
  const expected = expectedTensors(config);
  for (const [tensor, shape] of expected) {
    const found = tensors.get(tensor);
    if (!found) {
      problems.push(`${tensor}: found nothing, expected [${shape.join(", ")}]`);
    } else if (found.shape.join() !== shape.join()) {
      problems.push(`${tensor}: found shape [${found.shape.join(", ")}], expected [${shape.join(", ")}]`);
    } else if (!["f32", "f16", "bf16", ...blockDTypes].includes(found.dtype.toLowerCase())) {
      problems.push(`${tensor}: found dtype ${found.dtype}, expected F32, F16 or BF16`);
    }
  }
  for (const [tensor, { shape }] of tensors) {
    if (expected.has(tensor) || tensor.endsWith("rotary_emb.inv_freq")) continue;
    if (tensor === "lm_head.weight" && config.tiedEmbeddings) continue;
    problems.push(`${tensor}: found [${shape.join(", ")}], expected no such tensor`);
  }
  if (problems.length === 0) return;
  const more = problems.length > 5 ? `; and ${problems.length - 5} more` : "";
  throw new RangeError(
    `Cannot use the weights of ${name} as its config.json describes them: ${
      problems.slice(0, 5).join("; ")
    }${more}`,
  );
}
