"""Matrices quantised by bitsandbytes and gguf-py on the CPU: fixtures/quantize.json.gz. Needs quantize.txt.

NF4's absmaxes are quantised by the device-independent kernel of quantize_blockwise, which searches its map, after their
mean in f64 is rounded once. `table` has what quantize_4bit(compress_statistics=True) makes of them itself: there PyTorch
sums in f32, and the CPU build looks up a table, which near the midpoint of two entries does not always give the nearer one.
Arrays are stored as the base64 of their bytes, dequantised values as the SHA-256 of them.
"""

import base64
import hashlib
import warnings

import bitsandbytes.functional as bnb
import numpy as np
import torch
from gguf import GGMLQuantizationType
from gguf import quants as gguf
from provenance import record, write_json

warnings.filterwarnings("ignore")
torch.manual_seed(2305)
torch.set_num_threads(1)


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def digest(tensor):
    return hashlib.sha256(np.ascontiguousarray(tensor.numpy()).tobytes()).hexdigest()


def matrices():
    yield "normal", torch.randn(24, 192)
    yield "more than one block of absmaxes", 0.02 * torch.randn(137, 128)
    yield "rows of other sizes", torch.randn(20, 64) * torch.logspace(-6, 4, 20)[:, None]
    w = torch.randn(8, 128)
    w[2, :64] = 0
    w[5] = 0
    yield "zero blocks", w
    yield "zeros", torch.zeros(2, 64)
    yield "largest f32", torch.randn(4, 64).clamp(-1, 1) * torch.finfo(torch.float32).max / 4
    yield "subnormal", torch.randn(4, 64) * 1e-39
    middles = torch.tensor(bnb.get_4bit_type("nf4", device="cpu"))
    middles = (middles[1:] + middles[:-1]) / 2
    near = [torch.nextafter(middles, torch.tensor(to)) for to in (-2.0, 2.0)]
    yield "midpoints", torch.cat([torch.ones(1), middles, *near, -torch.ones(18)]).reshape(1, 64)
    ties = (torch.arange(-127, 128, dtype=torch.float32) + 0.5)[:254]
    yield "ties of int8", torch.cat([torch.tensor([127.0, -127.0]), ties]).reshape(1, 256)
    yield "flat, the last block short", torch.randn(1, 64 * 3 + 37)


def nf4(w):
    _, state = bnb.quantize_4bit(w, quant_type="nf4", compress_statistics=True)
    table = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    packed, state = bnb.quantize_4bit(w, quant_type="nf4")
    offset = state.absmax.double().mean().float()
    search = torch.ops.bitsandbytes.quantize_blockwise.default
    blocks = len(state.absmax)
    # Whole blocks of 256, as that kernel divides a short one by its absmax where it multiplies others by the inverse.
    padded = torch.nn.functional.pad(state.absmax - offset, (0, -blocks % 256))
    codes, absmax = search._op_dk(
        torch._C.DispatchKey.CompositeExplicitAutograd, padded, bnb.create_dynamic_map(), 256
    )
    codes = codes[:blocks]
    map_state = bnb.QuantState(absmax=absmax, code=bnb.create_dynamic_map(), blocksize=256, dtype=torch.float32)
    state.absmax = bnb.dequantize_blockwise(codes, map_state) + offset
    return {
        "packed": text(packed.numpy()),
        "codes": text(codes.numpy()),
        "absmax": text(absmax.numpy()),
        "offset": float(offset),
        "values": digest(bnb.dequantize_4bit(packed, state)),
        "table": text(table.numpy()),
    }


def int8(w):
    codes, absmax, _ = bnb.int8_vectorwise_quant(w)
    return {"codes": text(codes.numpy()), "absmax": text(absmax.numpy())}


cases = []
for name, w in matrices():
    case = {"name": name, "shape": list(w.shape), "w": text(w.numpy()), "nf4": nf4(w)}
    if w.shape[1] % 64 == 0:
        if bool((w.abs().amax(1) > 1e-36).all()):  # bitsandbytes divides 127 by the absmax
            case["int8"] = int8(w)
        if w.abs().max() < 1e5 and w.abs().max() > 1e-30 or not w.any():
            with np.errstate(divide="ignore"):
                for dtype in ("Q8_0", "Q4_0"):
                    blocks = gguf.quantize(w.numpy(), GGMLQuantizationType[dtype])
                    case[dtype.lower()] = text(blocks)
    cases.append(case)
normal = bnb.create_normal_map()
levels = torch.cat([normal[:8], normal[-8:]])
write_json(
    "quantize.json.gz",
    {"levels": levels.tolist(), "map": bnb.create_dynamic_map().tolist(), "cases": cases},
)
record("quantize.py", ["quantize.json.gz"], ["bitsandbytes", "gguf", "numpy", "scipy", "torch"])
