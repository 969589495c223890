import { linearRule } from "../autograd/linear.ts";
import type { LinearAttributes } from "../autograd/linear.ts";
import {
  affineRule,
  attentionRule,
  biasRule,
  embeddingRule,
  geluGateRule,
  headNormRule,
  rmsNormRule,
  rotaryRule,
  siluGateRule,
} from "../autograd/rules.ts";
import { constant, type Tape, type Variable } from "../autograd/tape.ts";
import type { EmbeddingPlan } from "../ops/embedding.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { FAMILIES, type LinearName } from "../io/families.ts";
import type { DecoderConfig } from "../io/model_config.ts";
import type { KeyValueCache } from "./cache.ts";

/** A decoder's frozen weights on the device. */
export interface DecoderWeights {
  /** Architecture. */
  readonly config: DecoderConfig;
  /** Weights by their Hugging Face names; matrices as stored, vectors as f32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Cosines and sines of the positions, f32 `[positions, c]`. */
  readonly rotary: Tensor;
}

/** What an adapter puts in place of, or beside, frozen weights. */
export interface Changes {
  /** The variable that stands for the weight called `name`, if it is trained itself. */
  weight(name: string): Variable | undefined;
  /** The branch beside the linear layer called `module`, if it has one. */
  branch(module: string): Branch | undefined;
}

/** A low-rank branch of a linear layer. */
export interface Branch extends NonNullable<LinearAttributes["adapter"]> {
  /** A, `[r, in]`. */
  readonly a: Variable;
  /** B, `[out, r]`. */
  readonly b: Variable;
}

/** A batch of `b` texts of `t` tokens on the device. */
export interface DecoderInput {
  /** Texts. */
  readonly b: number;
  /** Tokens of a text. */
  readonly t: number;
  /** Token ids, u32 `[b t]`. */
  readonly ids: Tensor;
  /** The ids sorted, wanted where the embedding is trained. */
  readonly plan?: EmbeddingPlan;
  /** Keys and values of the tokens before; then `ids` continue them. */
  readonly cache?: KeyValueCache;
}

/**
 * Runs the decoder up to its last norm: the hidden state that the head reads, f32 `[b t, d]`.
 *
 * One pre-norm decoder in the form of Llama (Touvron et al. 2023, arXiv:2302.13971, §2.2): RMS norm, rotary positions,
 * grouped causal attention, gated MLP; what a family changes in it is said by its row of `FAMILIES`. Each residual sum
 * is taken by the norm that follows it.
 */
export function decode(
  tape: Tape,
  model: DecoderWeights,
  input: DecoderInput,
  changes?: Changes,
): Variable {
  const { config, rotary: table } = model;
  const { b, t, cache } = input;
  const family = FAMILIES[config.family];
  const start = cache?.length ?? 0;
  const axes = { b, t, c: config.headWidth };
  const weight = (name: string) => changes?.weight(name) ?? constant(found(model, name));
  const linear = (x: Variable, module: string) => {
    const w = weight(`${module}.weight`);
    const branch = changes?.branch(module);
    const [y] = branch
      ? tape.apply(linearRule, [x, w, branch.a, branch.b], { adapter: branch })
      : tape.apply(linearRule, [x, w], {});
    if (!family.biases.includes(module.slice(module.lastIndexOf(".") + 1) as LinearName)) return y;
    return tape.apply(biasRule, [y, weight(`${module}.bias`)], null)[0];
  };
  const normWeight = (name: string) => {
    const w = weight(name);
    return family.normOffset ? tape.apply(affineRule, [w], { scale: 1, offset: family.normOffset })[0] : w;
  };
  const norm = (x: Variable, name: string, delta?: Variable) => {
    const w = normWeight(name);
    return tape.apply(rmsNormRule, delta ? [x, w, delta] : [x, w], { eps: config.normEps });
  };

  const embed = weight("model.embed_tokens.weight");
  let [x] = tape.apply(embeddingRule, [embed], { ids: input.ids, ...(input.plan && { plan: input.plan }) });
  if (family.scaledEmbeddings) {
    [x] = tape.apply(affineRule, [x], { scale: Math.sqrt(config.width), offset: 0 });
  }
  let delta: Variable | undefined;
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    const [y, h = x] = norm(x, `${at}.input_layernorm.weight`, delta);
    const turned = (name: "q" | "k") => {
      let heads = linear(y, `${at}.self_attn.${name}_proj`);
      if (family.headNorms) {
        const w = normWeight(`${at}.self_attn.${name}_norm.weight`);
        [heads] = tape.apply(headNormRule, [heads, w], { eps: config.normEps });
      }
      return tape.apply(rotaryRule, [heads], { ...axes, table, start })[0];
    };
    const q = turned("q");
    let k = turned("k");
    let v = linear(y, `${at}.self_attn.v_proj`);
    if (cache) [k, v] = cache.extend(layer, k, v);
    const [mixed] = tape.apply(attentionRule, [q, k, v], {
      ...axes,
      start,
      ...(config.window && { window: config.window }),
    });
    const [z, middle] = norm(
      h,
      `${at}.post_attention_layernorm.weight`,
      linear(mixed, `${at}.self_attn.o_proj`),
    );
    const [gated] = tape.apply(family.activation === "silu" ? siluGateRule : geluGateRule, [
      linear(z, `${at}.mlp.gate_proj`),
      linear(z, `${at}.mlp.up_proj`),
    ], null);
    delta = linear(gated, `${at}.mlp.down_proj`);
    x = middle;
  }
  if (cache) cache.length += t;
  return norm(x, "model.norm.weight", delta)[0];
}

/** The matrix that maps hidden states to logits, `[v, d]`: the embedding where it is tied. */
export function headWeight(model: DecoderWeights, changes?: Changes): Variable {
  const name = model.config.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  return changes?.weight(name) ?? constant(found(model, name));
}

function found(model: DecoderWeights, name: string): Tensor {
  const tensor = model.weights.get(name);
  if (!tensor) throw new RangeError(`Cannot run the decoder: weight ${name} is missing`);
  return tensor;
}
