"""SmolLM2-135M-Instruct in Q4_1 by transformers and PEFT in float64, on weights that gguf-py dequantises:
fixtures/smollm2.json.

smollm2_model.py says which file is read.

Training: ten steps of AdamW on rank 8 at q and v, by turns on two of the texts cut to the same length. The start of lora
is made of whole numbers, so that no factors need to be stored; that of olora by PEFT's rule with diag(R) >= 0, in
float64 (PEFT's own takes narrower weights only), rounded to float32.
"""

import double  # norms, angles and softmax in float64 too
import smollm2_model
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from provenance import record, write_json
from smollm2_model import config, digests, tokenizer
from transformers import LlamaForCausalLM

TEXTS = [
    "The capital of France is Paris, and in 1889 its tower was 312 metres high.",
    "def add(a, b):\n    return a + b  # 12345\n",
    "Once upon a time, there was a little girl who didn't like the rain — but loved naïve cafés.",
    "1. Preheat the oven to 180 °C.\n2. Mix 200 g of flour with 3 eggs.\n\n3. Bake for 25 minutes.",
    "Les mathématiques sont le langage de la nature; ∑ xᵢ = 1, d'où la loi.",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name ORDER BY 2 DESC;",
]
PROMPTS = [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in ["What is the capital of France?"]]
PROMPTS += ["Once upon a time"]
NEW = 16

weights = {name: w.double() for name, w in smollm2_model.weights.items()}
model = LlamaForCausalLM(config).double().eval()
model.load_state_dict(weights)


@torch.no_grad()
def log_probabilities(ids):
    return torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)


scored, continued = [], []
for text in TEXTS:
    ids = tokenizer.encode(text).ids
    table = log_probabilities(ids)
    nll = [round(-table[i, target].item(), 9) for i, target in enumerate(ids[1:])]
    scored.append({"text": text, "ids": ids, "nll": nll})
for prompt in PROMPTS:
    ids = tokenizer.encode(prompt).ids
    full = list(ids)
    for _ in range(NEW):
        full.append(int(log_probabilities(full)[-1].argmax()))
    continued.append({"prompt": prompt, "ids": ids, "greedy": full[len(ids) :]})


RANK, STEPS = 8, 10
RATE = 3e-4  # the author's


def whole_numbers(shape, seed):
    """[-1/16, 1/16), exact in float32 and the same anywhere: the upper half of a multiplicative hash."""
    i = torch.arange(shape[0] * shape[1], dtype=torch.int64) + seed * 100_003
    high = (i * 2_654_435_761 % 2**32) // 2**16
    return ((high.double() / 2**16 - 0.5) / 8).reshape(shape)


def losses(method, learning_rate):
    model.load_state_dict(weights)
    tuned = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["q_proj", "v_proj"]))
    layers = [layer for layer in tuned.modules() if isinstance(layer, LoraLayer)]
    with torch.no_grad():
        for place, layer in enumerate(layers):
            a, b, w = layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.base_layer.weight
            if method == "lora":
                a.copy_(whole_numbers(a.shape, place))
                continue
            q, r = torch.linalg.qr(w)
            signs = torch.where(r.diagonal() < 0, -1.0, 1.0).double()
            b.copy_((q * signs)[:, :RANK].float())
            a.copy_((r * signs[:, None])[:RANK].float())
            w -= b @ a
    trained = [weight for weight in tuned.parameters() if weight.requires_grad]
    assert len(trained) == 4 * config.num_hidden_layers and all(w.dtype == torch.float64 for w in trained)
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    found = []
    for step in range(STEPS):
        ids = torch.tensor(batches[step % len(batches)])
        loss = torch.nn.functional.cross_entropy(tuned(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        found.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tuned.unload()
    return {"method": method, "learningRate": learning_rate, "losses": found}


length = min(len(row["ids"]) for row in scored)
batches = [[row["ids"][:length] for row in scored[i : i + 2]] for i in range(0, len(scored), 2)]
training = {"rank": RANK, "batches": batches, "runs": [losses("lora", RATE), losses("olora", RATE)]}
write_json("smollm2.json", {"digests": digests, "texts": scored, "prompts": continued, "training": training})
record("smollm2.py", ["smollm2.json"], ["gguf", "numpy", "peft", "tokenizers", "torch", "transformers"])
