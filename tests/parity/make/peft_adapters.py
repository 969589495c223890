"""Adapters as PEFT saves them, with what they compute: fixtures/peft_adapters.

Each folder is one adapter of random factors on a Llama of width 8; expected.json.gz holds s B A of every module.
"""

import shutil

import peft
import torch
from peft import LoraConfig, get_peft_model
from provenance import FIXTURES, record, write_json
from transformers import LlamaConfig, LlamaForCausalLM

out = FIXTURES / "peft_adapters"
CONFIGS = {
    "patterns": dict(
        r=3,
        lora_alpha=6,
        target_modules=["q_proj", "down_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 2, "down_proj": 1},
        alpha_pattern={r".*\.0\.mlp\.down_proj": 5},
        lora_dropout=0.05,
    ),
    "rslora": dict(
        r=4,
        lora_alpha=8,
        target_modules=r".*\.self_attn\.(k|v)_proj",
        use_rslora=True,
        init_lora_weights="olora",
    ),
}

expected = {}
shutil.rmtree(out, ignore_errors=True)
for name, config in CONFIGS.items():
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=16,
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
        )
    )
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **config))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape)
    model.save_pretrained(out / name)
    (out / name / "README.md").unlink()
    (out / name / "adapter_model.safetensors").chmod(0o644)
    expected[name] = {
        path.removeprefix("base_model.model."): module.get_delta_weight("default").tolist()
        for path, module in model.named_modules()
        if isinstance(module, peft.tuners.lora.layer.LoraLayer)
    }
write_json("peft_adapters/expected.json.gz", expected)
record("peft_adapters.py", ["peft_adapters"], ["torch", "transformers", "peft", "safetensors"])
