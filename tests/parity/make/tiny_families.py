"""One model of random weights for each family beside plain Llama, with what transformers says about it.

fixtures/<family>: config.json (the form that transformers 5 saves), config.old.json (the form of transformers 4, written
by hand from the same values), model.safetensors (float16), expected.json.gz (a float64 run of those weights: nats of
each token, a greedy continuation, the norm of the mean loss's gradient for each weight).
"""

import json
import re
import shutil

import torch
from double import load_double, nll
from provenance import FIXTURES, record, write_json
from transformers import AutoConfig, AutoModelForCausalLM

COMMON = dict(
    vocab_size=53,
    hidden_size=28,
    intermediate_size=36,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    rms_norm_eps=1e-6,
    tie_word_embeddings=True,
    rope_theta=10000.0,
)
# Wavelengths of the four pairs: 6.3, 63, 628, 6283 tokens; one of each kind, and one between.
LLAMA3 = dict(factor=4.0, low_freq_factor=0.2, high_freq_factor=4.0, original_max_position_embeddings=32)
SILU = dict(hidden_act="silu", attention_dropout=0.0)
MODELS = {
    "llama3": ("llama", "LlamaForCausalLM", dict(SILU, head_dim=8, num_key_value_heads=4, mlp_bias=False, attention_bias=False)),
    "mistral": ("mistral", "MistralForCausalLM", dict(SILU, head_dim=6, tie_word_embeddings=False, sliding_window=8)),
    "qwen2": ("qwen2", "Qwen2ForCausalLM", dict(SILU, hidden_size=32, use_sliding_window=False, max_window_layers=2)),
    "qwen3": ("qwen3", "Qwen3ForCausalLM", dict(SILU, head_dim=10, use_sliding_window=False, attention_bias=False)),
    "gemma": ("gemma", "GemmaForCausalLM", dict(head_dim=12, num_key_value_heads=1, hidden_act="gelu_pytorch_tanh")),
}
# Positions learned, norms with a mean and a bias, no gate; n_inner is left to be 4 n_embd.
LEARNED = {
    "opt": ("opt", "OPTForCausalLM", dict(
        vocab_size=53, hidden_size=28, word_embed_proj_dim=28, ffn_dim=36, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, activation_function="relu", do_layer_norm_before=True, enable_bias=True,
        layer_norm_elementwise_affine=True, tie_word_embeddings=True)),
    "gpt2": ("gpt2", "GPT2LMHeadModel", dict(
        vocab_size=53, n_embd=28, n_inner=None, n_layer=2, n_head=2, n_positions=64, layer_norm_epsilon=1e-5,
        activation_function="gelu_new", scale_attn_weights=True, tie_word_embeddings=True)),
}


def old_config(name, model_type, architecture, values):
    """config.json as transformers 4 wrote it: rope_theta and rope_scaling at the top, torch_dtype."""
    own = {"opt": {"_remove_final_layer_norm": False}, "gpt2": {"n_ctx": values.get("n_positions")}}
    gemma = {"hidden_act": "gelu", "hidden_activation": None}
    return {
        **values,
        **(gemma if name == "gemma" else {}),
        **own.get(name, {}),
        "architectures": [architecture],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "model_type": model_type,
        **({} if name in LEARNED else {"rope_scaling": dict(LLAMA3, rope_type="llama3") if name == "llama3" else None}),
        "torch_dtype": "float16",
        "transformers_version": "4.51.0",
        "use_cache": True,
    }


def greedy(model, prompt):
    """The prompt and its greedy continuation by 24 tokens; None where float32 may break a tie the other way."""
    continued = prompt
    for _ in range(24):
        logits = model(input_ids=continued).logits[:, -1]
        best = logits.topk(2).values[0]
        if best[0] - best[1] < 1e-3:
            return None
        continued = torch.cat([continued, logits.argmax(-1, keepdim=True)], dim=1)
    return prompt, continued


for seed, (name, (model_type, architecture, own)) in enumerate({**MODELS, **LEARNED}.items()):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(100 + seed)
    values = own if name in LEARNED else {**COMMON, **own}
    rest = {key: value for key, value in values.items() if key != "rope_theta"}
    if name not in LEARNED:
        kind = {"rope_type": "llama3", **LLAMA3} if name == "llama3" else {"rope_type": "default"}
        rest["rope_parameters"] = {"rope_theta": values["rope_theta"], **kind}
    config = AutoConfig.for_model(model_type, **rest, bos_token_id=1, eos_token_id=2, pad_token_id=None, dtype="float16")
    model = AutoModelForCausalLM.from_config(config)
    assert type(model).__name__ == architecture
    with torch.no_grad():
        for key, weight in model.named_parameters():
            # Wider than an ordinary start, so that logits and attention are far from uniform.
            normal = torch.randn(weight.shape)
            near_one = re.search(r"(norm|ln_\w)\.weight$", key) and name != "gemma"
            weight.copy_(1 + 0.2 * normal if near_one else 0.2 * normal)
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    (folder / "model.safetensors").chmod(0o644)
    old = old_config(name, model_type, architecture, values)
    (folder / "config.old.json").write_text(json.dumps(old, indent=2, sort_keys=True) + "\n")

    model = load_double(folder)
    ids = torch.randint(3, values["vocab_size"], (4, 24))
    losses = nll(model, ids)
    losses.mean().backward()
    prompt, continued = next(found for row in ids if (found := greedy(model, row[None, :5])))
    write_json(
        f"{name}/expected.json.gz",
        {
            "ids": ids.tolist(),
            "nll": losses.tolist(),
            "greedy": {"prompt": prompt[0].tolist(), "continuation": continued[0, 5:].tolist()},
            "gradientNorms": {key: weight.grad.norm().item() for key, weight in model.named_parameters()},
        },
    )
record("tiny_families.py", [*(f"{name}/{file}" for name in {**MODELS, **LEARNED} for file in
       ["config.json", "config.old.json", "model.safetensors", "expected.json.gz"])],
       ["torch", "transformers", "safetensors"])
