"""Two Llamas of random weights, with what transformers says about them: fixtures/llama_tied, fixtures/llama_untied.

Each folder: config.json (the form that transformers 5 saves), config.old.json (the form of transformers 4, written by
hand from the same values), model.safetensors (float32), expected.json.gz (a float64 run of those float32 weights:
nats of each token, a greedy continuation, the norm of the mean loss's gradient for each weight).
"""

import json
import shutil

import torch
from double import load_double, nll
from provenance import FIXTURES, record, write_json
from transformers import LlamaConfig, LlamaForCausalLM

MODELS = {
    "llama_tied": dict(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_theta=10000.0,
    ),
    # Heads narrower than width / heads: q_proj and o_proj are not square.
    "llama_untied": dict(
        vocab_size=61,
        hidden_size=36,
        intermediate_size=44,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=4,
        max_position_embeddings=64,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
        rope_theta=500000.0,
    ),
}


def old_config(values):
    """config.json as transformers 4 wrote it: rope_theta on its own, torch_dtype, rope_scaling null."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "mlp_bias": False,
        "model_type": "llama",
        "pretraining_tp": 1,
        "rope_scaling": None,
        "torch_dtype": "float32",
        "transformers_version": "4.41.0",
        "use_cache": True,
        **values,
    }


for seed, (name, values) in enumerate(MODELS.items()):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    rope = {"rope_theta": values["rope_theta"], "rope_type": "default"}
    rest = {key: value for key, value in values.items() if key != "rope_theta"}
    model = LlamaForCausalLM(LlamaConfig(**rest, rope_parameters=rope, dtype="float32"))
    with torch.no_grad():
        for key, weight in model.named_parameters():
            # Wider than an ordinary start, so that logits and attention are far from uniform.
            normal = torch.randn(weight.shape)
            weight.copy_(1 + 0.2 * normal if weight.ndim == 1 else 0.2 * normal)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.old.json").write_text(json.dumps(old_config(values), indent=2) + "\n")

    model = load_double(folder)
    ids = torch.randint(3, values["vocab_size"], (4, 24))
    losses = nll(model, ids)
    losses.mean().backward()
    prompt = ids[:1, :5]
    continued = prompt
    for _ in range(24):
        logits = model(input_ids=continued).logits[:, -1]
        best = logits.topk(2).values[0]
        assert best[0] - best[1] > 1e-3, "a tie that float32 may break the other way"
        continued = torch.cat([continued, logits.argmax(-1, keepdim=True)], dim=1)
    write_json(
        f"{name}/expected.json.gz",
        {
            "ids": ids.tolist(),
            "nll": losses.tolist(),
            "greedy": {"prompt": prompt[0].tolist(), "continuation": continued[0, 5:].tolist()},
            "gradientNorms": {key: weight.grad.norm().item() for key, weight in model.named_parameters()},
        },
    )
record("tiny_llama.py", [*(f"{name}/{file}" for name in MODELS for file in
       ["config.json", "config.old.json", "model.safetensors", "expected.json.gz"])],
       ["torch", "transformers", "safetensors"])
