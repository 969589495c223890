"""Twenty training steps in float64 of methods whose ranks change while they train, on llama_tied. Writes
llama_tied/ranks.json (as runs.json of train.py, with the ranks of each module at the end) and their starts in the kit's
own form under llama_tied/init.

adalora is PEFT's: its layers, its term of orthogonality and its RankAllocator. As in algorithm 1 of arXiv:2303.10512 the
importance is taken before the update it belongs to (PEFT's example takes it after), so `update_ipt` is called there.
The scale is made alpha / r by a `ranknum` of r - 1e-5, and frozen: PEFT 0.21 leaves `ranknum` among what is trained.
Losses are the task's alone. Between the last triplet that is kept and the first that is cut there is a gap of at least
GAP, so that float32 cuts the same ones.

lora2 is written here from arXiv:2408.06854, with the budget of algorithm 1 of arXiv:2303.10512.
"""

import json
import shutil
import types

import torch
from double import load_double, nll
from layers import replace
from peft import AdaLoraConfig, get_peft_model
from peft.tuners.adalora.layer import AdaLoraLayer
from provenance import FIXTURES, record, write_json
from safetensors.torch import save_file
from train import STEPS

FOLDER = FIXTURES / "llama_tied"
RANK, ALPHA, RATE = 4, 8, 5e-3
PLAN = dict(targetRank=2, initWarmup=3, finalWarmup=5, maskInterval=4, orthogonality=0.3)
GAP = 1e-3
BETA = 0.85
INNER = 3
# Above the method's own, so that products of three factors move in twenty steps.
LORA2_DEVIATION = 0.3


def save_start(method, settings, layers):
    target = FOLDER / "init" / method
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    config = dict(format="olora-kit adapter", method=method, rank=RANK, dropout=0, seed=0) | settings
    (target / "kit_adapter.json").write_text(json.dumps(config | {"targets": list(layers)}, indent=2) + "\n")
    state = {f"{name}.{key}": value.detach().float().contiguous()
             for name, tensors in layers.items() for key, value in tensors.items()}
    save_file(state, target / "kit_adapter.safetensors")
    (target / "kit_adapter.safetensors").chmod(0o644)


def train(model, batches, before_update, after_update, objective):
    """Steps of AdamW; the losses are `nll`'s, the gradients those of `objective`."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, norms = [], []
    for step, ids in enumerate(batches[:STEPS], 1):
        optimizer.zero_grad()
        loss, whole = objective(ids)
        whole.backward()
        losses.append(loss.item())
        norms.append(torch.stack([weight.grad.norm() for weight in trained]).norm().item())
        before_update(step)
        optimizer.step()
        after_update(step, ids)
    return {
        "trainable": sum(weight.numel() for weight in trained),
        "losses": losses,
        "gradientNorms": norms,
        "learningRates": [RATE] * STEPS,
    }


def adalora(batches):
    torch.manual_seed(0)
    config = AdaLoraConfig(
        init_r=RANK, target_r=PLAN["targetRank"], tinit=PLAN["initWarmup"], tfinal=PLAN["finalWarmup"],
        deltaT=PLAN["maskInterval"], orth_reg_weight=PLAN["orthogonality"], lora_alpha=ALPHA, total_step=STEPS,
        target_modules="all-linear",
    )
    model = get_peft_model(load_double(FOLDER), config)
    layers = {}
    for name, layer in model.base_model.model.named_modules():
        if isinstance(layer, AdaLoraLayer):
            p, e, q = (getattr(layer, key)["default"] for key in ["lora_B", "lora_E", "lora_A"])
            for weight in (p, e, q):
                weight.data = weight.data.float().double()
            layer.ranknum["default"] = torch.nn.Parameter(torch.tensor([RANK - 1e-5], dtype=torch.float64), requires_grad=False)
            layers[name] = {"e": e.T, "p": p, "q": q, "mask": torch.ones(1, RANK)}
    save_start("adalora", PLAN | {"alpha": ALPHA}, layers)
    names = {f"{name}.lora_E.default": name for name in layers}

    decoder = model.base_model.model
    forward = decoder.forward
    held = {}

    def loss_of(ids):
        decoder.forward = forward
        return nll(model.base_model.model, ids).mean()

    def objective(ids):
        """PEFT adds its term to the loss that the model under it gives."""
        loss = loss_of(ids)
        decoder.forward = lambda: types.SimpleNamespace(loss=loss.clone())
        held["whole"] = model.base_model.forward().loss
        decoder.forward = forward
        return loss, held["whole"]

    allocator = model.base_model.rankallocator
    take_importance, mask_to_budget = allocator.update_ipt, allocator.mask_to_budget
    allocator.update_ipt = lambda _model: None
    budgets = []

    def checked_mask(model, budget):
        scores = []
        for key in names:
            s = {part: allocator._element_score(key.replace("lora_E", f"lora_{part}")) for part in "ABE"}
            scores.append(s["E"][:, 0] + s["A"].mean(1) + s["B"].mean(0))
        ordered = torch.cat(scores).sort(descending=True).values
        assert ordered[budget - 1] > (1 + GAP) * ordered[budget], ordered[budget - 1 : budget + 1]
        budgets.append(budget)
        return mask_to_budget(model, budget)

    allocator.mask_to_budget = checked_mask

    def before_update(step):
        if step <= STEPS - PLAN["finalWarmup"]:
            take_importance(decoder)

    def after_update(step, _ids):
        model.base_model.update_and_allocate(step)

    made = train(model, batches, before_update, after_update, objective)
    assert len(budgets) > 2 and budgets[-1] == PLAN["targetRank"] * len(layers), budgets
    made["after"] = loss_of(batches[0]).item()
    pattern = model.peft_config["default"].rank_pattern
    ranks = {name: sum(pattern[key]) for key, name in names.items()}
    print("adalora budgets", budgets, "ranks", list(ranks.values()))
    return made | {"ranks": ranks}


class Lora2(torch.nn.Module):
    """y = W x + alpha / r (bb aa) diag(e) (B A) x."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        out, width = base.weight.shape
        shapes = {"e": (RANK,), "b": (RANK, INNER), "aa": (INNER, RANK), "a": (INNER, width), "bb": (out, INNER)}
        for name, shape in shapes.items():
            start = torch.zeros(shape) if name == "e" else torch.randn(shape) * LORA2_DEVIATION
            setattr(self, name, torch.nn.Parameter(start.double()))

    def forward(self, x):
        return self.base(x) + ALPHA / RANK * (((x @ self.a.T @ self.b.T) * self.e) @ self.aa.T @ self.bb.T)

    def orthogonality(self):
        sides = [m @ m.T if m.shape[0] < m.shape[1] else m.T @ m for m in (self.b, self.aa, self.a, self.bb)]
        return [(side - torch.eye(len(side))).norm() for side in sides]


