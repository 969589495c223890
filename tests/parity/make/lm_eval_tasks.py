"""Log-likelihoods of multiple choice on SmolLM2-135M-Instruct by EleutherAI's lm-evaluation-harness in float32:
fixtures/lm_eval.json.gz.

The first 100 rows of each file of ../shared/data/evaltasks are written in the fields that the task has on the hub, and
lm_eval's own task files say how they are asked. Those rows lack two things, and for these alone the local task differs:
BoolQ's have no passage, whose line is left out of the prompt; HellaSwag's do not tell where the last sentence begins, whose
first letter lm_eval makes a capital, so all of the context is taken for what comes before it.

Shots are the first rows after the hundred (`first_n`). The model scores one task with shots; of the others the prompts are
noted. No text is kept: of each row the first 8 digits of the sha256 of what lm_eval scores (context, NUL, continuation, NUL,
of each choice).
"""

import hashlib
import json
import pathlib
import tempfile

import smollm2_model
import torch
from lm_eval import evaluator
from lm_eval import tasks as lm_eval_tasks
from lm_eval.models.huggingface import HFLM
from provenance import record, write_json
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

ROWS = pathlib.Path(__file__).parents[4] / "shared/data/evaltasks"
LM_EVAL = pathlib.Path(lm_eval_tasks.__file__).parent
ITEMS, SHOTS, SCORED_WITH_SHOTS = 100, 3, "winogrande"
LETTERS = "ABCDE"


def arc(row):
    return {
        "question": row["question"],
        "choices": {"text": row["choices"], "label": list(LETTERS[: len(row["choices"])])},
        "answerKey": LETTERS[row["label"]],
    }


def openbookqa(row):
    fields = arc(row)
    return {"question_stem": fields.pop("question"), **fields}


def boolq(row):
    assert row["choices"] == ["false", "true"] and row["question"].endswith("?")
    return {"question": row["question"][:-1], "label": row["label"]}


def hellaswag(row):
    activity, context = row["question"].split(": ", 1)
    return {
        "activity_label": activity,
        "ctx_a": context,
        "ctx_b": "",
        "endings": row["choices"],
        "label": str(row["label"]),
    }


def piqa(row):
    return {"goal": row["question"], "sol1": row["choices"][0], "sol2": row["choices"][1], "label": row["label"]}


def social_iqa(row):
    context, question = row["question"].split(" ", 1)
    answers = dict(zip(["answerA", "answerB", "answerC"], row["choices"], strict=True))
    return {"context": context, "question": question, **answers, "label": str(row["label"] + 1)}


def winogrande(row):
    option1, option2 = row["choices"]
    return {"sentence": row["question"], "option1": option1, "option2": option2, "answer": str(row["label"] + 1)}


# Name in lm_eval: file of rows, lm_eval's task file, fields on the hub, what differs.
TASKS = {
    "arc_challenge": ("ARC-Challenge", "arc/arc_challenge.yaml", arc, ""),
    "arc_easy": ("ARC-Easy", "arc/arc_easy.yaml", arc, ""),
    "boolq": (
        "boolq",
        "super_glue/boolq/default.yaml",
        boolq,
        'doc_to_text: "Question: {{question}}?\\nAnswer:"\nshould_decontaminate: false\n',
    ),
    "hellaswag": ("hellaswag", "hellaswag/hellaswag.yaml", hellaswag, ""),
    "openbookqa": ("openbookqa", "openbookqa/openbookqa.yaml", openbookqa, ""),
    "piqa": ("piqa", "piqa/piqa.yaml", piqa, ""),
    "social_iqa": ("social_i_qa", "siqa/siqa.yaml", social_iqa, ""),
    "winogrande": ("winogrande", "winogrande/default.yaml", winogrande, ""),
}


def write_task(folder, name, shots):
    """A task file for `name`; gives the local task's name and the hash of its rows."""
    file, own, fields, differs = TASKS[name]
    lines = (ROWS / f"{file}.jsonl").read_text().split("\n")[: ITEMS + SHOTS]
    local = f"local_{name}_{shots}"
    for split, part in [("test", lines[:ITEMS]), ("train", lines[ITEMS:])]:
        text = "".join(json.dumps(fields(json.loads(line))) + "\n" for line in part)
        (folder / f"{local}_{split}.jsonl").write_text(text)
    files = json.dumps({split: str(folder / f"{local}_{split}.jsonl") for split in ["test", "train"]})
    (folder / f"{local}.yaml").write_text(
        f"include: {LM_EVAL / own}\ntask: {local}\ntag: local\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs: {{data_files: {files}}}\n"
        "training_split: train\nvalidation_split: null\ntest_split: test\nfewshot_split: train\n"
        f"fewshot_config: {{sampler: first_n}}\nnum_fewshot: {shots}\n{differs}"
    )
    return local, hashlib.sha256("\n".join(lines).encode()).hexdigest()


def asked(sample):
    """The pairs (context, continuation) of a sample, by choice."""
    arguments = sample["arguments"]
    pairs = arguments if isinstance(arguments, list) else [arguments[key] for key in sorted(arguments)]
    return [tuple(pair.values()) if isinstance(pair, dict) else tuple(pair) for pair in pairs]


class Unscored(HFLM):
    """Gives every continuation the same likelihood."""

    def loglikelihood(self, requests, disable_tqdm=False):
        return [(0.0, False) for _ in requests]


model = LlamaForCausalLM(smollm2_model.config).float().eval()
model.load_state_dict(smollm2_model.weights)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=smollm2_model.tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>"
)
settings = {"pretrained": model, "tokenizer": tokenizer, "backend": "causal", "batch_size": 16, "device": "cpu"}
found = {}
with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    written = {(name, shots): write_task(folder, name, shots) for name in TASKS for shots in [0, SHOTS]}
    scored = {key for key in written if key[1] == 0 or key[0] == SCORED_WITH_SHOTS}
    manager = lm_eval_tasks.TaskManager(include_path=str(folder), include_defaults=False)
    for lm, keys in [(Unscored(**settings), set(written) - scored), (HFLM(**settings), scored)]:
        wanted = {key: written[key] for key in sorted(keys)}
        names = [local for local, _ in wanted.values()]
        result = evaluator.simple_evaluate(lm, tasks=names, task_manager=manager, bootstrap_iters=1)
        for (name, shots), (local, rows) in wanted.items():
            samples = sorted(result["samples"][local], key=lambda sample: sample["doc_id"])
            assert len(samples) == ITEMS
            texts = ["".join(f"{context}\0{continuation}\0" for context, continuation in asked(s)) for s in samples]
            entry = {
                "file": f"{TASKS[name][0]}.jsonl",
                "rows": rows,
                "prompts": [hashlib.sha256(text.encode()).hexdigest()[:8] for text in texts],
            }
            if (name, shots) in scored:
                figures = {key.split(",")[0]: value for key, value in result["results"][local].items() if "," in key}
                entry["figures"] = {key: round(value, 9) for key, value in figures.items()}
                entry["logLikelihoods"] = [[round(float(r[0][0]), 5) for r in s["resps"]] for s in samples]
            found.setdefault(name, {})[str(shots)] = entry

write_json("lm_eval.json.gz", found)
packages = ["datasets", "gguf", "lm_eval", "numpy", "tokenizers", "torch", "transformers"]
record("lm_eval_tasks.py", ["lm_eval.json.gz"], packages)
