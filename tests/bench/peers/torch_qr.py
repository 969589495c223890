"""torch.linalg.qr of an n x n float32 matrix, on all cores or through CUDA, as PEFT's olora_init calls it. Prints one JSON
object.

usage: torch_qr.py [--n 4096] [--rounds 3] [--device cpu]
"""

import argparse
import json
import os
import statistics
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=4096)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
options = parser.parse_args()

torch.set_num_threads(os.cpu_count())
torch.manual_seed(0)
w = torch.randn(options.n, options.n).to(options.device)
torch.linalg.qr(w[:256, :256])
seconds = []
for _ in range(options.rounds):
    start = time.perf_counter()
    q, r = torch.linalg.qr(w)
    r[0, 0].item()
    seconds.append(time.perf_counter() - start)
print(
    json.dumps(
        {
            "peer": f"torch {torch.__version__} linalg.qr",
            "n": options.n,
            "threads": torch.get_num_threads(),
            "seconds": statistics.median(seconds),
            "all": seconds,
            "check": (q[:8] @ r - w[:8]).abs().max().item(),
        }
    )
)
