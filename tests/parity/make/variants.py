"""Twenty training steps of OLoRA's neighbours by PEFT in float64: rslora, lora+ and dora from the start of lora_all, olora
with use_dora from that of olora, pissa from its own, by decomposition and by PEFT's pissa_niter, all on llama_tied. Writes
llama_tied/variants.json (as runs.json of train.py) and llama_tied/init/{pissa,pissa_niter}.

PiSSA. PEFT's pissa_init accepts float32 and narrower weights only, so the start is made here, by its rule: U S V = svd(W)
in float64, S_r / s, A0 = sqrt(S_r) V_r, B0 = U_r sqrt(S_r), both rounded to float32, base W - s B0 A0 in float64. The
signs are free, as in train.py. `check_pissa` asserts that PEFT's own start of the float32 model has the same product.
"""

import json

import torch
from double import load_double
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from peft.tuners.lora import LoraLayer
from provenance import FIXTURES, record, write_json
from train import INITS, RANK, attach, run, save_start
from transformers import AutoModelForCausalLM

FOLDER = FIXTURES / "llama_tied"
ALPHA = 4
RATIO = 16
ITERATIONS = 2
FEW = ["q_proj", "v_proj"]


def pissa(model, _name, seed):
    torch.manual_seed(seed)
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, LoraLayer):
                a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                w, scale = layer.base_layer.weight, layer.scaling["default"]
                u, s, v = torch.linalg.svd(w, full_matrices=False)
                root = (s[:RANK] / scale).sqrt()
                b.copy_((u[:, :RANK] * root).float())
                a.copy_((root[:, None] * v[:RANK]).float())
                w -= scale * (b @ a)
    return model


def check_pissa(start):
    """PEFT's own start of the float32 model leaves the same base to float32 rounding."""
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", init_lora_weights="pissa")
    theirs = get_peft_model(AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32), config)
    for ours, layer in zip(start.modules(), theirs.modules(), strict=True):
        if isinstance(layer, LoraLayer):
            difference = layer.base_layer.weight.double() - ours.base_layer.weight
            assert difference.norm() < 1e-5 * layer.base_layer.weight.norm()


def pissa_niter(model, _name, seed):
    """PEFT's own start of the float32 model, by randomised subspace iteration."""
    torch.manual_seed(seed)
    theirs = get_peft_model(
        AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32),
        LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=FEW, init_lora_weights=f"pissa_niter_{ITERATIONS}"),
    )
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=FEW))
    with torch.no_grad():
        for ours, layer in zip(model.modules(), theirs.modules(), strict=True):
            if isinstance(ours, LoraLayer):
                a, b = ours.lora_A["default"].weight, ours.lora_B["default"].weight
                a.copy_(layer.lora_A["default"].weight)
                b.copy_(layer.lora_B["default"].weight)
                ours.base_layer.weight -= ours.scaling["default"] * (b @ a)
                difference = layer.base_layer.weight.double() - ours.base_layer.weight
                assert difference.norm() < 1e-5 * layer.base_layer.weight.norm()
    return model


def rslora(model, name, seed):
    model = attach(model, name, seed)
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.scaling["default"] = ALPHA / RANK**0.5
    return model


def dora(model, name, seed):
    return attach(model, name, seed, use_dora=True)


def plus(model, rate):
    return create_loraplus_optimizer(model, torch.optim.AdamW, lr=rate, loraplus_lr_ratio=RATIO, weight_decay=0.0)


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    start = pissa(load_double(FOLDER), None, 0)
    check_pissa(start)
    save_start(start, FOLDER / "init" / "pissa", "pissa")
    save_start(pissa_niter(load_double(FOLDER), None, 0), FOLDER / "init" / "pissa_niter", "pissa")
    runs = {
        "rslora": run(FOLDER, batches, "lora_all", 5e-3, start=rslora),
        "lora+": run(FOLDER, batches, "lora_all", 1e-3, make_optimizer=plus),
        "dora": run(FOLDER, batches, "lora_all", 5e-3, start=dora),
        "olora_dora": run(FOLDER, batches, "olora", 1e-3, start=dora),
        "pissa": run(FOLDER, batches, "pissa", 1e-3, start=pissa),
        "pissa_niter": run(FOLDER, batches, "pissa_niter", 1e-3, start=pissa_niter),
    }
    for name, made in runs.items():
        settings = dict(method=name, rank=RANK, alpha=ALPHA, targets=INITS["lora_all"]["targets"])
        more = {
            "lora+": {"ratio": RATIO},
            "olora_dora": {"method": "olora", "magnitude": True},
            "pissa_niter": {"method": "pissa", "iterations": ITERATIONS, "targets": FEW},
        }
        made["config"] |= settings | more.get(name, {})
        print(name, [round(loss, 4) for loss in made["losses"][::5]], round(made["after"], 4))
    write_json("llama_tied/variants.json", runs)
    record(
        "variants.py",
        ["llama_tied/variants.json", "llama_tied/init/pissa", "llama_tied/init/pissa_niter"],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
