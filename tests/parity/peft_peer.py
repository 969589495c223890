"""PEFT as the other side of tests/parity/peft_test.ts: python tests/parity/peft_peer.py TASK_JSON, answers on stdout.

The task: {"ids": [[...]], "write": [case], "read": [case], "mix": [case]}. A case to write names a base folder, PEFT's settings, how
many steps to train, and where to save; one to read names a base folder and an
adapter folder, or none to ask transformers for the base alone. One to mix names a base folder, adapter
folders, their weights, and the combination_type and svd_rank of add_weighted_adapter. The answer holds the nats of each token of ids, by the case's name: for `write` of the model in memory, never saved.
"""

import json
import sys
import warnings

import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig, PeftModel, get_peft_model, preprocess_loraga
from transformers import AutoModelForCausalLM

warnings.simplefilter("ignore")


def base(folder, dtype="float32"):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True)


@torch.no_grad()
def nats(model, ids):
    model.eval()
    rows = []
    for row in ids:
        x = torch.tensor([row])
        logits = model(input_ids=x).logits[0, :-1].double()
        rows.append(torch.nn.functional.cross_entropy(logits, x[0, 1:], reduction="none").tolist())
    return rows


def train(model, ids, steps):
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        x = torch.tensor([ids[step % len(ids)]])
        optimizer.zero_grad()
        model(input_ids=x, labels=x).loss.backward()
        optimizer.step()
        if hasattr(model.base_model, "update_and_allocate"):
            model.base_model.update_and_allocate(step + 1)


def gradients(model, ids):
    for row in ids:
        x = torch.tensor([row])
        model(input_ids=x, labels=x).loss.backward()


def write(case, ids):
    torch.manual_seed(3)
    settings = case["config"]
    kind = IA3Config if "feedforward_modules" in settings else AdaLoraConfig if "init_r" in settings else LoraConfig
    model, config = base(case["base"]), kind(task_type="CAUSAL_LM", **settings)
    if getattr(config, "init_lora_weights", None) == "lora_ga":
        preprocess_loraga(model, config, lambda: gradients(model, ids))
    model = get_peft_model(model, config)
    converted = case.get("converted")
    if converted:
        model.save_pretrained(case["out"] + "-start")
    if case.get("start"):
        model.save_pretrained(case["out"] + "/start")
    train(model, ids, case.get("steps", 0))
    if case.get("dtype"):
        for name, parameter in model.named_parameters():
            if "lora_" in name or "ia3_" in name:
                parameter.data = parameter.data.to(getattr(torch, case["dtype"]))
    start = {"path_initial_model_for_weight_conversion": case["out"] + "-start"} if converted else {}
    model.save_pretrained(case["out"], **start)
    if case.get("dtype"):
        model = model.float()
    return nats(model, ids)


def read(case, ids):
    model = base(case["base"])
    if case.get("adapter"):
        model = PeftModel.from_pretrained(model, case["adapter"], torch_device="cpu")
    return nats(model, ids)


def mix(case, ids):
    first, *others = case["adapters"]
    model = PeftModel.from_pretrained(base(case["base"]), first, adapter_name="0", torch_device="cpu")
    for i, folder in enumerate(others, 1):
        model.load_adapter(folder, adapter_name=str(i), torch_device="cpu")
    names = [str(i) for i in range(len(case["adapters"]))]
    how = dict(combination_type=case["type"], svd_rank=case.get("rank"))
    model.add_weighted_adapter(names, case["weights"], "mixed", **how)
    model.set_adapter("mixed")
    return nats(model, ids)


def main(task):
    torch.set_num_threads(1)
    ids = task["ids"]
    print(json.dumps({
        "write": {case["name"]: write(case, ids) for case in task.get("write", [])},
        "read": {case["name"]: read(case, ids) for case in task.get("read", [])},
        "mix": {case["name"]: mix(case, ids) for case in task.get("mix", [])},
    }))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
