"""An IA³ adapter as PEFT saves it after training, on llama_untied with the targets that PEFT takes for Llama: outputs of k_proj
and v_proj, inputs of down_proj. Writes fixtures/peft_ia3, with the nats of llama_untied's ids in nll.json.
"""

import json
import pathlib
import shutil
import sys

import torch
from peft import IA3Config, get_peft_model
from provenance import FIXTURES, record, write_json

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from peft_peer import base, nats, train

STEPS = 20

ids = json.loads((FIXTURES / "llama_untied/batches.json").read_text())["batches"]
rows = [text for batch in ids[:STEPS] for text in batch[:1]]
model = get_peft_model(base(FIXTURES / "llama_untied"), IA3Config(task_type="CAUSAL_LM"))
torch.set_num_threads(1)
train(model, rows, STEPS)
out = FIXTURES / "peft_ia3"
shutil.rmtree(out, ignore_errors=True)
settings = model.peft_config["default"]
settings.base_model_name_or_path = "llama_untied"
for field in ["target_modules", "feedforward_modules"]:
    setattr(settings, field, sorted(getattr(settings, field)))
model.save_pretrained(out)
(out / "README.md").unlink()
(out / "adapter_model.safetensors").chmod(0o644)
write_json("peft_ia3/nll.json", {"ids": rows[:4], "nll": nats(model, rows[:4])})
record("peft_ia3.py", ["peft_ia3"], ["torch", "transformers", "peft", "safetensors"])
