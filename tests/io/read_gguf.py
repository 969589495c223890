"""Prints what `gguf` of PyPI reads from a file: python tests/io/read_gguf.py FILE. Tensors are given by their bytes."""

import json
import sys

from gguf import GGUFReader

reader = GGUFReader(sys.argv[1])
print(json.dumps({
    "fields": {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")},
    "tensors": {
        tensor.name: {
            "dtype": tensor.tensor_type.name,
            "shape": [int(n) for n in reversed(tensor.shape)],
            "bytes": tensor.data.tobytes().hex(),
        }
        for tensor in reader.tensors
    },
}))
