import { affine } from "./affine.ts";
import { attention, attentionBackward } from "./attention.ts";
import { bias } from "./bias.ts";
import { columnSum } from "./column_sum.ts";
import { type CrossEntropy, crossEntropy, crossEntropyBackward } from "./cross_entropy.ts";
import { embedding, embeddingBackward } from "./embedding.ts";
import { gate as gateOf, gateBackward } from "./gate.ts";
import { dora, type DoraAdapter, doraBackward } from "./dora.ts";
import { linear, type LinearAdapter, linearBackward } from "./linear.ts";
import { matmul } from "./matmul.ts";
import { rmsNorm, rmsNormBackward } from "./rms_norm.ts";
import { rotary, rotaryBackward, type RotaryScaling, type RotaryTables, rotaryTables } from "./rotary.ts";

/** Architecture of a Llama decoder, with what other families change in it. */
export interface DecoderConfig {
  /** Vocabulary. */
  v: number;
  /** Model width. */
  d: number;
  /** Blocks. */
  layers: number;
  /** Query heads. */
  h: number;
  /** Key-value heads. */
  hk: number;
  /** Width of a head. */
  c: number;
  /** Width of the MLP. */
  hidden: number;
  /** Added to the mean square in each norm. */
  eps: number;
  /** Base of the rotary frequencies. */
  ropeBase: number;
  /** How the rotary frequencies are stretched, if they are. */
  ropeScaling?: RotaryScaling;
  /** Tokens that a token attends to, itself the last; all before it unless given. */
  window?: number;
  /** Activation of the gate; silu unless given. */
  activation?: "silu" | "gelu";
  /** Added to each norm's weight before it scales; 0 unless given. */
  normOffset?: number;
  /** What token embeddings are multiplied by; 1 unless given. */
  embeddingScale?: number;
}

/**
 * Weights by their Hugging Face names. `<linear layer>.bias` and the head norms `q_norm.weight` and `k_norm.weight` act
 * where they are present; without `lm_head.weight` the head is tied to the embedding.
 */
export type Weights = Record<string, Float64Array>;

/** Adapters by the module they sit on, e.g. `model.layers.0.self_attn.q_proj`. */
export type Adapters = Record<string, LinearAdapter | DoraAdapter>;

/** `b` texts of `t` tokens. */
export interface TokenBatch {
  /** Texts. */
  b: number;
  /** Tokens of a text. */
  t: number;
  /** `[b, t]`. */
  ids: Int32Array;
  /** `[b, t]`, −1 where nothing is predicted; each text's next token unless given. */
  targets?: Int32Array;
}

/** What {@linkcode decoder} computes: the loss, and the values that the backward pass reads. */
export interface DecoderForward extends CrossEntropy {
  /** Input of each block, then of the final norm, `[b t, d]`. */
  residuals: Float64Array[];
  /** Output of the final norm, `[b t, d]`. */
  hidden: Float64Array;
  /** Values inside each block. */
  blocks: Block[];
}

/** Values inside one block that its backward pass reads; `n` = b t. */
export interface Block {
  /** Normed input of the attention, `[n, d]`. */
  attentionIn: Float64Array;
  /** Queries and keys before their heads' norms, `[n, h c]` and `[n, hk c]`. */
  plain: { q: Float64Array; k: Float64Array };
  /** Rotated queries, `[n, h c]`. */
  q: Float64Array;
  /** Rotated keys, `[n, hk c]`. */
  k: Float64Array;
  /** Values, `[n, hk c]`. */
  v: Float64Array;
  /** Output of the attention, `[n, h c]`, and its log-denominators. */
  attended: { out: Float64Array; logSumExp: Float64Array };
  /** Input plus attention, `[n, d]`. */
  middle: Float64Array;
  /** Normed input of the MLP, `[n, d]`. */
  mlpIn: Float64Array;
  /** Gate before its activation, `[n, hidden]`. */
  gate: Float64Array;
  /** What the gate multiplies, `[n, hidden]`. */
  up: Float64Array;
  /** Gated activation, `[n, hidden]`. */
  gated: Float64Array;
}

/**
 * A Llama decoder in float64 with low-rank adapters on any of its linear layers: per-token nats and mean loss.
 *
 * Source: Touvron et al. 2023, arXiv:2307.09288, §2.2, with the names and the rotary pairing of Hugging Face's
 * implementation. Checked against it (tests/parity).
 */
