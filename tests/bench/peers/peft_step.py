"""A training step of PEFT with PyTorch, on the CPU or on a GPU through CUDA: forward, backward and AdamW, in f32. Prints
one JSON object.

usage: peft_step.py --model FOLDER [--method olora] [--targets all-linear] [--rank 8] [--batch-size 8] [--seq-len 128]
                    [--rounds 5] [--steps 4] [--device cpu]

`seconds` is the median over `rounds` of the time for one of `steps` steps, loss read once a round; `initSeconds` is
get_peft_model, with olora its QR of every layer.
"""

import argparse
import json
import os
import statistics
import time

import peft
import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--method", choices=["olora", "lora"], default="olora")
parser.add_argument("--targets", default="all-linear")
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--seq-len", type=int, default=128)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
options = parser.parse_args()

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(os.cpu_count())
torch.manual_seed(0)
model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
targets = options.targets if options.targets == "all-linear" else options.targets.split(",")
start = time.perf_counter()
model = peft.get_peft_model(
    model,
    peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.rank,
        target_modules=targets,
        init_lora_weights="olora" if options.method == "olora" else True,
    ),
)
init_seconds = time.perf_counter() - start
model.to(options.device).train()
trained = [weight for weight in model.parameters() if weight.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
ids = torch.randint(3, model.config.vocab_size, (options.batch_size, options.seq_len)).to(options.device)


def steps(count):
    for _ in range(count):
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
    return loss.item()


first = steps(1)
steps(2)
seconds = []
for _ in range(options.rounds):
    start = time.perf_counter()
    last = steps(options.steps)
    seconds.append((time.perf_counter() - start) / options.steps)
print(
    json.dumps(
        {
            "peer": f"peft {peft.__version__} {options.method} on torch {torch.__version__} {options.device}",
            "targets": options.targets,
            "rank": options.rank,
            "batchSize": options.batch_size,
            "seqLen": options.seq_len,
            "threads": torch.get_num_threads(),
            "trainable": sum(weight.numel() for weight in trained),
            "initSeconds": init_seconds,
            "seconds": statistics.median(seconds),
            "all": seconds,
            "check": [first, last],
        }
    )
)
