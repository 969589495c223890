"""PeftModel.from_pretrained with PyTorch on the CPU, the base in memory already. Prints one JSON object.

usage: peft_load.py --model FOLDER --adapter FOLDER [--rounds 3]

`seconds` is the median over `rounds`, each on a fresh copy of the base, as loading an olora adapter changes it.
"""

import argparse
import copy
import json
import os
import statistics
import time

import peft
import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--adapter", required=True)
parser.add_argument("--rounds", type=int, default=3)
options = parser.parse_args()

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(os.cpu_count())
base = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
times = []
for _ in range(options.rounds):
    model = copy.deepcopy(base)
    start = time.perf_counter()
    peft.PeftModel.from_pretrained(model, options.adapter, torch_device="cpu")
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds": statistics.median(times), "peft": peft.__version__, "torch": torch.__version__}))
