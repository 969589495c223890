"""Twenty training steps in float64 of alora on llama_tied, written from arXiv:2403.16187 (gates, AB-LoRA, algorithm 1) as no
code of its authors was found. As in the kit, the losses are those of the next step's batch, and a rank that is taken away
loses its column of B and its moments. Between ranks that an allocation treats otherwise there is a gap of at least GAP
nats, so that float32 takes the same ones. Writes llama_tied/alora.json (as runs.json of train.py, with the ranks of each
module at the end) and llama_tied/init/alora, the start in the kit's own form.
"""

import json

import torch
from double import load_double, nll
from layers import replace
from provenance import FIXTURES, record, write_json
from ranks import save_start
from train import STEPS

FOLDER = FIXTURES / "llama_tied"
RANK, ALPHA, RATE = 2, 8, 1e-2
PLAN = dict(maxRank=3, moves=3, initWarmup=3, finalWarmup=5, maskInterval=4)
GAP = 1e-5


class Alora(torch.nn.Module):
    """y = W x + alpha / r B diag(g) A x."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        out, width = base.weight.shape
        slots = PLAN["maxRank"]
        self.a = torch.nn.Parameter(((torch.rand(slots, width) * 2 - 1) / width**0.5).double())
        self.b = torch.nn.Parameter(torch.zeros(out, slots, dtype=torch.float64))
        self.gates = (torch.arange(slots) < RANK).double()

    def forward(self, x):
        return self.base(x) + ALPHA / RANK * (((x @ self.a.T) * self.gates) @ self.b.T)


@torch.no_grad()
def importance(model, layers, ids):
    """S(M) is the same for all ranks and left out."""
    held = [layer.gates.clone() for layer in layers]
    found = {}
    for at, gates in enumerate(held):
        for slot in gates.nonzero().flatten().tolist():
            layers[at].gates[slot] = 0
            without = nll(model, ids).mean().item()
            for layer in layers:
                layer.gates = torch.zeros_like(layer.gates)
            layers[at].gates[slot] = 1
            alone = nll(model, ids).mean().item()
            found[at, slot] = without - alone
            for layer, before in zip(layers, held):
                layer.gates = before.clone()
    return found


@torch.no_grad()
def allocate(model, layers, ids, optimizer):
    scores = importance(model, layers, ids)
    ordered = sorted(scores, key=scores.get)
    pruned = ordered[: PLAN["moves"]]
    gap = scores[ordered[PLAN["moves"]]] - scores[pruned[-1]]
    assert gap > GAP, gap
    lost = {at for at, _ in pruned}
    means = {at: [scores[at, slot] for slot in layer.gates.nonzero().flatten().tolist()]
             for at, layer in enumerate(layers) if at not in lost}
    means = {at: sum(own) / len(own) if own else float("-inf") for at, own in means.items()}
    receivers = [at for at in sorted(means, key=means.get, reverse=True) if layers[at].gates.min() == 0]
    assert len(receivers) > PLAN["moves"], "one each is enough here"
    assert means[receivers[PLAN["moves"] - 1]] - means[receivers[PLAN["moves"]]] > GAP
    for at, slot in pruned:
        layer = layers[at]
        layer.gates[slot] = 0
        layer.b[:, slot] = 0
        for key in ("exp_avg", "exp_avg_sq"):
            optimizer.state[layer.b][key][:, slot] = 0
            optimizer.state[layer.a][key][slot] = 0
    before = nll(model, ids).mean()
    for at in receivers[: PLAN["moves"]]:
        layers[at].gates[(layers[at].gates == 0).nonzero()[0]] = 1
    assert torch.equal(before, nll(model, ids).mean()), "a rank that is added keeps the function"
    return pruned, receivers[: PLAN["moves"]]


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    model = replace(Alora)(load_double(FOLDER), None, 0)
    named = {name: layer for name, layer in model.named_modules() if isinstance(layer, Alora)}
    settings = PLAN | dict(alpha=ALPHA, rank=RANK)
    save_start("alora", settings, {
        name: {"a": layer.a, "b": layer.b, "gates": layer.gates[None]} for name, layer in named.items()
    })
    layers = list(named.values())
    trained = [weight for layer in layers for weight in (layer.a, layer.b)]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, norms = [], []
    for step, ids in enumerate(batches[:STEPS], 1):
        optimizer.zero_grad()
        loss = nll(model, ids).mean()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.stack([weight.grad.norm() for weight in trained]).norm().item())
        optimizer.step()
        since = step - PLAN["initWarmup"]
        if since >= 0 and step <= STEPS - PLAN["finalWarmup"] and since % PLAN["maskInterval"] == 0:
            print(step, *allocate(model, layers, batches[step], optimizer))
        assert sum(layer.gates.sum() for layer in layers) == RANK * len(layers)
    made = {
        "init": "alora",
        "config": dict(method="alora", targets="all-linear", steps=STEPS, learningRate=RATE, schedule="constant",
                       warmup=0, weightDecay=0.0, clip=0.0, accumulate=1) | settings,
        "trainable": sum(weight.numel() for weight in trained),
        "losses": losses,
        "gradientNorms": norms,
        "learningRates": [RATE] * STEPS,
        "after": nll(model, batches[0]).mean().item(),
        "ranks": {name: int(layer.gates.sum()) for name, layer in named.items()},
    }
    print("alora", [round(loss, 4) for loss in losses[::5]], list(made["ranks"].values()))
    write_json("llama_tied/alora.json", {"alora": made})
    record("alora.py", ["llama_tied/alora.json", "llama_tied/init/alora"], ["numpy", "peft", "safetensors", "torch", "transformers"])


if __name__ == "__main__":
    main()
