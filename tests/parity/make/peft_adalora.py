"""An AdaLoRA adapter as PEFT saves it after training past its last cut, on llama_untied: fixtures/peft_adalora, with the nats
of llama_untied's ids in nll.json. One layer is left without a triplet.
"""

import json
import pathlib
import shutil
import sys

import torch
from peft import AdaLoraConfig, get_peft_model
from provenance import FIXTURES, record, write_json

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from peft_peer import base, nats, train

STEPS = 20

ids = json.loads((FIXTURES / "llama_untied/batches.json").read_text())["batches"]
rows = [text for batch in ids[:STEPS] for text in batch[:1]]
torch.manual_seed(3)
config = AdaLoraConfig(
    task_type="CAUSAL_LM", init_r=4, target_r=1, lora_alpha=6, tinit=2, tfinal=5, deltaT=3, total_step=STEPS,
    target_modules=["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
)
model = get_peft_model(base(FIXTURES / "llama_untied"), config)
train(model, rows, STEPS)
out = FIXTURES / "peft_adalora"
shutil.rmtree(out, ignore_errors=True)
model.peft_config["default"].base_model_name_or_path = "llama_untied"
model.save_pretrained(out)
(out / "README.md").unlink()
(out / "adapter_model.safetensors").chmod(0o644)
ranks = [sum(mask) for mask in json.loads((out / "adapter_config.json").read_text())["rank_pattern"].values()]
assert sum(ranks) == len(ranks) and 0 in ranks, ranks
write_json("peft_adalora/nll.json", {"ids": rows[:4], "nll": nats(model, rows[:4])})
record("peft_adalora.py", ["peft_adalora"], ["torch", "transformers", "peft", "safetensors"])
