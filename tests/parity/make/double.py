"""Llama in float64 from end to end.

transformers computes the norms, the rotary tables, the attention's softmax and the loss in float32 whatever the
model's dtype. `load_double` loads a float32 folder, widens it and replaces those four, so that its losses are exact to
float64 rounding.
"""

import torch
import transformers
from transformers.models.llama import modeling_llama

torch.use_deterministic_algorithms(True)
transformers.logging.set_verbosity_error()


def norm_forward(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def rotary_forward(self, x, position_ids):
    width = self.config.head_dim
    frequencies = self.config.rope_parameters["rope_theta"] ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = position_ids[:, :, None].double() * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


modeling_llama.LlamaRMSNorm.forward = norm_forward
modeling_llama.LlamaRotaryEmbedding.forward = rotary_forward


def load_double(folder):
    """The model of `folder` in float64. SDPA's softmax, unlike the eager one, stays in float64."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    assert model.config.rope_parameters["rope_type"] == "default"
    return model.double().eval()


def nll(model, ids):
    """Nats of ids[:, 1:], `[b, t - 1]`, in float64."""
    logits = model(input_ids=ids).logits[:, :-1]
    assert logits.dtype == torch.float64
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
