"""What PEFT itself loses, measured: python tests/parity/peft_losses.py TASK_JSON, answers on stdout.

The task: {"llama": folder, "gpt2": folder, "ids": [[...]], "out": folder for what is saved}.
"""

import json
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model, preprocess_loraga
from safetensors import safe_open

from peft_peer import base, gradients, nats, train

warnings.simplefilter("ignore")


def furthest(x, y):
    return max(abs(a - b) for p, q in zip(x, y) for a, b in zip(p, q))


def config(init="olora", r=4, **more):
    return LoraConfig(**{"task_type": "CAUSAL_LM", "r": r, "target_modules": "all-linear", "init_lora_weights": init, **more})


def error(make):
    try:
        make()
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"


task = json.loads(sys.argv[1])
torch.set_num_threads(1)
llama, ids, out = task["llama"], task["ids"], task["out"]
plain = nats(base(llama), ids)
found = {}

model = get_peft_model(base(llama), config())
with model.disable_adapter():
    found["disabled"] = furthest(nats(model, ids), plain)
model.add_adapter("second", config())
model.set_adapter("second")
found["second"] = furthest(nats(model, ids), plain)
found["unloaded"] = furthest(nats(get_peft_model(base(llama), config()).unload(), ids), plain)

half = base(llama, "bfloat16")
before = nats(half, ids)
found["bfloat16"] = furthest(nats(get_peft_model(half, config()), ids), before)

model = get_peft_model(base(llama), config(modules_to_save=["lm_head"]))
model.save_pretrained(out + "/start")
train(model, ids, 3)
trained = nats(model, ids)
model.save_pretrained(out + "/kept")
model.save_pretrained(out + "/converted", path_initial_model_for_weight_conversion=out + "/start")
with safe_open(out + "/converted/adapter_model.safetensors", "pt") as file:
    found["converted"] = {"head": any("lm_head" in key for key in file.keys()), "trained": trained}

model = get_peft_model(base(llama), config(use_dora=True))
model.save_pretrained(out + "/dora-start")
train(model, ids, 3)
trained = nats(model, ids)
model.save_pretrained(out + "/dora")
model.save_pretrained(out + "/dora-converted", path_initial_model_for_weight_conversion=out + "/dora-start")
again = PeftModel.from_pretrained(base(llama), out + "/dora-converted", torch_device="cpu")
found["magnitudes"] = {"reloaded": furthest(nats(again, ids), trained), "trained": trained}

model = get_peft_model(base(llama), config(rank_pattern={"q_proj": 2}, use_rslora=True))
model.save_pretrained(out + "/rs-own")
model.save_pretrained(out + "/rs-start")
found["patterns"] = error(
    lambda: model.save_pretrained(out + "/rs", path_initial_model_for_weight_conversion=out + "/rs-start")
)

found["conv1d"] = error(lambda: nats(get_peft_model(base(task["gpt2"]), config(target_modules=["c_attn"])), ids))

model = get_peft_model(base(llama), config(r=64, lora_alpha=64, target_modules=["k_proj"]))
layer = model.base_model.model.model.layers[0].self_attn.k_proj
found["rank"] = {"declared": layer.r["default"], "rows": layer.lora_A["default"].weight.shape[0]}

plain = base(llama)
with torch.no_grad():
    plain.model.layers[0].self_attn.q_proj.weight[3] = 0
layer = get_peft_model(plain, config(True, use_dora=True)).base_model.model.model.layers[0].self_attn.q_proj
found["direction"] = layer(torch.ones(1, layer.in_features))[0].isnan().nonzero().flatten().tolist()

torch.manual_seed(1)
model = get_peft_model(base(llama), config("pissa_niter_16"))
train(model, ids, 3)
trained = nats(model, ids)
model.save_pretrained(out + "/niter")
torch.manual_seed(2)
again = PeftModel.from_pretrained(base(llama), out + "/niter", torch_device="cpu")
found["reloaded"] = furthest(nats(again, ids), trained)

model, gradients_config = base(llama), config("lora_ga", target_modules=["q_proj", "up_proj"], lora_ga_config={})
preprocess_loraga(model, gradients_config, lambda: gradients(model, ids))
model = get_peft_model(model, gradients_config)
model.save_pretrained(out + "/ga-start")
train(model, ids, 3)
trained = nats(model, ids)
model.save_pretrained(out + "/ga")
again = PeftModel.from_pretrained(base(llama), out + "/ga", torch_device="cpu")
found["gradients"] = {"reloaded": furthest(nats(again, ids), trained), "trained": trained}

print(json.dumps(found))
