"""Loads an adapter folder with PEFT on a random Llama and prints what it holds, as JSON.

    python tests/parity/read_peft_adapter.py FOLDER CONFIG_JSON
"""

import json
import sys

import torch
from peft import PeftModel
from peft.tuners.lora.layer import LoraLayer
from transformers import AutoConfig, AutoModelForCausalLM

folder, base = sys.argv[1:]
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
model = PeftModel.from_pretrained(model, folder, torch_device="cpu")
modules = {
    path.removeprefix("base_model.model."): {
        "a": module.lora_A["default"].weight.tolist(),
        "b": module.lora_B["default"].weight.tolist(),
        "scale": module.scaling["default"],
    }
    for path, module in model.named_modules()
    if isinstance(module, LoraLayer)
}
print(json.dumps({"modules": modules, "dropout": model.peft_config["default"].lora_dropout}))
