"""Singular value decompositions by LAPACK in float64 (numpy.linalg.svd): fixtures/svd.json.gz.

Matrices are float32 values. `simple` counts the leading singular values that are apart from their neighbours by a
tenth of the largest: only their vectors are held to LAPACK's, up to sign. Values and vectors are rounded to 12 digits.
"""

import numpy as np
from provenance import record, write_json

rng = np.random.default_rng(1958)


def normal(m, n):
    return rng.standard_normal((m, n)).astype(np.float32)


def with_values(m, n, values):
    p = min(m, n)
    u, _ = np.linalg.qr(rng.standard_normal((m, p)))
    v, _ = np.linalg.qr(rng.standard_normal((n, p)))
    return (u * values @ v.T).astype(np.float32)


def matrices():
    for m, n in [(1, 1), (1, 5), (5, 1), (2, 2), (7, 7), (23, 7), (7, 23), (16, 16)]:
        yield f"normal {m} x {n}", normal(m, n)
    yield "values 1, 1/2, 1/4 … 20 x 8", with_values(20, 8, 0.5 ** np.arange(8))
    yield "equal values 9 x 6", with_values(9, 6, np.ones(6))
    w = normal(12, 6)
    w[:, [0, 4]] = 0
    yield "zero columns", w
    w = normal(12, 6)
    w[:, 3] = w[:, 1]
    yield "duplicate columns", w
    yield "rank 3", (normal(14, 3).astype(np.float64) @ normal(3, 9).astype(np.float64)).astype(np.float32)
    yield "zeros", np.zeros((6, 4), np.float32)
    yield "ones", np.ones((5, 9), np.float32)
    yield "identity", np.eye(6, 4, dtype=np.float32)
    yield "entries of 1e-20", normal(9, 5) * np.float32(1e-20)
    yield "entries of 1e15", normal(5, 9) * np.float32(1e15)
    w = normal(9, 6)
    w[:, ::2] *= np.float32(1e-20)
    w[:, 1::2] *= np.float32(1e15)
    yield "columns of 1e-20 beside columns of 1e15", w


def digits(values):
    return [float(f"{x:.11e}") for x in values.ravel()]


cases = []
for name, w in matrices():
    u, s, vt = np.linalg.svd(w.astype(np.float64), full_matrices=False)
    simple = 0
    for i in range(len(s)):
        gaps = [abs(s[i] - s[j]) for j in (i - 1, i + 1) if 0 <= j < len(s)] + [s[i]]
        if min(gaps) < 0.1 * s[0] or s[0] == 0:
            break
        simple = i + 1
    cases.append(
        {
            "name": name,
            "m": w.shape[0],
            "n": w.shape[1],
            "simple": simple,
            "w": [float(str(x)) for x in w.ravel()],  # shortest decimal: rounded to float32 it is w again
            "s": digits(s),
            "u": digits(u[:, :simple]),
            "v": digits(vt[:simple].T),
        }
    )
write_json("svd.json.gz", cases)
record("svd.py", ["svd.json.gz"], ["numpy"])
