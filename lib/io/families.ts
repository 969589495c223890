/** Name of a family, `model_type` of config.json. */
export type FamilyName = "llama" | "mistral" | "qwen2" | "qwen3" | "gemma" | "opt" | "gpt2";

/** Where a family keeps its parts: paths of modules, those from `attentionNorm` on inside a layer. */
export interface ModuleNames {
  /** Token embeddings. */
  readonly embedding: string;
  /** Learned positions; absent where positions turn q and k. */
  readonly positions?: string;
  /** What the number of a layer follows. */
  readonly layers: string;
  /** The norm that the head reads. */
  readonly norm: string;
  /** The norm before the attention. */
  readonly attentionNorm: string;
  /** q, k and v, or one module that gives the three side by side. */
  readonly attention: readonly [string, string, string] | readonly [string];
  /** What reads the mixed values. */
  readonly attentionOut: string;
  /** The norm before the MLP. */
  readonly mlpNorm: string;
  /** Gate and value, or what the activation is applied to. */
  readonly mlp: readonly [string, string] | readonly [string];
  /** What reads the hidden units. */
  readonly mlpOut: string;
}

/** What config.json calls the sizes of a family. */
export interface ConfigFields {
  /** Width of the residual stream. */
  readonly width: string;
  /** Number of layers. */
  readonly layers: string;
  /** Query heads. */
  readonly heads: string;
  /** Inner width of the MLP. */
  readonly mlpWidth: string;
  /** Longest sequence. */
  readonly context: string;
  /** ε of the norms; absent where it is not configured. */
  readonly normEps?: string;
  /** Activation of the MLP. */
  readonly activation: string;
}

/** What sets a family of decoders apart: data that the one decoder reads. */
export interface Family {
  /** The class in transformers that the weights are named for. */
  readonly architecture: string;
  /** Names of its modules. */
  readonly names: ModuleNames;
  /** Names of its sizes. */
  readonly fields: ConfigFields;
  /** Fields of config.json that change the arithmetic and may have one value only, or be missing. */
  readonly fixed: Readonly<Record<string, boolean>>;
  /** Activation of the MLP: of its gate, or of all its units where there is no gate. */
  readonly activation: "silu" | "gelu_pytorch_tanh" | "gelu_new" | "relu";
  /** Norm of rows: by their root mean square, or centered before that and with a bias after it. */
  readonly norm: "rms" | "layer";
  /** What is added to the weight of an RMS norm before it scales. */
  readonly normOffset: 0 | 1;
  /** Rows of a learned table before that of position 0. */
  readonly positionOffset: 0 | 2;
  /** Whether token embeddings are scaled by √d. */
  readonly scaledEmbeddings: boolean;
  /** Whether each head of q and of k is normed before it is turned. */
  readonly headNorms: boolean;
  /** Linear layers with a bias, by the last part of their path. */
  readonly biases: readonly string[];
  /** The layers that are adapted unless others are named, as in PEFT. */
  readonly targets: readonly string[];
  /** What transformers takes a field missing in config.json to be; a width of 0 is width / heads. */
  readonly defaults: {
    /** Longest sequence. */
    readonly context: number;
    /** `head_dim`. */
    readonly headWidth: number;
    /** `num_key_value_heads`; 0 is as many as query heads. */
    readonly keyValueHeads: number;
    /** `tie_word_embeddings`. */
    readonly tied: boolean;
    /** `sliding_window`. */
    readonly window: number | null;
    /** ε of the norms. */
    readonly normEps: number;
  };
}

const llama: Family = {
  architecture: "LlamaForCausalLM",
  names: {
    embedding: "model.embed_tokens",
    layers: "model.layers",
    norm: "model.norm",
    attentionNorm: "input_layernorm",
    attention: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    attentionOut: "self_attn.o_proj",
    mlpNorm: "post_attention_layernorm",
    mlp: ["mlp.gate_proj", "mlp.up_proj"],
    mlpOut: "mlp.down_proj",
  },
  fields: {
    width: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    mlpWidth: "intermediate_size",
    context: "max_position_embeddings",
    normEps: "rms_norm_eps",
    activation: "hidden_act",
  },
  fixed: { attention_bias: false, mlp_bias: false },
  activation: "silu",
  norm: "rms",
  normOffset: 0,
  positionOffset: 0,
  scaledEmbeddings: false,
  headNorms: false,
  biases: [],
  targets: ["q_proj", "v_proj"],
  defaults: { context: 2048, headWidth: 0, keyValueHeads: 0, tied: false, window: null, normEps: 1e-6 },
};

