/** What peft_test.ts asks PEFT to write, and what it writes itself. */
import type { AttachOptions } from "../../lib/adapters/attach.ts";
import type { PeftMade } from "./peft_peer.ts";

/** What PEFT is asked to write: settings, base and training. */
export const MADE: Record<
  string,
  Pick<PeftMade, "config" | "steps" | "converted" | "start" | "dtype"> & { model?: string }
> = {
  "lora, untrained": { config: { r: 4 } },
  "lora, trained, on all linear layers": {
    config: { r: 4, lora_alpha: 6, target_modules: "all-linear" },
    steps: 4,
  },
  "lora in float16": { config: { r: 4, target_modules: "all-linear" }, steps: 4, dtype: "float16" },
  "olora in bfloat16": {
    config: { r: 4, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
    dtype: "bfloat16",
  },
  "lora with patterns": {
    config: {
      r: 4,
      target_modules: "all-linear",
      rank_pattern: { q_proj: 2, "layers.1.mlp.down_proj": 3 },
      alpha_pattern: { "layers.0.*": 5 },
    },
    steps: 4,
  },
  "lora in one layer": {
    config: {
      r: 2,
      target_modules: ["q_proj", "up_proj"],
      layers_to_transform: 1,
      layers_pattern: "layers",
    },
    steps: 4,
  },
  "lora by a regular expression": {
    config: { r: 2, target_modules: ".*\\.0\\..*(q|gate)_proj" },
    steps: 4,
  },
  "lora without some layers": {
    config: { r: 2, target_modules: "all-linear", exclude_modules: ["mlp.down_proj", "o_proj"] },
    steps: 4,
  },
  "lora from a Gaussian": { config: { r: 4, init_lora_weights: "gaussian" }, steps: 4 },
  "lora from orthogonal factors": { config: { r: 4, init_lora_weights: "orthogonal" }, steps: 4 },
  "rslora": { config: { r: 4, use_rslora: true, target_modules: "all-linear" }, steps: 4 },
  "dora, untrained": { config: { r: 4, use_dora: true } },
  "dora, trained, on all linear layers": {
    config: { r: 4, lora_alpha: 6, target_modules: "all-linear", use_dora: true, lora_dropout: 0.1 },
    steps: 4,
  },
  "dora from a Gaussian with rslora's scale and patterns": {
    config: {
      r: 4,
      use_dora: true,
      use_rslora: true,
      init_lora_weights: "gaussian",
      rank_pattern: { q_proj: 2 },
      alpha_pattern: { v_proj: 3 },
    },
    steps: 4,
  },
  "dora in float16": { config: { r: 4, use_dora: true }, steps: 4, dtype: "float16" },
  "dora on opt": {
    model: "opt",
    config: { r: 2, target_modules: ["q_proj", "out_proj", "fc1", "fc2"], use_dora: true },
    steps: 4,
  },
  "dora on gpt2": {
    model: "gpt2",
    config: { r: 2, target_modules: ["c_attn", "c_proj"], use_dora: true },
    steps: 4,
  },
  "olora, untrained": { config: { r: 4, target_modules: "all-linear", init_lora_weights: "olora" } },
  "olora, trained": {
    config: { r: 4, lora_alpha: 6, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
  },
  "olora with patterns and rslora's scale": {
    config: {
      r: 4,
      target_modules: "all-linear",
      init_lora_weights: "OLoRA",
      use_rslora: true,
      rank_pattern: { q_proj: 2 },
      alpha_pattern: { down_proj: 3 },
    },
    steps: 4,
  },
  "olora, converted": {
    config: { r: 4, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
    converted: true,
  },
  "dora on olora, untrained": {
    config: { r: 4, target_modules: "all-linear", init_lora_weights: "olora", use_dora: true },
  },
  "dora on olora, trained": {
    config: {
      ...{ r: 4, lora_alpha: 6, target_modules: "all-linear", lora_dropout: 0.1 },
      ...{ init_lora_weights: "olora", use_dora: true },
    },
    steps: 20,
  },
  "dora on olora with patterns and rslora's scale": {
    config: {
      ...{ r: 4, target_modules: "all-linear", init_lora_weights: "olora", use_dora: true, use_rslora: true },
      ...{ rank_pattern: { q_proj: 2 }, alpha_pattern: { down_proj: 3 } },
    },
    steps: 20,
  },
  "dora on olora, with biases, on qwen2": {
    model: "qwen2",
    config: {
      ...{ r: 2, target_modules: "all-linear", init_lora_weights: "olora", use_dora: true, bias: "all" },
    },
    steps: 20,
  },
  "dora on pissa, untrained": { config: { r: 3, lora_alpha: 2, init_lora_weights: "pissa", use_dora: true } },
  "dora on pissa, trained": {
    config: { r: 3, lora_alpha: 5, target_modules: "all-linear", init_lora_weights: "pissa", use_dora: true },
    steps: 20,
  },
  "dora on pissa by iterations": {
    config: { r: 3, init_lora_weights: "pissa_niter_16", use_dora: true },
    steps: 20,
    start: true,
  },
  "lora-ga, untrained": {
    config: { r: 4, target_modules: ["q_proj", "up_proj"], init_lora_weights: "lora_ga", lora_ga_config: {} },
    start: true,
  },
  "lora-ga, trained": {
    config: {
      ...{ r: 4, lora_alpha: 6, target_modules: ["q_proj", "v_proj", "down_proj"] },
      ...{ init_lora_weights: "lora_ga", lora_ga_config: { direction: "random", scale: "weight_svd" } },
    },
    steps: 20,
    start: true,
  },
  "lora-ga, converted": {
    config: { r: 4, target_modules: ["q_proj", "up_proj"], init_lora_weights: "lora_ga", lora_ga_config: {} },
    steps: 4,
    converted: true,
  },
  "dora on lora-ga with patterns and rslora's scale": {
    config: {
      ...{ r: 4, target_modules: ["q_proj", "down_proj"], init_lora_weights: "lora_ga", lora_ga_config: {} },
      ...{ use_dora: true, use_rslora: true, rank_pattern: { q_proj: 2 }, alpha_pattern: { down_proj: 3 } },
    },
    steps: 20,
    start: true,
  },
  "lora-ga on gpt2": {
    model: "gpt2",
    config: { r: 2, target_modules: ["c_attn"], init_lora_weights: "lora_ga", lora_ga_config: {} },
    steps: 4,
    start: true,
  },
  "pissa, untrained": { config: { r: 3, lora_alpha: 2, init_lora_weights: "pissa" } },
  "pissa, trained": {
    config: { r: 3, target_modules: "all-linear", init_lora_weights: "pissa", lora_alpha: 5 },
    steps: 4,
  },
  "pissa by iterations": { config: { r: 3, init_lora_weights: "pissa_niter_16" }, steps: 4, start: true },
  "pissa, converted": { config: { r: 3, init_lora_weights: "pissa" }, steps: 4, converted: true },
  "all biases, on opt": {
    model: "opt",
    config: { r: 2, target_modules: ["q_proj", "fc1"], bias: "all" },
    steps: 4,
  },
  "biases of adapted layers, on gpt2": {
    model: "gpt2",
    config: { r: 2, target_modules: ["c_attn"], bias: "lora_only" },
    steps: 4,
  },
  "all biases, on qwen2 with dora": {
    model: "qwen2",
    config: { r: 2, target_modules: ["q_proj", "o_proj"], bias: "all", use_dora: true },
    steps: 4,
  },
  "a bias of B, on qwen2": {
    model: "qwen2",
    config: { r: 2, lora_alpha: 6, target_modules: ["q_proj", "o_proj"], lora_bias: true },
    steps: 4,
  },
  "a bias of B, on gpt2": {
    model: "gpt2",
    config: { r: 2, lora_alpha: 6, target_modules: ["c_attn"], lora_bias: true },
    steps: 4,
  },
  "modules saved": {
    config: { r: 2, modules_to_save: ["lm_head", "norm", "input_layernorm", "o_proj"] },
    steps: 4,
  },
  "modules saved, and olora": {
    config: { r: 2, modules_to_save: ["lm_head"], init_lora_weights: "olora" },
    steps: 4,
  },
  "modules saved, on opt": {
    model: "opt",
    config: { r: 2, modules_to_save: ["fc1", "final_layer_norm", "embed_positions"] },
    steps: 4,
  },
  "modules saved, on gpt2": {
    model: "gpt2",
    config: { r: 2, target_modules: ["c_attn"], modules_to_save: ["c_fc", "wpe", "ln_f"] },
    steps: 4,
  },
  "a tied embedding saved": {
    model: "llama_tied",
    config: { r: 2, modules_to_save: ["embed_tokens"] },
    steps: 4,
  },
  "a tied head saved": { model: "llama_tied", config: { r: 2, modules_to_save: ["lm_head"] }, steps: 4 },
  "a tied embedding and head saved": {
    model: "gemma",
    config: { r: 2, modules_to_save: ["embed_tokens", "lm_head", "norm"] },
    steps: 4,
  },
  "an embedding that stays tied": {
    model: "llama_tied",
    config: { r: 2, modules_to_save: ["embed_tokens"], ensure_weight_tying: true },
    steps: 4,
  },
  "tokens of a tied embedding": {
    model: "llama_tied",
    config: { r: 2, trainable_token_indices: [5, 1, 9] },
    steps: 4,
  },
  "tokens of embedding and head": {
    config: { r: 2, trainable_token_indices: { embed_tokens: [5, 1], lm_head: [2, 9, 40] } },
    steps: 4,
  },
  "tokens of a tied embedding, by name": {
    model: "gpt2",
    config: { r: 2, target_modules: ["c_attn"], trainable_token_indices: { wte: [5, 1, 9] } },
    steps: 4,
  },
  "mistral": {
    model: "mistral",
    config: { r: 2, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
  },
  "qwen2": {
    model: "qwen2",
    config: { r: 2, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
  },
  "qwen3": { model: "qwen3", config: { r: 2, target_modules: "all-linear" }, steps: 4 },
  "opt": {
    model: "opt",
    config: { r: 2, target_modules: ["q_proj", "out_proj", "fc1", "fc2"], init_lora_weights: "olora" },
    steps: 4,
  },
  "gpt2": { model: "gpt2", config: { r: 2, target_modules: ["c_attn"] }, steps: 4 },
  "gpt2, pissa": { model: "gpt2", config: { r: 2, init_lora_weights: "pissa" }, steps: 4 },
  "gemma": {
    model: "gemma",
    config: { r: 2, target_modules: "all-linear", init_lora_weights: "olora" },
    steps: 4,
  },
};

/** What is written here: options of `attach`, and the form that is written. */
export const OURS: Record<string, { options: AttachOptions; to?: "lora" | "residual" | "merged" }> = {
  "lora": { options: { method: "lora", rank: 4, alpha: 6 } },
  "rslora": { options: { method: "rslora", rank: 4 } },
  "olora": { options: { method: "olora", rank: 4, alpha: 6 } },
  "olora with patterns": {
    options: { method: "olora", rank: 4, rankPattern: { q_proj: 2 }, alphaPattern: { "layers.1.*": 7 } },
  },
  "olora as lora": { options: { method: "olora", rank: 4, alpha: 6 }, to: "lora" },
  "olora with B frozen as lora": { options: { method: "olora", rank: 4, freeze: "B" }, to: "lora" },
  "olora with A frozen as lora": { options: { method: "olora", rank: 4, freeze: "A" }, to: "lora" },
  "olora with patterns as lora": {
    options: { method: "olora", rank: 4, rankPattern: { q_proj: 2 }, alphaPattern: { "layers.1.*": 7 } },
    to: "lora",
  },
  "olora as residual": { options: { method: "olora", rank: 4, alpha: 6 }, to: "residual" },
  "olora, merged": { options: { method: "olora", rank: 4, alpha: 6 }, to: "merged" },
  "full": { options: { method: "full" }, to: "merged" },
  "olora by pivots": { options: { method: "olora", rank: 4, basis: "pivoted" } },
  "olora in chosen layers": { options: { method: "olora", rank: 4, targets: ".*\\.1\\..*(q|up)_proj" } },
  "dora": { options: { method: "dora", rank: 4, alpha: 6, dropout: 0.1 } },
  "dora with patterns": {
    options: { method: "dora", rank: 4, rankPattern: { q_proj: 2 }, alphaPattern: { "layers.1.*": 7 } },
  },
  "dora, merged": { options: { method: "dora", rank: 4, targets: "all-linear" }, to: "merged" },
  "olora with magnitudes": {
    options: { method: "olora", rank: 4, alpha: 6, magnitude: true, dropout: 0.1 },
  },
  "olora with magnitudes as dora": {
    options: { method: "olora", rank: 4, alpha: 6, magnitude: true },
    to: "lora",
  },
  "olora with magnitudes as residual": {
    options: { method: "olora", rank: 4, alpha: 6, magnitude: true },
    to: "residual",
  },
  "olora with magnitudes, merged": {
    options: { method: "olora", rank: 4, alpha: 6, magnitude: true, targets: "all-linear" },
    to: "merged",
  },
  "olora by pivots with magnitudes": {
    options: { method: "olora", rank: 4, basis: "pivoted", magnitude: true },
  },
  "pissa with magnitudes": { options: { method: "pissa", rank: 3, alpha: 5, magnitude: true } },
  "eva": { options: { method: "eva", rank: 4, alpha: 6 } },
  "orthogonal": { options: { method: "orthogonal", rank: 4, alpha: 6 } },
  "mica": { options: { method: "mica", rank: 4, alpha: 6 } },
  "milora": { options: { method: "milora", rank: 4, alpha: 6 } },
  "lora-fa": { options: { method: "lora-fa", rank: 4, alpha: 6 } },
  "lora+": { options: { method: "lora+", rank: 4, alpha: 6 } },
  "lora-ga": { options: { method: "lora-ga", rank: 4, alpha: 6 } },
  "pissa": { options: { method: "pissa", rank: 3, alpha: 5 } },
  "pissa as lora": { options: { method: "pissa", rank: 3, alpha: 5 }, to: "lora" },
  "pissa as residual": { options: { method: "pissa", rank: 3, alpha: 5 }, to: "residual" },
};