export function decoder(
  weights: Weights,
  config: DecoderConfig,
  batch: TokenBatch,
  adapters: Adapters = {},
): DecoderForward {
  const { b, t, ids } = batch;
  const { d, v } = config;
  const n = b * t;
  const tables = rotaryTables({ t, c: config.c }, config.ropeBase, 0, config.ropeScaling);
  const residuals = [affine(embedding(weights[EMBEDDING], ids, { n, d, v }), config.embeddingScale ?? 1, 0)];
  const blocks: Block[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const { block, out } = blockForward(residuals[layer], { weights, adapters, config, tables, layer, b, t });
    blocks.push(block);
    residuals.push(out);
  }
  const hidden = rmsNorm(
    residuals[config.layers],
    normWeight(weights, config, "model.norm.weight"),
    { n, d },
    config.eps,
  );
  const targets = batch.targets ?? nextTokens(batch);
  return { ...crossEntropy(hidden, headOf(weights), targets, { n, d, v }), residuals, hidden, blocks };
}

/**
 * Gradients of {@linkcode decoder}'s mean loss: of every weight under its own name (the embedding's holds the head's
 * where they are tied), of each adapter under `<module>.lora_A`, `<module>.lora_B` and, where it has one,
 * `<module>.lora_magnitude`.
 */
export function decoderBackward(
  weights: Weights,
  config: DecoderConfig,
  batch: TokenBatch,
  forward: DecoderForward,
  adapters: Adapters = {},
): Record<string, Float64Array> {
  const { b, t, ids } = batch;
  const { d, v, eps } = config;
  const n = b * t;
  const tables = rotaryTables({ t, c: config.c }, config.ropeBase, 0, config.ropeScaling);
  const gradients: Record<string, Float64Array> = {};

  const targets = batch.targets ?? nextTokens(batch);
  const head = crossEntropyBackward(forward.hidden, headOf(weights), targets, forward, { n, d, v });
  const norm = rmsNormBackward(
    forward.residuals[config.layers],
    normWeight(weights, config, "model.norm.weight"),
    head.dx,
    { n, d },
    eps,
  );
  gradients["model.norm.weight"] = norm.dw;
  let dx = norm.dx;
  for (let layer = config.layers - 1; layer >= 0; layer--) {
    const context = { weights, adapters, config, tables, layer, b, t };
    dx = blockBackward(forward.residuals[layer], forward.blocks[layer], dx, context, gradients);
  }
  const dEmbedding = embeddingBackward(affine(dx, config.embeddingScale ?? 1, 0), ids, { n, d, v });
  gradients[EMBEDDING] = HEAD in weights ? dEmbedding : sum(dEmbedding, head.dw);
  if (HEAD in weights) gradients[HEAD] = head.dw;
  return gradients;
}

/** Logits after the last token of each text, `[b, v]`. */
export function lastLogits(
  weights: Weights,
  config: DecoderConfig,
  batch: TokenBatch,
  adapters: Adapters = {},
): Float64Array {
  const { b, t } = batch;
  const { d, v } = config;
  const { hidden } = decoder(weights, config, batch, adapters);
  const last = new Float64Array(b * d);
  for (let i = 0; i < b; i++) last.set(hidden.subarray(((i + 1) * t - 1) * d, (i + 1) * t * d), i * d);
  return matmul(last, headOf(weights), { m: b, n: v, k: d }, "nt");
}

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

function normWeight(weights: Weights, { normOffset = 0 }: DecoderConfig, name: string): Float64Array {
  return affine(weights[name], 1, normOffset);
}

function headOf(weights: Weights): Float64Array {
  return weights[HEAD] ?? weights[EMBEDDING];
}

interface Context {
  weights: Weights;
  adapters: Adapters;
  config: DecoderConfig;
  tables: RotaryTables;
  layer: number;
  b: number;
  t: number;
}

/** The layer named `part` of a block: its weight, lengths and adapter. */
function moduleOf({ weights, adapters, config, layer, b, t }: Context, part: Part) {
  const { d, h, hk, c, hidden } = config;
  const [parent, inputs, outputs] = ({
    q_proj: ["self_attn", d, h * c],
    k_proj: ["self_attn", d, hk * c],
    v_proj: ["self_attn", d, hk * c],
    o_proj: ["self_attn", h * c, d],
    gate_proj: ["mlp", d, hidden],
    up_proj: ["mlp", d, hidden],
    down_proj: ["mlp", hidden, d],
  } as const)[part];
  const name = `model.layers.${layer}.${parent}.${part}`;
  const dims = { n: b * t, in: inputs, out: outputs };
  return { name, w: weights[`${name}.weight`], dims, adapter: adapters[name] };
}

type Part = "q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj";

