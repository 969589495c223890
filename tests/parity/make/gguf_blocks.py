"""Random blocks of GGUF's formats and what gguf-py makes of them: fixtures/gguf_blocks.json.gz; and a file that gguf-py
writes, with a value of every type: fixtures/written.gguf.

Bits are random, so every quant and every small scale occurs; scales in f16 are finite: the edges first (zeros,
subnormals, the least normal number, the largest), then random ones. Blocks are stored in base64, elements as the base64
of their float32.
"""

import base64

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize
from provenance import FIXTURES, record, write_json

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

writer = GGUFWriter(FIXTURES / "written.gguf", "llama")
writer.add_uint8("a.uint8", 255)
writer.add_int8("a.int8", -128)
writer.add_uint16("a.uint16", 65535)
writer.add_int16("a.int16", -32768)
writer.add_uint32("a.uint32", 2**32 - 1)
writer.add_int32("a.int32", -(2**31))
writer.add_uint64("a.uint64", 2**53 - 1)
writer.add_int64("a.int64", -(2**53) + 1)
writer.add_float32("a.float32", 0.1)
writer.add_float64("a.float64", 0.1)
writer.add_bool("a.bool", True)
writer.add_string("a.string", "naïve 𝄞\n")
writer.add_array("a.strings", ["", "é", "b c"])
writer.add_array("a.integers", [3, -1])
writer.add_array("a.reals", [0.5, -2.0])
writer.add_array("a.flags", [True, False])
writer.add_tensor("vector", np.arange(5, dtype=np.float32))
writer.add_tensor("halves", np.arange(6, dtype=np.float16).reshape(2, 3))
for case in cases:
    if case["type"] in HALVES:
        qtype = GGMLQuantizationType[case["type"]]
        size = GGML_QUANT_SIZES[qtype][1]
        blocks = np.frombuffer(base64.b64decode(case["blocks"]), np.uint8)[: 2 * size]
        writer.add_tensor(case["type"], blocks.reshape(2, size), raw_dtype=qtype)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
record("gguf_blocks.py", ["gguf_blocks.json.gz", "written.gguf"], ["gguf", "numpy"])
