"""LoRA adapters as PEFT saves them on the committed OPT and GPT-2, with what it computes: fixtures/family_adapters.

<family>/: the adapter, random factors on every linear layer. expected.json.gz: for each family the nats of each token
and the norm of the mean loss's gradient for each factor, in float64. Wants tiny_families.py's fixtures.
"""

import shutil

import torch
from double import load_double, nll
from peft import LoraConfig, get_peft_model
from provenance import FIXTURES, record, write_json

out = FIXTURES / "family_adapters"
TARGETS = {
    "opt": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}

expected = {}
shutil.rmtree(out, ignore_errors=True)
for seed, (family, targets) in enumerate(TARGETS.items()):
    torch.manual_seed(seed)
    config = LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=6, target_modules=targets,
                        fan_in_fan_out=family == "gpt2")
    model = get_peft_model(load_double(FIXTURES / family).float(), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = 0.2 * torch.randn(parameter.shape)
    model.peft_config["default"].base_model_name_or_path = family
    model.save_pretrained(out / family)
    (out / family / "README.md").unlink()
    (out / family / "adapter_model.safetensors").chmod(0o644)
    model = model.double().eval()
    ids = torch.randint(3, 53, (3, 20))
    losses = nll(model, ids)
    losses.mean().backward()
    expected[family] = {
        "ids": ids.tolist(),
        "nll": losses.tolist(),
        "gradientNorms": {
            name.removeprefix("base_model.model.").replace(".default.weight", ""): parameter.grad.norm().item()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        },
    }
write_json("family_adapters/expected.json.gz", expected)
record("family_adapters.py", ["family_adapters"], ["torch", "transformers", "peft", "safetensors"])