/**
 * The families by `model_type` of config.json.
 *
 * Source: Touvron et al. 2023, arXiv:2302.13971 (Llama); Jiang et al. 2023, arXiv:2310.06825 (Mistral); Yang et al.
 * 2024, arXiv:2407.10671 (Qwen2); Yang et al. 2025, arXiv:2505.09388 (Qwen3); Gemma Team 2024, arXiv:2403.08295;
 * Zhang et al. 2022, arXiv:2205.01068 (OPT); Radford et al. 2019 (GPT-2); the defaults are those of transformers.
 */
export const FAMILIES: Readonly<Record<FamilyName, Family>> = {
  llama,
  mistral: {
    ...llama,
    architecture: "MistralForCausalLM",
    defaults: { ...llama.defaults, context: 131072, keyValueHeads: 8, window: 4096 },
  },
  qwen2: {
    ...llama,
    architecture: "Qwen2ForCausalLM",
    biases: ["q_proj", "k_proj", "v_proj"],
    defaults: { ...llama.defaults, context: 32768, keyValueHeads: 32 },
  },
  qwen3: {
    ...llama,
    architecture: "Qwen3ForCausalLM",
    headNorms: true,
    defaults: { ...llama.defaults, context: 32768, headWidth: 128, keyValueHeads: 32 },
  },
  gemma: {
    ...llama,
    architecture: "GemmaForCausalLM",
    activation: "gelu_pytorch_tanh",
    normOffset: 1,
    scaledEmbeddings: true,
    defaults: { ...llama.defaults, context: 8192, headWidth: 256, keyValueHeads: 16, tied: true },
  },
  opt: {
    ...llama,
    architecture: "OPTForCausalLM",
    names: {
      embedding: "model.decoder.embed_tokens",
      positions: "model.decoder.embed_positions",
      layers: "model.decoder.layers",
      norm: "model.decoder.final_layer_norm",
      attentionNorm: "self_attn_layer_norm",
      attention: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
      attentionOut: "self_attn.out_proj",
      mlpNorm: "final_layer_norm",
      mlp: ["fc1"],
      mlpOut: "fc2",
    },
    fields: {
      width: "hidden_size",
      layers: "num_hidden_layers",
      heads: "num_attention_heads",
      mlpWidth: "ffn_dim",
      context: "max_position_embeddings",
      activation: "activation_function",
    },
    fixed: {
      do_layer_norm_before: true,
      enable_bias: true,
      layer_norm_elementwise_affine: true,
      _remove_final_layer_norm: false,
    },
    activation: "relu",
    norm: "layer",
    positionOffset: 2,
    biases: ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    defaults: { ...llama.defaults, tied: true, normEps: 1e-5 },
  },
  gpt2: {
    ...llama,
    architecture: "GPT2LMHeadModel",
    names: {
      embedding: "transformer.wte",
      positions: "transformer.wpe",
      layers: "transformer.h",
      norm: "transformer.ln_f",
      attentionNorm: "ln_1",
      attention: ["attn.c_attn"],
      attentionOut: "attn.c_proj",
      mlpNorm: "ln_2",
      mlp: ["mlp.c_fc"],
      mlpOut: "mlp.c_proj",
    },
    fields: {
      width: "n_embd",
      layers: "n_layer",
      heads: "n_head",
      mlpWidth: "n_inner",
      context: "n_positions",
      normEps: "layer_norm_epsilon",
      activation: "activation_function",
    },
    fixed: { scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false, add_cross_attention: false },
    activation: "gelu_new",
    norm: "layer",
    biases: ["c_attn", "c_proj", "c_fc"],
    targets: ["c_attn"],
    defaults: { ...llama.defaults, context: 1024, tied: true, normEps: 1e-5 },
  },
};
