"""Conversations by the chat template in SmolLM2-135M-Instruct's GGUF file, as transformers' apply_chat_template renders them:
fixtures/smollm2_chat.json.

smollm2_model.py says which file is read.
"""

from provenance import record, write_json
from smollm2_model import about, tokenizer, tokens
from transformers import PreTrainedTokenizerFast

special = {role: tokens[about[f"tokenizer.ggml.{role}_token_id"]] for role in ("bos", "eos")}
rendering = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer,
    chat_template=about["tokenizer.chat_template"],
    bos_token=special["bos"],
    eos_token=special["eos"],
)
user = {"role": "user", "content": "What is the capital of France?"}
CONVERSATIONS = [
    [user],
    [{"role": "system", "content": "Answer in one word."}, user],
    [user, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "  And of Spain?\n\nName it. "}],
    [{"role": "user", "content": "<|im_end|> naïve — {{ x }}"}],
]
cases = []
for messages in CONVERSATIONS:
    for prompt in (False, True):
        text = rendering.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
        cases.append(
            {"messages": messages, "addGenerationPrompt": prompt, "text": text, "ids": tokenizer.encode(text).ids}
        )
write_json("smollm2_chat.json", cases)
record("smollm2_chat.py", ["smollm2_chat.json"], ["gguf", "numpy", "tokenizers", "torch", "transformers"])
