/** Linear layers of a block, by the last part of their module path. */
export type LinearName = "q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj";

/** Name of a family, `model_type` of config.json. */
export type FamilyName = "llama" | "mistral" | "qwen2" | "qwen3" | "gemma";

/** What sets a family of decoders apart: data that the one decoder reads. */
export interface Family {
  /** The class in transformers that the weights are named for. */
  readonly architecture: string;
  /** Activation of the gated MLP. */
  readonly activation: "silu" | "gelu_pytorch_tanh";
  /** What is added to the weight of an RMS norm before it scales. */
  readonly normOffset: 0 | 1;
  /** Whether token embeddings are scaled by √d. */
  readonly scaledEmbeddings: boolean;
  /** Whether each head of q and of k is normed before it is turned. */
  readonly headNorms: boolean;
  /** Linear layers with a bias. */
  readonly biases: readonly LinearName[];
  /** What transformers takes a field missing in config.json to be; a width of 0 is `hidden_size / num_attention_heads`. */
  readonly defaults: {
    /** `max_position_embeddings`. */
    readonly context: number;
    /** `head_dim`. */
    readonly headWidth: number;
    /** `num_key_value_heads`; 0 is as many as query heads. */
    readonly keyValueHeads: number;
    /** `tie_word_embeddings`. */
    readonly tied: boolean;
    /** `sliding_window`. */
    readonly window: number | null;
  };
}

const llama: Family = {
  architecture: "LlamaForCausalLM",
  activation: "silu",
  normOffset: 0,
  scaledEmbeddings: false,
  headNorms: false,
  biases: [],
  defaults: { context: 2048, headWidth: 0, keyValueHeads: 0, tied: false, window: null },
};

/**
 * The families by `model_type` of config.json.
 *
 * Source: Touvron et al. 2023, arXiv:2302.13971 (Llama); Jiang et al. 2023, arXiv:2310.06825 (Mistral); Yang et al.
 * 2024, arXiv:2407.10671 (Qwen2); Yang et al. 2025, arXiv:2505.09388 (Qwen3); Gemma Team 2024, arXiv:2403.08295; the
 * defaults are those of transformers.
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
};
