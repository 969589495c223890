import { dora } from "../autograd/dora.ts";
import { linearRule } from "../autograd/linear.ts";
import type { LinearAttributes } from "../autograd/linear.ts";
import {
  activationRule,
  addRule,
  affineRule,
  attentionRule,
  biasRule,
  centerRule,
  embeddingRule,
  gateRule,
  headNormRule,
  rmsNormRule,
  rotaryRule,
  splitRule,
} from "../autograd/rules.ts";
import { constant, type Tape, type Variable } from "../autograd/tape.ts";
import type { Phi } from "../kernels/activation.ts";
import type { EmbeddingPlan } from "../ops/embedding.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { FAMILIES, type Family } from "../io/families.ts";
import type { DecoderConfig } from "../io/model_config.ts";
import { embeddingName, HEAD, headName } from "../io/weights.ts";
import type { Past } from "./cache.ts";

/** A decoder's frozen weights on the device. */
export interface DecoderWeights {
  /** Architecture. */
  readonly config: DecoderConfig;
  /** Weights by their Hugging Face names; matrices as stored, vectors as f32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Cosines and sines of the positions, f32 `[positions, c]`; absent where positions are learned. */
  readonly rotary: Tensor | undefined;
}

/** What an adapter puts in place of, or beside, frozen weights. */
export interface Changes {
  /** The variable that stands for the weight called `name`, if it is trained itself. */
  weight(name: string): Variable | undefined;
  /** The branch beside the linear layer called `module`, if it has one. */
  branch(module: string): Branch | undefined;
  /** What is computed in place of the linear layer called `module`, where that is more than a branch beside it. */
  layer?(module: string): Layer | undefined;
}

/** A linear layer of another form, written on the tape. It must be linear in x, or it could not be merged. */
export interface Layer {
  /** y `[n, out]` of x `[n, in]` and the base's weight W `[out, in]`, as stored. */
  apply(tape: Tape, x: Variable, w: Variable): Variable;
}

/** A low-rank branch of a linear layer. */
export interface Branch extends NonNullable<LinearAttributes["adapter"]> {
  /** A, `[r, in]`. */
  readonly a: Variable;
  /** B, `[out, r]`. */
  readonly b: Variable;
  /** m, `[out]`, where the rows of the merged weight have lengths of their own. */
  readonly magnitude?: Variable;
  /** c, `[out]`, where B has a bias: s c is added to the layer's output. */
  readonly bias?: Variable;
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
  /** Where positions are learned: the row of each token's, u32 `[b t]`, and the rows sorted as `plan` has the ids. */
  readonly positions?: { readonly ids: Tensor; readonly plan?: EmbeddingPlan };
  /** Keys and values of the tokens before; then `ids` continue them. */
  readonly cache?: Past;
  /** Keeps only what goes from layer to layer, and makes the rest again in the backward pass. */
  readonly recompute?: boolean;
}

/** What configurations call the function of a gate, or without one of all hidden units. */
const PHIS: Readonly<Record<Family["activation"], Phi>> = {
  silu: "silu",
  gelu_pytorch_tanh: "gelu",
  gelu_new: "gelu",
  relu: "relu",
};

/**
 * Runs the decoder up to its last norm: the hidden state that the head reads, f32 `[b t, d]`.
 *
 * One pre-norm decoder in the form of Llama (Touvron et al. 2023, arXiv:2302.13971, §2.2): RMS norm, rotary positions,
 * grouped causal attention, gated MLP; what a family changes in it is said by its row of `FAMILIES`. Each residual sum
 * is taken by the norm that follows it. A layer norm is centering, RMS norm and bias.
 */
export function decode(
  tape: Tape,
  model: DecoderWeights,
  input: DecoderInput,
  changes?: Changes,
): Variable {
  const { config } = model;
  const family = FAMILIES[config.family];
  const { norm, weight } = partsOf(tape, model, changes);
  const embed = weight(embeddingName(config));
  let [x] = tape.apply(embeddingRule, [embed], { ids: input.ids, ...(input.plan && { plan: input.plan }) });
  if (family.scaledEmbeddings) {
    [x] = tape.apply(affineRule, [x], { scale: Math.sqrt(config.width), offset: 0 });
  }
  if (family.names.positions) {
    const [places] = tape.apply(
      embeddingRule,
      [weight(`${family.names.positions}.weight`)],
      input.positions!,
    );
    [x] = tape.apply(addRule, [x, places], null);
  }
  let stream = [x];
  for (let layer = 0; layer < config.layers; layer++) {
    const run = (tape: Tape, stream: readonly Variable[]) =>
      decoderLayer(partsOf(tape, model, changes), model, input, layer, stream);
    stream = input.recompute || !tape.gradients ? tape.recompute(stream, run) : run(tape, stream);
  }
  if (input.cache) input.cache.length += input.t;
  return norm(family.names.norm, stream)[0];
}

