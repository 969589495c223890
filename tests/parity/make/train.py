"""Twenty training steps of PEFT and PyTorch in float64 from the same float32 files.

For each model: batches.json (`olora train --data` reads it), init/<name>/ (start factors in PEFT's format, float32;
`--init` reads them) and runs.json (settings and, for each step, the loss before its update, the global norm of the
gradient before clipping and the learning rate; then the loss of the first batch after the last update).

OLoRA. PEFT's olora_init accepts float32 and narrower weights only and keeps LAPACK's signs, so the start is made
here, by its rule: Q, R = qr(W) in float64 with diag(R) >= 0, B0 = Q[:, :r], A0 = R[:r], both rounded to float32 (what
the file holds), base W - s B0 A0 in float64. The signs are free: flipping column i of B and row i of A leaves the base
and every update as they are. `check_against_peft` asserts that PEFT's own start of the float32 model is this one to
float32 rounding, up to those signs. `freeze` is requires_grad=False on that factor.

Schedule: transformers' get_cosine_schedule_with_warmup, factor i / warmup at step i (from 0) of the warm-up, so the
first update has a rate of 0.
"""

import json
import math
import shutil

import torch
from double import load_double, nll
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from provenance import FIXTURES, record, write_json
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup

STORIES = FIXTURES.parents[3] / "shared/data/stories260k/hf_derived"
STEPS = 20
RANK = 4

INITS = {
    "lora_qv": dict(method="lora", alpha=8, targets=["q_proj", "v_proj"]),
    "lora_all": dict(method="lora", alpha=4, targets="all-linear"),
    "olora": dict(method="olora", alpha=4, targets="all-linear"),
    "olora_half": dict(method="olora", alpha=2, targets="all-linear"),
}
RUNS = {
    "lora_qv": dict(init="lora_qv", learningRate=5e-3),
    "lora_all": dict(init="lora_all", learningRate=5e-3),
    "olora": dict(init="olora", learningRate=1e-3),
    "olora_half": dict(init="olora_half", learningRate=1e-3),
    "olora_freeze_b": dict(init="olora", learningRate=1e-3, freeze="B"),
    "olora_freeze_a": dict(init="olora", learningRate=1e-3, freeze="A"),
    "full": dict(init=None, learningRate=1e-3),
    "lora_decay_clip_cosine": dict(
        init="lora_all", learningRate=1e-2, weightDecay=0.1, clip=0.5, schedule="cosine", warmup=4
    ),
    "olora_accumulate": dict(init="olora_half", learningRate=1e-3, accumulate=2),
}


def attach(model, name, seed, **more):
    """Puts the adapter of INITS[name] on `model`, its factors rounded to float32; `more` goes to LoraConfig."""
    method, alpha, targets = (INITS[name][key] for key in ["method", "alpha", "targets"])
    torch.manual_seed(seed)
    config = LoraConfig(r=RANK, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0, **more)
    model = get_peft_model(model, config)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, LoraLayer):
                a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                if method == "olora":
                    w = layer.base_layer.weight
                    q, r = torch.linalg.qr(w)
                    signs = torch.where(r.diagonal() < 0, -1.0, 1.0).double()
                    b.copy_((q * signs)[:, :RANK].float())
                    a.copy_((r * signs[:, None])[:RANK].float())
                    w -= layer.scaling["default"] * (b @ a)
                else:
                    a.copy_(a.float())
                assert a.dtype == torch.float64
    return model


def check_against_peft(folder, name, start):
    """PEFT's own olora start of the float32 model is `start` to float32 rounding, up to signs."""
    config = LoraConfig(
        r=RANK, lora_alpha=INITS[name]["alpha"], target_modules="all-linear", init_lora_weights="olora"
    )
    theirs = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), config)
    for ours, layer in zip(start.modules(), theirs.modules(), strict=True):
        if isinstance(layer, LoraLayer):
            a, b = layer.lora_A["default"].weight.double(), layer.lora_B["default"].weight.double()
            a0, b0 = ours.lora_A["default"].weight, ours.lora_B["default"].weight
            signs = torch.sign((b * b0).sum(0))
            size = layer.base_layer.weight.norm()
            assert (b * signs - b0).norm() < 1e-5
            assert (a * signs[:, None] - a0).norm() < 1e-5 * size
            assert (layer.base_layer.weight.double() - ours.base_layer.weight).norm() < 1e-5 * size


