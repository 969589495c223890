"""Llama and its relatives, OPT and GPT-2 in float64 from end to end.

transformers computes the norms, the rotary tables, the attention's softmax and the loss in float32 whatever the
model's dtype. `load_double` loads a float32 folder, widens it and replaces those four, so that its losses are exact to
float64 rounding.
"""

import torch
import transformers
from transformers.models.gemma import modeling_gemma
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

torch.use_deterministic_algorithms(True)
transformers.logging.set_verbosity_error()


def norm_forward(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def gemma_norm_forward(self, x):
    return (1 + self.weight) * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def stretched(frequencies, rope):
    """rope_type "llama3" as transformers computes it, in float64."""
    context, low, high = (rope[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    waves = 2 * torch.pi / frequencies
    smooth = (context / waves - low) / (high - low)
    between = (1 - smooth) * frequencies / rope["factor"] + smooth * frequencies
    slow = torch.where(waves > context / low, frequencies / rope["factor"], between)
    return torch.where(waves < context / high, frequencies, slow)


def rotary_forward(self, x, position_ids):
    rope = self.config.rope_parameters
    width = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
    frequencies = rope["rope_theta"] ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    if rope["rope_type"] == "llama3":
        frequencies = stretched(frequencies, rope)
    # transformers' own float32 frequencies, to see that these are the same ones.
    assert torch.allclose(frequencies.float(), self.inv_freq.float(), rtol=1e-6)
    angles = position_ids[:, :, None].double() * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


for module, name in [(modeling_llama, "Llama"), (modeling_mistral, "Mistral"), (modeling_qwen2, "Qwen2"),
                     (modeling_qwen3, "Qwen3"), (modeling_gemma, "Gemma")]:
    getattr(module, f"{name}RMSNorm").forward = gemma_norm_forward if name == "Gemma" else norm_forward
    getattr(module, f"{name}RotaryEmbedding").forward = rotary_forward


def load_double(folder):
    """The model of `folder` in float64. SDPA's softmax, unlike the eager one, stays in float64."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    rope = getattr(model.config, "rope_parameters", None)
    assert rope is None or rope["rope_type"] in ("default", "llama3")
    model = model.double().eval()
    if model.config.model_type == "gemma":
        # √d, which the model holds rounded to float32.
        embedding = model.model.embed_tokens
        embedding.embed_scale = torch.tensor(model.config.hidden_size, dtype=torch.float64).sqrt()
    return model


def nll(model, ids):
    """Nats of ids[:, 1:], `[b, t - 1]`, in float64."""
    logits = model(input_ids=ids).logits[:, :-1]
    assert logits.dtype == torch.float64
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
