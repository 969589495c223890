import { blockDTypes } from "../core/dtype.ts";
import { FAMILIES } from "./families.ts";
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
  const { names } = FAMILIES[config.family];
  const queries = config.heads * config.headWidth;
  const keys = config.keyValueHeads * config.headWidth;
  const projected = names.attention.length === 1 ? [queries + 2 * keys] : [queries, keys, keys];
  const modules = new Map<string, LinearShape>();
  for (let layer = 0; layer < config.layers; layer++) {
    const path = `${names.layers}.${layer}`;
    names.attention.forEach((name, i) => modules.set(`${path}.${name}`, { out: projected[i], in: width }));
    modules.set(`${path}.${names.attentionOut}`, { out: width, in: queries });
    for (const name of names.mlp) modules.set(`${path}.${name}`, { out: mlpWidth, in: width });
    modules.set(`${path}.${names.mlpOut}`, { out: width, in: mlpWidth });
  }
  return modules;
}

/** Name of the token embeddings. */
export function embeddingName({ family }: Pick<DecoderConfig, "family">): string {
  return `${FAMILIES[family].names.embedding}.weight`;
}

/** Name of a head of its own, which a model with tied embeddings does not have. */
export const HEAD = "lm_head.weight";

/** Name of the matrix that gives logits: the token embeddings where they are tied. */
export function headName(config: Pick<DecoderConfig, "family" | "tiedEmbeddings">): string {
  return config.tiedEmbeddings ? embeddingName(config) : HEAD;
}

/**
 * Every tensor that a model of this configuration is made of, by its name in a Hugging Face file; matrices of linear
 * layers are `[out, in]`, as `openModelTensors` gives them.
 */
export function expectedTensors(config: DecoderConfig): Map<string, readonly number[]> {
  const { width, vocabularySize } = config;
  const { names, biases, headNorms, norm, positionOffset } = FAMILIES[config.family];
  const tensors = new Map<string, readonly number[]>([[embeddingName(config), [vocabularySize, width]]]);
  if (names.positions) tensors.set(`${names.positions}.weight`, [config.context + positionOffset, width]);
  const addNorm = (path: string) => {
    tensors.set(`${path}.weight`, [width]);
    if (norm === "layer") tensors.set(`${path}.bias`, [width]);
  };
  for (let layer = 0; layer < config.layers; layer++) {
    addNorm(`${names.layers}.${layer}.${names.attentionNorm}`);
    addNorm(`${names.layers}.${layer}.${names.mlpNorm}`);
  }
  for (const [path, linear] of linearModules(config)) {
    tensors.set(`${path}.weight`, [linear.out, linear.in]);
    const name = path.slice(path.lastIndexOf(".") + 1);
    if (biases.includes(name)) tensors.set(`${path}.bias`, [linear.out]);
    if (headNorms && (name === "q_proj" || name === "k_proj")) {
      tensors.set(path.replace("_proj", "_norm.weight"), [config.headWidth]);
    }
  }
  addNorm(names.norm);
  if (!config.tiedEmbeddings) tensors.set(HEAD, [vocabularySize, width]);
  return tensors;
}

/** What old files also store and nobody needs: rotary frequencies, and the causal masks of GPT-2. */
const BUFFERS = /rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$/;

/**
 * Checks that a file (or its shards) holds exactly the tensors of this configuration, in types and shapes that
 * can be used. Old files also store `rotary_emb.inv_freq` or causal masks (`attn.bias`), which follow from the
 * configuration, and some repeat a tied head: all are let pass.
 *
 * @param config What the model should be.
 * @param tensors What the file holds.
 * @param fileOf The file that holds a tensor, or that should list it, for errors.
 * @throws {RangeError} If a tensor is missing, unexpected, of a wrong shape or of a type other than F32, F16,
 * BF16 or (in a GGUF file) a block format: one message with the first five, each with what was found and expected.
 */
export function checkTensors(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, Pick<TensorInfo, "dtype" | "shape">>,
  fileOf: (tensor: string) => string,
): void {
  const problems: string[] = [];
  const expected = expectedTensors(config);
  for (const [tensor, shape] of expected) {
    const found = tensors.get(tensor);
    if (!found) {
      problems.push(`${tensor} in ${fileOf(tensor)}: found nothing, expected [${shape.join(", ")}]`);
    } else if (found.shape.join() !== shape.join()) {
      problems.push(
        `${tensor} in ${fileOf(tensor)}: found shape [${found.shape.join(", ")}], expected [${
          shape.join(", ")
        }]`,
      );
    } else if (!["f32", "f16", "bf16", ...blockDTypes].includes(found.dtype.toLowerCase())) {
      problems.push(`${tensor} in ${fileOf(tensor)}: found dtype ${found.dtype}, expected F32, F16 or BF16`);
    }
  }
  for (const [tensor, { shape }] of tensors) {
    if (expected.has(tensor) || BUFFERS.test(tensor)) continue;
    if (tensor === HEAD && config.tiedEmbeddings) continue;
    problems.push(`${tensor} in ${fileOf(tensor)}: found [${shape.join(", ")}], expected no such tensor`);
  }
  if (problems.length === 0) return;
  const more = problems.length > 5 ? `; and ${problems.length - 5} more` : "";
  throw new RangeError(
    `Cannot use weights that are not what their configuration describes: ${
      problems.slice(0, 5).join("; ")
    }${more}`,
  );
}
