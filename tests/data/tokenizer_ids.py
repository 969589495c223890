"""Writes fixtures/tokenizer_ids.json: the ids that Python's tokenizers (0.23.1 or later) gives for texts of
data/tiny and for texts that are hard to split. Run from the repository's root: python3 tests/data/tokenizer_ids.py
"""
import json
import tokenizers

texts = [json.loads(line)["text"] for line in open("data/tiny/general/held_out.jsonl")][:100]
texts += ["naïve – 日本 🙂", " \n\t x  y ", "don't 12345", "<bos>A<eos> <pad>", ""]
tokenizer = tokenizers.Tokenizer.from_file("data/tiny/tokenizer.json")
rows = [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts]
with open("tests/data/fixtures/tokenizer_ids.json", "w") as file:
    json.dump({"tokenizers": tokenizers.__version__, "rows": rows}, file, ensure_ascii=False)
    file.write("\n")