function blockForward(x: Float64Array, context: Context): { block: Block; out: Float64Array } {
  const { weights, config, tables, layer, b, t } = context;
  const { h, hk, c, d, eps } = config;
  const rows = { n: b * t, d };
  const project = (part: Part, input: Float64Array) => {
    const { name, w, dims, adapter } = moduleOf(context, part);
    const y = isDora(adapter) ? dora(input, w, dims, adapter) : linear(input, w, dims, adapter);
    const b = weights[`${name}.bias`];
    return b ? bias(y, b, { n: dims.n, d: dims.out }) : y;
  };
  const norm = (name: string, input: Float64Array, dims = rows) =>
    rmsNorm(input, normWeight(weights, config, `model.layers.${layer}.${name}.weight`), dims, eps);
  const headNorm = (which: "q" | "k", input: Float64Array) =>
    hasHeadNorm(context, which)
      ? norm(`self_attn.${which}_norm`, input, { n: input.length / c, d: c })
      : input;

  const attentionIn = norm("input_layernorm", x);
  const plain = { q: project("q_proj", attentionIn), k: project("k_proj", attentionIn) };
  const q = rotary(headNorm("q", plain.q), { b, t, h, c }, tables);
  const k = rotary(headNorm("k", plain.k), { b, t, h: hk, c }, tables);
  const v = project("v_proj", attentionIn);
  const attended = attention(q, k, v, { b, t, h, hk, c, ...(config.window && { window: config.window }) });
  const middle = sum(x, project("o_proj", attended.out));

  const mlpIn = norm("post_attention_layernorm", middle);
  const gate = project("gate_proj", mlpIn);
  const up = project("up_proj", mlpIn);
  const gated = gateOf(config.activation ?? "silu", gate, up);
  const out = sum(middle, project("down_proj", gated));
  return { block: { attentionIn, plain, q, k, v, attended, middle, mlpIn, gate, up, gated }, out };
}

/** dL/dx of a block; leaves the gradients of its weights and adapters in `gradients`. */
function blockBackward(
  x: Float64Array,
  block: Block,
  dout: Float64Array,
  context: Context,
  gradients: Record<string, Float64Array>,
): Float64Array {
  const { weights, config, tables, layer, b, t } = context;
  const { h, hk, c, d, eps } = config;
  const project = (part: Part, input: Float64Array, dy: Float64Array) => {
    const { name, w, dims, adapter } = moduleOf(context, part);
    const { dx, dw, da, db, dm } = isDora(adapter)
      ? doraBackward(input, w, dy, dims, adapter)
      : { ...linearBackward(input, w, dy, dims, adapter), dm: undefined };
    gradients[`${name}.weight`] = dw;
    if (weights[`${name}.bias`]) gradients[`${name}.bias`] = columnSum(dy, { n: dims.n, d: dims.out });
    if (da && db) Object.assign(gradients, { [`${name}.lora_A`]: da, [`${name}.lora_B`]: db });
    if (dm) gradients[`${name}.lora_magnitude`] = dm;
    return dx;
  };
  const norm = (part: string, input: Float64Array, dy: Float64Array, dims = { n: b * t, d }) => {
    const name = `model.layers.${layer}.${part}.weight`;
    const { dx, dw } = rmsNormBackward(input, normWeight(weights, config, name), dy, dims, eps);
    gradients[name] = dw;
    return dx;
  };
  const headNorm = (which: "q" | "k", dy: Float64Array) =>
    hasHeadNorm(context, which)
      ? norm(`self_attn.${which}_norm`, block.plain[which], dy, { n: dy.length / c, d: c })
      : dy;

  const dGated = project("down_proj", block.gated, dout);
  const { dg, du } = gateBackward(config.activation ?? "silu", block.gate, block.up, dGated);
  const dMlpIn = sum(project("gate_proj", block.mlpIn, dg), project("up_proj", block.mlpIn, du));
  const dMiddle = sum(dout, norm("post_attention_layernorm", block.middle, dMlpIn));

  const dAttended = project("o_proj", block.attended.out, dMiddle);
  const { dq, dk, dv } = attentionBackward(block.q, block.k, block.v, block.attended, dAttended, {
    b,
    t,
    h,
    hk,
    c,
    ...(config.window && { window: config.window }),
  });
  const dAttentionIn = sum(
    project("q_proj", block.attentionIn, headNorm("q", rotaryBackward(dq, { b, t, h, c }, tables))),
    project("k_proj", block.attentionIn, headNorm("k", rotaryBackward(dk, { b, t, h: hk, c }, tables))),
    project("v_proj", block.attentionIn, dv),
  );
  return sum(dMiddle, norm("input_layernorm", x, dAttentionIn));
}

function isDora(adapter?: LinearAdapter | DoraAdapter): adapter is DoraAdapter {
  return adapter !== undefined && "magnitude" in adapter;
}

function hasHeadNorm({ weights, layer }: Context, which: "q" | "k"): boolean {
  return `model.layers.${layer}.self_attn.${which}_norm.weight` in weights;
}

/** Each text's next token; −1 after its last. */
export function nextTokens({ b, t, ids }: TokenBatch): Int32Array {
  return Int32Array.from({ length: b * t }, (_, i) => i % t === t - 1 ? -1 : ids[i + 1]);
}

function sum(...terms: Float64Array[]): Float64Array {
  return terms[0].map((_, i) => terms.reduce((total, term) => total + term[i], 0));
}
