"""Column pivots by LAPACK (scipy.linalg.qr with pivoting, float64) of float32 matrices: pivots.json."""

import numpy as np
import scipy.linalg
from provenance import record, write_json

rng = np.random.default_rng(11)
cases = []
for name, m, n in [("square", 12, 12), ("tall", 20, 7), ("wide", 6, 15), ("one", 1, 1)]:
    w = (rng.standard_normal((m, n)) * rng.exponential(size=n)).astype(np.float32)
    if name == "wide":
        w[:, 9] = w[:, 3] * 2  # dependent on another
        w[:, 4] = 0
    _, r, pivots = scipy.linalg.qr(w.astype(np.float64), pivoting=True)
    diagonal = np.abs(np.diag(r))
    sure = int(np.sum(diagonal > 1e-9 * diagonal[0]))
    cases.append({"name": name, "m": m, "n": n, "w": w.ravel().tolist(), "pivots": pivots[:sure].tolist()})
write_json("pivots.json", cases)
record("pivots.py", ["pivots.json"], ["numpy", "scipy"])
