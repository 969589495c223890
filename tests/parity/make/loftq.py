"""LoftQ's start by PEFT's own loftq_init on the CPU, of a weight of data/tiny: fixtures/loftq.json. Needs quantize.txt.

loftq_init asks for "cuda", and quantises to NF4 without a second quantisation of the absmaxes. Its source is run here with
"cpu" in that place; `nf4` is with compress_statistics=True, the form in which bases are held, and `plain` as it stands.
Each has ‖W − (Q + B A)‖ and the SHA-256 of Q's bytes; the first round, but of `plain`, also A and B, as the base64 of their
float32, and how far Q is from that of `plain`. Five rounds are nf4's alone, of a weight of which no number comes within
rounding of the middle of two codes: where one does, it is turned and the rounds after it part, as they do for int8.
"""

import base64
import hashlib
import inspect

import torch
from peft.utils import loftq_utils
from provenance import FIXTURES, record, write_json
from safetensors.torch import load_file

RANK = 4
MODULE = "model.layers.3.self_attn.v_proj"

torch.set_num_threads(1)


def init(*changes):
    source = inspect.getsource(loftq_utils.loftq_init)
    for before, after in changes:
        assert source.count(before) == 1, before
        source = source.replace(before, after)
    space = dict(vars(loftq_utils))
    exec(source, space)
    return space["loftq_init"]


def text(tensor):
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


on_cpu = ('"cuda"', '"cpu"')
makers = {
    "plain": (init(on_cpu), 4, [1]),
    "nf4": (init(on_cpu, ("compress_statistics=False", "compress_statistics=True")), 4, [1, 5]),
    "int8": (init(on_cpu), 8, [1]),
}
w = load_file(FIXTURES.parents[2] / "data/tiny/model.safetensors")[f"{MODULE}.weight"].float()
made = {name: {rounds: make(w, bits, RANK, rounds) for rounds in all_rounds}
        for name, (make, bits, all_rounds) in makers.items()}
cases = []
for name, by_rounds in made.items():
    for rounds, (q, a, b) in by_rounds.items():
        error = (w.double() - q.double() - b.double() @ a.double()).norm().item()
        apart = (q.double() - made["plain"][1][0].double()).norm().item()
        first = dict(a=text(a), b=text(b), apart=apart) if rounds == 1 and name != "plain" else {}
        digest = hashlib.sha256(q.contiguous().numpy().tobytes()).hexdigest()
        cases.append(dict(name=name, rounds=rounds, error=error, q=digest) | first)
        print(name, rounds, error, (w - q).norm().item(), apart)
write_json("loftq.json", {"module": MODULE, "rank": RANK, "cases": cases})
record("loftq.py", ["loftq.json"], ["bitsandbytes", "peft", "safetensors", "torch"])