def save_start(model, target, method):
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    config = model.peft_config["default"].to_dict()
    config |= {
        "base_model_name_or_path": None,
        "inference_mode": True,
        "init_lora_weights": "olora" if method == "olora" else True,
        "target_modules": sorted(config["target_modules"]),
    }
    (target / "adapter_config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
    state = {key: value.float().contiguous() for key, value in get_peft_model_state_dict(model).items()}
    save_file(state, target / "adapter_model.safetensors", metadata={"format": "pt"})
    (target / "adapter_model.safetensors").chmod(0o644)


def run(folder, batches, init, learningRate, freeze=None, weightDecay=0.0, clip=0.0, schedule="constant", warmup=0,
        accumulate=1, seed=0, start=attach, make_optimizer=None):
    model = load_double(folder)
    if init is not None:
        model = start(model, init, seed)
    if freeze is not None:
        for key, weight in model.named_parameters():
            if f"lora_{freeze}." in key:
                weight.requires_grad_(False)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if make_optimizer is None:
        optimizer = torch.optim.AdamW(trained, lr=learningRate, betas=(0.9, 0.999), eps=1e-8, weight_decay=weightDecay)
    else:
        optimizer = make_optimizer(model, learningRate)
    scheduler = None
    if schedule == "cosine":
        scheduler = get_cosine_schedule_with_warmup(optimizer, warmup, STEPS)
    losses, norms, rates = [], [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        mean = 0.0
        for ids in batches[step * accumulate : (step + 1) * accumulate]:
            loss = nll(model, ids).mean() / accumulate
            loss.backward()
            mean += loss.item()
        losses.append(mean)
        norms.append(torch.nn.utils.clip_grad_norm_(trained, clip or math.inf).item())
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return {
        "init": init,
        "config": {
            **(INITS.get(init, {}) if init else {"method": "full"}),
            **({"rank": RANK} if init else {}),
            **({"freeze": freeze} if freeze else {}),
            "steps": STEPS,
            "learningRate": learningRate,
            "schedule": schedule,
            "warmup": warmup,
            "weightDecay": weightDecay,
            "clip": clip,
            "accumulate": accumulate,
        },
        "trainable": sum(weight.numel() for weight in trained),
        "losses": losses,
        "gradientNorms": norms,
        "learningRates": rates,
        "after": nll(model, batches[0]).mean().item(),
    }


def skewed_ids(vocabulary, seed):
    """40 batches of random ids, frequent ones first, so that there is something to learn."""
    torch.manual_seed(100 + seed)
    weights = 1 / torch.arange(1, vocabulary + 1)
    order = torch.randperm(vocabulary)
    return order[torch.multinomial(weights, 40 * 4 * 16, replacement=True)].reshape(40, 4, 16)


def backward_stories():
    """40 batches that stories260K itself sampled, read backwards: words it knows in an order it does not."""
    torch.manual_seed(260)
    model = load_double(STORIES)
    start = torch.ones(80, 1, dtype=torch.long)
    ids = model.generate(start, do_sample=True, top_k=0, min_new_tokens=32, max_new_tokens=32, pad_token_id=0)
    return ids[:, 1:].flip(1).reshape(40, 2, 32)


def stories_expected(ids):
    """Nats of `ids` read forwards, and the greedy text from BOS, in float64."""
    model = load_double(STORIES)
    forwards = torch.cat([torch.ones(len(ids), 1, dtype=torch.long), ids.flip(1)], dim=1)
    losses = nll(model, forwards)
    losses.mean().backward()
    greedy, margin = torch.ones(1, 1, dtype=torch.long), math.inf
    with torch.no_grad():
        for _ in range(256):
            best = model(input_ids=greedy).logits[0, -1].topk(2)
            margin = min(margin, (best.values[0] - best.values[1]).item())
            greedy = torch.cat([greedy, best.indices[None, :1]], dim=1)
    print("smallest margin of a greedy choice:", margin)
    return {
        "ids": forwards.tolist(),
        "nll": losses.tolist(),
        "greedy": {"prompt": [1], "continuation": greedy[0, 1:].tolist()},
        "gradientNorms": {key: weight.grad.norm().item() for key, weight in model.named_parameters()},
    }


def make(name, folder, batches, runs, inits, seed):
    target = FIXTURES / name
    write_json(f"{name}/batches.json", {"batches": batches.tolist()})
    for init in inits:
        start = attach(load_double(folder), init, seed)
        if INITS[init]["method"] == "olora":
            check_against_peft(folder, init, start)
        if name != "stories260k" or INITS[init]["method"] == "lora":
            save_start(start, target / "init" / init, INITS[init]["method"])
    results = {key: run(folder, batches, **RUNS[key], seed=seed) for key in runs}
    for key, result in results.items():
        print(name, key, [round(loss, 4) for loss in result["losses"][::5]], round(result["after"], 4))
    write_json(f"{name}/runs.json", results)


def main():
    for seed, (name, vocabulary) in enumerate({"llama_tied": 97, "llama_untied": 61}.items()):
        make(name, FIXTURES / name, skewed_ids(vocabulary, seed), RUNS, INITS, seed)
    batches = backward_stories()
    stories = ["lora_qv", "lora_all", "olora", "olora_half", "full"]
    make("stories260k", STORIES, batches, stories, INITS, 2)
    write_json("stories260k/expected.json.gz", stories_expected(batches[:2].flatten(0, 1)))
    record(
        "train.py",
        [
            *(f"{name}/{part}" for name in ["llama_tied", "llama_untied"] for part in
              ["batches.json", "init", "runs.json"]),
            "stories260k",
        ],
        ["numpy", "peft", "safetensors", "torch", "transformers"],
    )


if __name__ == "__main__":
    main()
