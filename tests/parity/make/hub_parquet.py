"""A parquet file in the types of the hub's ARC, by pyarrow: fixtures/arc.parquet. The rows are made up."""

import pyarrow
from provenance import FIXTURES, record
from pyarrow import parquet

rows = [
    {
        "id": f"row-{i}",
        "question": question,
        "choices": {"text": choices, "label": list("ABCDE"[: len(choices)])},
        "answerKey": key,
    }
    for i, (question, choices, key) in enumerate(
        [
            ("Which of these is warm?", ["ice", "the sun", "snow"], "B"),
            ("What does a café sell?", ["coffee", "bricks"], "A"),
        ]
    )
]
parquet.write_table(pyarrow.Table.from_pylist(rows), FIXTURES / "arc.parquet", compression="snappy")
record("hub_parquet.py", ["arc.parquet"], ["pyarrow"])
