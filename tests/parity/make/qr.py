"""QR factors of small matrices by LAPACK in float64 (scipy.linalg.qr), with diag(R) >= 0: fixtures/qr.json.gz.

Matrices are float32 values, so that a float32 implementation reads the very same ones. Where a leading block is
singular the factors are not unique (`unique` counts the leading columns for which they are); such cases are held to
the properties of a QR instead. Q and R are rounded to 12 digits.
"""

import numpy as np
import scipy.linalg
from provenance import record, write_json

rng = np.random.default_rng(2406)


def normal(m, n):
    return rng.standard_normal((m, n)).astype(np.float32)


def matrices():
    for m, n in [(1, 1), (1, 5), (5, 1), (2, 2), (7, 7), (33, 7), (7, 33), (64, 17), (33, 32), (12, 40), (31, 32)]:
        yield f"normal {m} x {n}", normal(m, n)
    for m, n in [(48, 24), (24, 48)]:
        p = min(m, n)
        u, _ = np.linalg.qr(rng.standard_normal((m, p)))
        v, _ = np.linalg.qr(rng.standard_normal((n, p)))
        w = u * np.arange(1, p + 1) ** -0.9 @ v.T
        yield f"power-law spectrum {m} x {n}", w.astype(np.float32)
    w = normal(20, 9)
    w[:, [0, 4]] = 0
    yield "zero columns", w
    w = normal(20, 9)
    w[:, 3] = w[:, 1]
    w[:, 7] = -2 * w[:, 0]
    yield "duplicate columns", w
    yield "rank 3", (normal(24, 3).astype(np.float64) @ normal(3, 12).astype(np.float64)).astype(np.float32)
    yield "zeros", np.zeros((6, 4), np.float32)
    yield "ones", np.ones((9, 5), np.float32)
    yield "identity", np.eye(8, 6, dtype=np.float32)
    yield "triangular already", np.triu(normal(8, 8))
    yield "entries of 1e-20", normal(17, 9) * np.float32(1e-20)
    yield "entries of 1e15", normal(17, 9) * np.float32(1e15)
    w = normal(17, 9)
    w[:, ::2] *= np.float32(1e-20)
    w[:, 1::2] *= np.float32(1e15)
    yield "columns of 1e-20 beside columns of 1e15", w
    w = normal(17, 9)
    w[::2] *= np.float32(1e-20)
    w[1::2] *= np.float32(1e15)
    yield "rows of 1e-20 beside rows of 1e15", w
    w = np.where(rng.random((18, 10)) < 0.5, np.float32(1e-20), np.float32(1e15)) * normal(18, 10)
    yield "entries of 1e-20 and 1e15 mixed", w.astype(np.float32)
    w = normal(17, 9)
    w[0] = 0
    yield "first row zero", w
    w = np.zeros((6, 3), np.float32)
    w[0] = 1
    w[1:, 1] = np.arange(1, 6) * np.float32(1e-22)
    w[1:, 2] = rng.standard_normal(5)
    yield "a remainder too small to square in float32", w


cases = []
for name, w in matrices():
    q, r = scipy.linalg.qr(w.astype(np.float64), mode="economic")
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    q, r = q * signs, r * signs[:, None]
    # Relative to its own column, a diagonal entry this small is rounding: what it normalises is arbitrary.
    norms = np.linalg.norm(w.astype(np.float64), axis=0)[: len(signs)]
    vanishing = np.flatnonzero(np.diag(r) <= 1e-4 * norms)
    cases.append(
        {
            "name": name,
            "m": w.shape[0],
            "n": w.shape[1],
            "unique": int(vanishing[0]) if len(vanishing) else len(signs),
            "w": [float(str(x)) for x in w.ravel()],  # shortest decimal: rounded to float32 it is w again
            "q": [float(f"{x:.11e}") for x in q.ravel()],
            "r": [float(f"{x:.11e}") for x in r.ravel()],
        }
    )
write_json("qr.json.gz", cases)
record("qr.py", ["qr.json.gz"], ["numpy", "scipy"])
