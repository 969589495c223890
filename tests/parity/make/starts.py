"""Twenty training steps by PEFT in float64 from starts that are LoRA's neighbours, on llama_tied. Writes
llama_tied/starts.json (as runs.json of train.py) and llama_tied/init/{orthogonal,mica,milora}.

lora-fa is PEFT's lora with requires_grad=False on A; orthogonal is PEFT's own start, rounded to float32. PEFT's mica_init
accepts float32 and narrower weights only, so that start is made here by its rule, in float64 and rounded to float32;
`check_mica` asserts that PEFT's own start of the float32 model spans the same space. PEFT has no milora: its start is
made here from the paper (arXiv:2406.09044, section 3.2) as pissa's in variants.py, from the last r triplets.
"""

import json

import torch
from double import load_double
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from provenance import FIXTURES, record, write_json
from train import INITS, RANK, run, save_start
from transformers import AutoModelForCausalLM

FOLDER = FIXTURES / "llama_tied"
ALPHA = 4


def config(init):
    return LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", init_lora_weights=init)


def adapted(model):
    return [layer for layer in model.modules() if isinstance(layer, LoraLayer)]


def factors(layer):
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


def orthogonal(model, _name, seed):
    torch.manual_seed(seed)
    model = get_peft_model(model, config("orthogonal"))
    with torch.no_grad():
        for layer in adapted(model):
            for factor in factors(layer):
                factor.copy_(factor.float())
    return model


def mica(model, _name, _seed):
    model = get_peft_model(model, config(True))
    with torch.no_grad():
        for layer in adapted(model):
            a, b = factors(layer)
            u, _, _ = torch.linalg.svd(layer.base_layer.weight, full_matrices=False)
            b.copy_(u[:, -RANK:].float())
            a.zero_()
    return model


def check_mica(start):
    """PEFT's own B of the float32 model has the same column space, and its A is zero."""
    theirs = get_peft_model(AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32), config("mica"))
    for ours, layer in zip(adapted(start), adapted(theirs), strict=True):
        (_, b), (a, mine) = factors(ours), factors(layer)
        assert a.count_nonzero() == 0
        assert not mine.requires_grad
        assert (torch.linalg.svdvals(b.T @ mine.double()) - 1).abs().max() < 1e-4


def milora(model, _name, _seed):
    model = get_peft_model(model, config(True))
    with torch.no_grad():
        for layer in adapted(model):
            a, b = factors(layer)
            w, scale = layer.base_layer.weight, layer.scaling["default"]
            u, s, v = torch.linalg.svd(w, full_matrices=False)
            root = (s[-RANK:] / scale).sqrt()
            b.copy_((u[:, -RANK:] * root).float())
            a.copy_((root[:, None] * v[-RANK:]).float())
            w -= scale * (b @ a)
    return model


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    for start in [orthogonal, mica, milora]:
        model = start(load_double(FOLDER), None, 0)
        if start is mica:
            check_mica(model)
        save_start(model, FOLDER / "init" / start.__name__, start.__name__)
    runs = {
        "lora-fa": run(FOLDER, batches, "lora_all", 5e-3, freeze="A"),
        "orthogonal": run(FOLDER, batches, "orthogonal", 3e-3, start=orthogonal),
        "mica": run(FOLDER, batches, "mica", 3e-3, freeze="B", start=mica),
        "milora": run(FOLDER, batches, "milora", 1e-3, start=milora),
    }
    for name, made in runs.items():
        made["config"] |= dict(method=name, rank=RANK, alpha=ALPHA, targets=INITS["lora_all"]["targets"])
        made["config"].pop("freeze", None)
        print(name, [round(loss, 4) for loss in made["losses"][::5]], round(made["after"], 4))
    write_json("llama_tied/starts.json", runs)
    record(
        "starts.py",
        ["llama_tied/starts.json", *(f"llama_tied/init/{name}" for name in ["orthogonal", "mica", "milora"])],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
