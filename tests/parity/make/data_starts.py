"""Twenty training steps by PEFT in float64 from starts that look at data, on llama_tied. Writes
llama_tied/data_starts.json (as runs.json of train.py), llama_tied/init/{lora-ga,eva} and llama_tied/spectra.json, the
singular values that decide how well a start is determined, by method and module.

PEFT's own starts are made in float32 from random spaces (torch.svd_lowrank), so both are made here by their rules from
whole decompositions in float64, and rounded to float32; the checks assert that PEFT's own start of the same model is this
one up to signs: of lora-ga to what its subspace iteration gives, of eva, whose spectra are too flat for that, to float32
with a whole decomposition in place of the iteration.

lora-ga looks at the first GRADIENT batches, eva at the first two: with tau = -1, which no cosine is below, PEFT's eva calls
every layer converged after its second batch.
"""

import json

import torch
from double import load_double, nll
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora import LoraGAConfig, LoraLayer, preprocess_loraga
from peft.tuners.lora import eva as peft_eva
from peft.utils.incremental_pca import IncrementalPCA
from provenance import FIXTURES, record, write_json
from train import RANK, run, save_start

FOLDER = FIXTURES / "llama_tied"
ALPHA = 4
GRADIENT = 4
GAMMA = 16
RHO = 2
SAMPLES = 2
BATCHES = torch.tensor(json.loads((FOLDER / "batches.json").read_text())["batches"])
SPECTRA = {"lora-ga": {}, "eva": {}}


def layers(model):
    return {
        name.removeprefix("base_model.model."): layer
        for name, layer in model.named_modules()
        if isinstance(layer, LoraLayer)
    }


def factors(layer):
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


def aligned(ours, theirs, limit, name):
    """Rows of `theirs` are those of `ours` up to signs, each to `limit` of its length."""
    signs = torch.sign((ours * theirs).sum(1, keepdim=True))
    far = (ours - signs * theirs).norm(dim=1) / ours.norm(dim=1)
    assert far.max() < limit, (name, far)


# preprocess_loraga knows no "all-linear".
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def plain(**more):
    return LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=ALL, **more)


def gradients(model):
    """Mean over batches of the gradient of each batch's mean loss, by module."""
    modules = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"}
    for ids in BATCHES[:GRADIENT]:
        (nll(model, ids).mean() / GRADIENT).backward()
    found = {name: module.weight.grad.clone() for name, module in modules.items()}
    model.zero_grad()
    return found


def lora_ga(model, _name, _seed):
    found = gradients(model)
    model = get_peft_model(model, plain())
    with torch.no_grad():
        for name, layer in layers(model).items():
            a, b = factors(layer)
            w = layer.base_layer.weight
            u, s, v = torch.linalg.svd(found[name], full_matrices=False)
            b.copy_((u * s)[:, RANK : 2 * RANK].mul(len(w) ** 0.25 / GAMMA**0.5).float())
            a.copy_(v[:RANK].float())
            w -= layer.scaling["default"] * (b @ a)
            SPECTRA["lora-ga"][name] = s.tolist()
    return model


def check_lora_ga(start):
    model = load_double(FOLDER)
    config = plain(init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig(stable_gamma=GAMMA))

    def step():
        for ids in BATCHES[:GRADIENT]:
            nll(model, ids).mean().backward()

    torch.manual_seed(0)
    preprocess_loraga(model, config, step)
    theirs = layers(get_peft_model(model, config))
    for name, layer in layers(start).items():
        for ours, peft in zip(factors(layer), factors(theirs[name]), strict=True):
            ours, peft = (ours, peft) if ours.shape[0] == RANK else (ours.T, peft.T)
            aligned(ours, peft, 1e-2, name)


def inputs(model):
    """The inputs of each layer on each batch, by module, and by module the first one with the same input."""
    seen = {}
    modules = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"}
    hooks = [
        module.register_forward_hook(lambda _m, x, _y, name=name: seen.setdefault(name, []).append(x[0].flatten(0, 1)))
        for name, module in modules.items()
    ]
    with torch.no_grad():
        for ids in BATCHES[:SAMPLES]:
            model(input_ids=ids[:, :-1])
    for hook in hooks:
        hook.remove()
    first = {name: next(other for other in seen if torch.equal(seen[other][0], seen[name][0])) for name in seen}
    return seen, first