def lora2(batches):
    model = replace(Lora2)(load_double(FOLDER), None, 0)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Lora2)}
    save_start("lora2", PLAN | dict(alpha=ALPHA, innerRank=INNER), {
        name: {"e": layer.e[None], "b": layer.b, "aa": layer.aa.T, "a": layer.a.T, "bb": layer.bb,
               "mask": torch.ones(1, RANK)} for name, layer in layers.items()
    })
    full, target = RANK * len(layers), PLAN["targetRank"] * len(layers)
    first, last = PLAN["initWarmup"], STEPS - PLAN["finalWarmup"]
    scored = {(name, key): getattr(layer, key) for name, layer in layers.items() for key in ("e", "b", "aa")}
    mean = {key: torch.zeros_like(value) for key, value in scored.items()}
    stray = {key: torch.zeros_like(value) for key, value in scored.items()}
    keep = {}

    def objective(ids):
        loss = nll(model, ids).mean()
        terms = [term for layer in layers.values() for term in layer.orthogonality()]
        return loss, loss + PLAN["orthogonality"] * torch.stack(terms).mean()

    @torch.no_grad()
    def before_update(step):
        for key, value in scored.items() if step <= last else ():
            now = (value * value.grad).abs()
            mean[key] = BETA * mean[key] + (1 - BETA) * now
            stray[key] = BETA * stray[key] + (1 - BETA) * (now - mean[key]).abs()

    @torch.no_grad()
    def after_update(step, _ids):
        if step == last or (first < step < last and step % PLAN["maskInterval"] == 0):
            s = {key: mean[key] * stray[key] for key in scored}
            scores = {name: s[name, "e"] + s[name, "b"].mean(1) + s[name, "aa"].mean(0) for name in layers}
            budget = int(target + (full - target) * (1 - (step - first) / (last - first)) ** 3)
            ordered = torch.cat(list(scores.values())).sort(descending=True).values
            assert ordered[budget - 1] > (1 + GAP) * ordered[budget], ordered[budget - 1 : budget + 1]
            keep.update({name: score >= ordered[budget - 1] for name, score in scores.items()})
        elif step < last:
            return
        for name, layer in layers.items():
            layer.e[~keep[name]] = 0

    made = train(model, batches, before_update, after_update, objective)
    made["after"] = nll(model, batches[0]).mean().item()
    return made | {"ranks": {name: int(mask.sum()) for name, mask in keep.items()}}


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    runs = {
        "adalora": (adalora(batches), PLAN | dict(alpha=ALPHA)),
        "lora2": (lora2(batches), PLAN | dict(alpha=ALPHA, innerRank=INNER)),
    }
    for name, (made, settings) in runs.items():
        made["init"] = name
        made["config"] = dict(method=name, rank=RANK, targets="all-linear", steps=STEPS, learningRate=RATE,
                              schedule="constant", warmup=0, weightDecay=0.0, clip=0.0, accumulate=1) | settings
        print(name, [round(loss, 4) for loss in made["losses"][::5]], round(made["after"], 4))
    write_json("llama_tied/ranks.json", {name: made for name, (made, _) in runs.items()})
    record(
        "ranks.py",
        ["llama_tied/ranks.json", *(f"llama_tied/init/{name}" for name in runs)],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
