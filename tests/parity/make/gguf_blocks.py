"""Random blocks of GGUF's formats and what gguf-py makes of them: fixtures/gguf_blocks.json.gz.

Bits are random, so every quant and every small scale occurs; scales in f16 are finite: the edges first (zeros,
subnormals, the least normal number, the largest), then random ones. Blocks are stored in base64, elements as the base64
of their float32.
"""

import base64

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from provenance import record, write_json

rng = np.random.default_rng(135)
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}
EDGES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x8400, 0x3C00, 0x7BFF, 0xFBFF]


def finite(n):
    return rng.integers(0, 2, n) << 15 | rng.integers(0, 0x7C00, n)


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


cases = []
for name in ["F32", "F16", "BF16", *HALVES]:
    qtype = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[qtype]
    if name in HALVES:
        count = 22 if elements == 32 else 6
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for place, at in enumerate(HALVES[name]):
            scales = np.concatenate([np.roll(EDGES, 3 * place), finite(count)])[:count]
            if elements == 256:
                scales = np.concatenate([rng.permutation(EDGES)[: count - 2], finite(2)])
            blocks[:, at : at + 2] = scales.astype(np.uint16).view(np.uint8).reshape(-1, 2)
    elif name == "F32":
        blocks = rng.standard_normal(16).astype(np.float32).view(np.uint8)
    else:
        bits = np.concatenate([EDGES, finite(21)]).astype(np.uint16)
        blocks = bits.view(np.uint8)
    values = dequantize(blocks.reshape(-1), qtype).astype(np.float32)
    cases.append({"type": name, "blocks": text(blocks), "values": text(values)})
write_json("gguf_blocks.json.gz", cases)
record("gguf_blocks.py", ["gguf_blocks.json.gz"], ["gguf", "numpy"])