def components(batches, k):
    """PEFT's IncrementalPCA with whole decompositions: the k largest axes about the mean and their share of the variance."""
    mean, count, scatter, kept = None, 0, 0.0, None
    for x in batches:
        n, middle = len(x), x.mean(0)
        rows = [x - middle]
        scatter += rows[0].square().sum()
        if count:
            shift = (count * n / (count + n)) ** 0.5 * (mean - middle)
            scatter += shift.square().sum()
            rows = [kept, *rows, shift[None]]
            mean = (count * mean + n * middle) / (count + n)
        else:
            mean = middle
        count += n
        _, s, v = torch.linalg.svd(torch.cat(rows), full_matrices=False)
        kept = s[:k, None] * v[:k]
    return v[:k], s, s[:k].square() / scatter


def eva_ranks(shares, names):
    """The RANK · layers largest shares; of equal ones the earlier component, then the earlier layer."""
    entries = [(-share, i, at) for at, name in enumerate(names) for i, share in enumerate(shares[name].tolist())]
    ranks = dict.fromkeys(names, 0)
    for _, _, at in sorted(entries)[: RANK * len(names)]:
        ranks[names[at]] += 1
    return ranks


def eva(model, _name, _seed):
    seen, first = inputs(model)
    k = round(RANK * RHO)
    found = {name: components(seen[name], k) for name in set(first.values())}
    shares = {name: found[first[name]][2] for name in first}
    ranks = eva_ranks(shares, list(first))
    kept = {name: rank for name, rank in ranks.items() if rank}
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=list(kept),
        rank_pattern={name: rank for name, rank in kept.items() if rank != RANK},
        alpha_pattern={name: ALPHA * rank / RANK for name, rank in kept.items() if rank != RANK},
    )
    model = get_peft_model(model, config)
    with torch.no_grad():
        for name, layer in layers(model).items():
            a, b = factors(layer)
            v, s, _ = found[first[name]]
            rows = v[: kept[name]]
            signs = torch.sign(rows.gather(1, rows.abs().argmax(1, keepdim=True)))
            a.copy_((signs * rows).float())
            b.zero_()
            SPECTRA["eva"][name] = s.tolist()
    return model


class WholePCA(IncrementalPCA):
    """PEFT's own with torch.linalg.svd in place of svd_lowrank."""

    def __init__(self, n_components, copy, **_lowrank):
        super().__init__(n_components=n_components, copy=copy)


def check_eva(start):
    """PEFT's axes are these; its ranks too, but for layers of one input, whose equal shares it takes in any order."""
    _, first = inputs(load_double(FOLDER))
    settings = EvaConfig(rho=RHO)
    settings.tau = -1.0
    model = get_peft_model(load_double(FOLDER), plain(init_lora_weights="eva", eva_config=settings))
    data = [dict(input_ids=ids[:, :-1]) for ids in BATCHES[:SAMPLES]]
    peft_eva.IncrementalPCA = WholePCA
    initialize_lora_eva_weights(model, data, show_progress_bar=False)
    theirs, ours = layers(model), layers(start)
    for group in set(first.values()):
        ranks = [
            sorted(factors(found[name])[0].shape[0] for name in found if first[name] == group)
            for found in (ours, theirs)
        ]
        assert ranks[0] == ranks[1], (group, ranks)
    for name in ours.keys() & theirs.keys():
        a, b = factors(theirs[name])
        rank = min(len(a), len(factors(ours[name])[0]))
        aligned(factors(ours[name])[0][:rank], a[:rank], 1e-3, name)
        assert b.count_nonzero() == 0
        assert theirs[name].scaling["default"] == ALPHA / RANK


def main():
    runs = {}
    for name, start, check, rate in [("lora-ga", lora_ga, check_lora_ga, 3e-3), ("eva", eva, check_eva, 3e-3)]:
        model = start(load_double(FOLDER), None, 0)
        check(model)
        save_start(model, FOLDER / "init" / name, name)
        config = model.peft_config["default"]
        runs[name] = run(FOLDER, BATCHES, name, rate, start=start)
        runs[name]["config"] |= dict(method=name, rank=RANK, alpha=ALPHA, targets=sorted(layers(model)))
        if config.rank_pattern:
            patterns = dict(rankPattern=config.rank_pattern, alphaPattern=config.alpha_pattern)
            runs[name]["config"] |= patterns
        print(name, [round(loss, 4) for loss in runs[name]["losses"][::5]], round(runs[name]["after"], 4))
    write_json("llama_tied/data_starts.json", runs)
    write_json("llama_tied/spectra.json", SPECTRA)
    record(
        "data_starts.py",
        ["llama_tied/data_starts.json", "llama_tied/spectra.json", "llama_tied/init/lora-ga", "llama_tied/init/eva"],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
