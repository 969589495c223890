"""Twenty training steps in float64 of methods that PEFT has no form for, on llama_tied, written from their papers: mora of
types 1 and 6 (arXiv:2405.12130, eqs. (6) to (11)) and flora (arXiv:2312.05677, eqs. (4) to (6)); and of PEFT's IA3, which
flora of rank 1 with a factor frozen is. Writes
llama_tied/layers.json (as runs.json of train.py) and llama_tied/init/flora, a start in the kit's own form.
"""

import json
import math
import shutil

import torch
from double import load_double
from peft import IA3Config, get_peft_model
from provenance import FIXTURES, record, write_json
from safetensors.torch import save_file
from train import run

FOLDER = FIXTURES / "llama_tied"
RANK = 3
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Mora(torch.nn.Module):
    """y = W x + f_dec(M f_comp(x)); x and the output begin anew where they are too short."""

    def __init__(self, base, kind):
        super().__init__()
        self.base, self.kind = base, kind
        out, width = base.weight.shape
        side = int(math.sqrt((out + width) * RANK) + 0.5)
        side -= side % 2 if kind == 6 else 0
        self.m = torch.nn.Parameter(torch.zeros(side, side, dtype=torch.float64))

    def forward(self, x):
        out, width = self.base.weight.shape
        side = len(self.m)
        groups = -(-width // side)
        padded = x[..., torch.arange(groups * side) % width].unflatten(-1, (groups, side))
        if self.kind == 1:
            hidden = padded.sum(-2) @ self.m.T
        else:
            j = torch.arange(side // 2, dtype=torch.float64)
            angles = torch.arange(groups, dtype=torch.float64)[:, None] * 10000 ** (-2 * j / side)
            cos, sin = angles.cos(), angles.sin()
            first, second = padded.chunk(2, -1)
            turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
            hidden = (turned @ self.m.T).flatten(-2)
        return self.base(x) + hidden[..., torch.arange(out) % hidden.shape[-1]]


class Flora(torch.nn.Module):
    """y = sum over k of a_k * (W (b_k * x))."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        out, width = base.weight.shape
        a, b = torch.rand(rank, out) * 2 - 1, torch.zeros(rank, width)
        a[0] = b[0] = 1
        self.a, self.b = torch.nn.Parameter(a.double()), torch.nn.Parameter(b.double())

    def forward(self, x):
        return sum(a * self.base(b * x) for a, b in zip(self.a, self.b))


def replace(make):
    def start(model, _name, seed):
        torch.manual_seed(seed)
        model.requires_grad_(False)
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if name in PROJECTIONS:
                    setattr(module, name, make(child))
        return model

    return start


def ia3(model, _name, _seed):
    config = IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    model = get_peft_model(model, config)
    assert all(weight.dtype == torch.float64 for weight in model.parameters() if weight.requires_grad)
    return model


def save_flora(model, target):
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Flora)}
    settings = dict(format="olora-kit adapter", method="flora", rank=RANK, alpha=RANK, dropout=0, seed=0)
    (target / "kit_adapter.json").write_text(json.dumps(settings | {"targets": list(layers)}, indent=2) + "\n")
    state = {f"{name}.{key}": getattr(layer, key).detach().float().reshape(1, -1).contiguous()
             for name, layer in layers.items() for key in "ab"}
    save_file(state, target / "kit_adapter.safetensors")
    (target / "kit_adapter.safetensors").chmod(0o644)


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    flora = replace(lambda base: Flora(base, RANK))
    save_flora(flora(load_double(FOLDER), None, 0), FOLDER / "init" / "flora")
    starts = {
        "mora_1": (dict(method="mora", rank=RANK, type=1), replace(lambda base: Mora(base, 1)), 1e-3),
        "mora_6": (dict(method="mora", rank=RANK, type=6), replace(lambda base: Mora(base, 6)), 1e-3),
        "flora": (dict(method="flora", rank=RANK), flora, 3e-3),
        "flora_1": (dict(method="flora", rank=1), replace(lambda base: Flora(base, 1)), 3e-3),
        "ia3": (
            dict(method="flora", rank=1, freeze="B", targets=["k_proj", "v_proj", "down_proj"], feedforward=["down_proj"]),
            ia3, 1e-2,
        ),
    }
    runs = {}
    for name, (settings, start, rate) in starts.items():
        made = run(FOLDER, batches, "lora_all", rate, start=start)
        made["init"] = "flora" if name == "flora" else None
        made["config"] |= dict(alpha=settings["rank"], targets="all-linear") | settings
        print(name, [round(loss, 4) for loss in made["losses"][::5]], round(made["after"], 4))
        runs[name] = made
    write_json("llama_tied/layers.json", runs)
    record(
        "layers.py",
        ["llama_tied/layers.json", "llama_tied/init/flora"],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
