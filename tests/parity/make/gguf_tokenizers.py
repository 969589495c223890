"""Byte-level BPE with each pre-tokenizer that GGUF files name, trained here: the tokenizer.json that the tokenizers package
writes, the GGUF file with the same tokens and merges that gguf-py writes, in the fields that llama.cpp's converter fills,
and ids of texts by tokenizers: fixtures/gguf_tokenizers.
"""

import json
import pathlib

from gguf import GGUFWriter, TokenType
from provenance import FIXTURES, record, write_json
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def words(digits):
    split = pre_tokenizers.Split(Regex(WORDS.replace("DIGITS", digits)), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
PRE = {
    "gpt-2": byte_level,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level]),
    "llama-bpe": words(r"\p{N}{1,3}"),
    "qwen2": words(r"\p{N}"),
}
SPECIAL = ["<|begin|>", "<|end|>"]
TEXTS = [
    "",
    "The animal of Max Crane is a hen.",
    " two  spaces,\tand a tab\n\n  then lines\r\n",
    "We'll see what they've said: it's HERS, isn't it?",
    "1 22 333 4444 55555 3.14159 x2y3",
    "naïve café, e\u0301 and \u00e9, Ω≈ç√, 你好，世界, \U0001f999\U0001f999",
    "<|begin|>a text with<|end|> its special tokens<|end|>",
    "snake_case(camelCase) != [\"a\", 'b'] # 100%",
]
data = pathlib.Path(__file__).parents[3] / "data/tiny/general/train.jsonl"
corpus = [json.loads(line)["completion"] for line in data.read_text().splitlines()] + [*TEXTS, "1234 12 123 4444 333 22"] * 3

for pre, pre_tokenizer in PRE.items():
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    if pre == "llama-bpe":
        begin = (SPECIAL[0], tokenizer.token_to_id(SPECIAL[0]))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{SPECIAL[0]} $A", special_tokens=[begin])
    cases = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS]
    content = json.loads(tokenizer.to_str())
    write_json(f"gguf_tokenizers/{pre}.json.gz", {"tokenizer": content, "cases": cases})

    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer = GGUFWriter(FIXTURES / f"gguf_tokenizers/{pre}.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token, _ in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.token_to_id(SPECIAL[0]))
    writer.add_eos_token_id(tokenizer.token_to_id(SPECIAL[1]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

record("gguf_tokenizers.py", ["gguf_tokenizers"], ["gguf", "tokenizers"])
