"""Twenty training steps in float64 of remora (arXiv:2405.12130, section 3.2) on llama_tied, which PEFT lacks. M is added to
W itself at each merge, as the paper has it, and a new optimiser begins, as in the authors' code. Writes
llama_tied/remora.json (as runs.json of train.py).
"""

import json
import math

import torch
from double import load_double, nll
from layers import replace
from provenance import FIXTURES, record, write_json
from train import STEPS

FOLDER = FIXTURES / "llama_tied"
RANK, RATE, DECAY = 3, 2e-3, 0.1
RUNS = {
    "remora": dict(mergeInterval=4),
    "remora_warmup": dict(mergeInterval=7, restartWarmup=3),
}


class Remora(torch.nn.Module):
    """y = W x + f_dec(M f_comp(x)), where M shares rows and columns: every r-th (type 1), or neighbours (type 2)."""

    def __init__(self, base):
        super().__init__()
        self.base, self.kind = base, 1
        out, width = base.weight.shape
        side = int(math.sqrt((out + width) * RANK) + 0.5)
        self.m = torch.nn.Parameter(torch.zeros(side, side, dtype=torch.float64))

    def change(self):
        out, width = self.base.weight.shape
        side = len(self.m)
        if self.kind == 1:
            wrapped = torch.arange(-(-width // side) * side)
            compress = torch.zeros(side, width, dtype=torch.float64)
            compress.index_put_((wrapped % side, wrapped % width), torch.ones(len(wrapped)).double(), accumulate=True)
            return (self.m @ compress)[torch.arange(out) % side]
        rows, columns = (
            torch.cat([torch.full((len(part),), i) for i, part in enumerate(torch.arange(n).tensor_split(side))])
            for n in (out, width)
        )
        return self.m[rows][:, columns]

    def forward(self, x):
        return self.base(x) + x @ self.change().T

    @torch.no_grad()
    def merge(self):
        self.base.weight += self.change()
        self.m.zero_()
        self.kind = 3 - self.kind


def train(batches, mergeInterval, restartWarmup=0):
    model = replace(Remora)(load_double(FOLDER), None, 0)
    layers = [layer for layer in model.modules() if isinstance(layer, Remora)]
    trained = [layer.m for layer in layers]
    optimizer = None
    losses, norms, rates = [], [], []
    for step, ids in enumerate(batches[:STEPS]):
        since = step % mergeInterval
        if since == 0:
            if step:
                for layer in layers:
                    layer.merge()
            optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
        rate = RATE * since / restartWarmup if step >= mergeInterval and since < restartWarmup else RATE
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = nll(model, ids).mean()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.stack([m.grad.norm() for m in trained]).norm().item())
        rates.append(rate)
        optimizer.step()
    return {
        "trainable": sum(m.numel() for m in trained),
        "losses": losses,
        "gradientNorms": norms,
        "learningRates": rates,
        "after": nll(model, batches[0]).mean().item(),
    }


def main():
    batches = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
    runs = {}
    for name, settings in RUNS.items():
        made = train(batches, **settings)
        config = dict(method="remora", rank=RANK, alpha=RANK, targets="all-linear", steps=STEPS, learningRate=RATE,
                      schedule="constant", warmup=0, weightDecay=DECAY, clip=0.0, accumulate=1)
        runs[name] = made | {"init": None, "config": config | settings}
        print(name, [round(loss, 4) for loss in made["losses"][::5]], round(made["after"], 4))
    write_json("llama_tied/remora.json", runs)
    record("remora.py", ["llama_tied/remora.json"], ["numpy", "safetensors", "torch", "transformers"])


if __name__ == "__main__":
    main()