type Parts = ReturnType<typeof partsOf>;

/** The building blocks of a layer, recorded on `tape`. */
function partsOf(tape: Tape, model: DecoderWeights, changes?: Changes) {
  const { config } = model;
  const family = FAMILIES[config.family];
  const weight = (name: string) => changes?.weight(name) ?? constant(found(model, name));
  const linear = (x: Variable, module: string) => {
    const w = weight(`${module}.weight`);
    const branch = changes?.branch(module);
    const y = changes?.layer?.(module)?.apply(tape, x, w) ??
      (branch ? adapted(tape, x, w, branch) : tape.apply(linearRule, [x, w], {})[0]);
    if (!family.biases.includes(module.slice(module.lastIndexOf(".") + 1))) return y;
    return tape.apply(biasRule, [y, weight(`${module}.bias`)], null)[0];
  };
  const normWeight = (name: string) => {
    const w = weight(name);
    return family.normOffset ? tape.apply(affineRule, [w], { scale: 1, offset: family.normOffset })[0] : w;
  };
  /** Norm of x + delta, and that sum. */
  const norm = (name: string, [x, delta]: readonly Variable[]): Variable[] => {
    const w = normWeight(`${name}.weight`);
    const eps = { eps: config.normEps };
    if (family.norm === "rms") {
      const [y, h = x] = tape.apply(rmsNormRule, delta ? [x, w, delta] : [x, w], eps);
      return [y, h];
    }
    const [h] = delta ? tape.apply(addRule, [x, delta], null) : [x];
    const [centered] = tape.apply(centerRule, [h], null);
    const [scaled] = tape.apply(rmsNormRule, [centered, w], eps);
    return [...tape.apply(biasRule, [scaled, weight(`${name}.bias`)], null), h];
  };
  return { tape, weight, linear, normWeight, norm };
}

/** A linear layer with the branch beside it. */
function adapted(tape: Tape, x: Variable, w: Variable, branch: Branch): Variable {
  const { a, b, magnitude, bias, scale } = branch;
  if (magnitude) return dora(tape, [x, w, a, b, magnitude], branch);
  const [y] = tape.apply(linearRule, [x, w, a, b], { adapter: branch });
  if (!bias) return y;
  const [scaled] = tape.apply(affineRule, [bias], { scale, offset: 0 });
  return tape.apply(biasRule, [y, scaled], null)[0];
}

/** One layer: takes and gives the residual stream as a sum that the next norm takes, [x] or [x, delta]. */
function decoderLayer(
  { tape, linear, normWeight, norm }: Parts,
  { config, rotary: table }: DecoderWeights,
  { b, t, cache }: DecoderInput,
  layer: number,
  stream: readonly Variable[],
): Variable[] {
  const family = FAMILIES[config.family];
  const { names } = family;
  const at = `${names.layers}.${layer}`;
  const start = cache?.length ?? 0;
  const axes = { b, t, c: config.headWidth };
  const turned = (plain: Variable, name: "q" | "k") => {
    let heads = plain;
    if (family.headNorms) {
      const w = normWeight(`${at}.self_attn.${name}_norm.weight`);
      [heads] = tape.apply(headNormRule, [heads, w], { eps: config.normEps });
    }
    return table ? tape.apply(rotaryRule, [heads], { ...axes, table, start })[0] : heads;
  };
  const [y, h] = norm(`${at}.${names.attentionNorm}`, stream);
  const projected = names.attention.map((name) => linear(y, `${at}.${name}`));
  const [q0, k0, v0] = projected.length === 1 ? tape.apply(splitRule, projected, { parts: 3 }) : projected;
  const q = turned(q0, "q");
  let [k, v] = [turned(k0, "k"), v0];
  if (cache) [k, v] = cache.extend(layer, k, v);
  const [mixed] = tape.apply(attentionRule, [q, k, v], {
    ...axes,
    start,
    ...(config.window && { window: config.window }),
  });
  const [z, middle] = norm(`${at}.${names.mlpNorm}`, [h, linear(mixed, `${at}.${names.attentionOut}`)]);
  const hidden = names.mlp.map((name) => linear(z, `${at}.${name}`));
  const [active] = tape.apply(hidden.length === 2 ? gateRule : activationRule, hidden, {
    phi: PHIS[family.activation],
  });
  return [middle, linear(active, `${at}.${names.mlpOut}`)];
}

/** The matrix that maps hidden states to logits, `[v, d]`: the embedding where it is tied, and not untied by `changes`. */
export function headWeight(model: DecoderWeights, changes?: Changes): Variable {
  const name = headName(model.config);
  return changes?.weight(HEAD) ?? changes?.weight(name) ?? constant(found(model, name));
}

function found(model: DecoderWeights, name: string): Tensor {
  const tensor = model.weights.get(name);
  if (!tensor) throw new RangeError(`Cannot run the decoder: weight ${name} is missing`);
  return tensor;
}
