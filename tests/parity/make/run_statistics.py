"""What SciPy says of equivalence, censored arrivals and ranges of rates: fixtures/run_statistics.json."""

import numpy as np
from provenance import record, write_json
from scipy import optimize, stats

rng = np.random.default_rng(1987)

tails = [
    {"t": t, "freedom": nu, "p": stats.t.sf(t, nu)}
    for t, nu in [(0, 3), (1.5, 1), (-1.5, 1), (2.776445, 4), (-0.3, 9), (8, 9), (40, 2), (3, 2.5)]
]

equivalences = []
for n, shift, spread, margin in [
    (10, 0, 0.02, 0.02),
    (10, 0.015, 0.02, 0.02),
    (3, 0.01, 0.05, 0.3),
    (30, -0.04, 0.01, 0.02),
]:
    d = np.round(shift + spread * rng.standard_normal(n), 4)
    above = stats.ttest_1samp(d, -margin, alternative="greater")
    below = stats.ttest_1samp(d, margin, alternative="less")
    interval = stats.ttest_1samp(d, 0).confidence_interval(0.9)
    equivalences.append(
        {"values": d.tolist(), "margin": margin, "p": max(above.pvalue, below.pvalue), "interval": list(interval)}
    )

survivals = []
for steps, censored in [
    ([120, 250, 310, 400, 400], [False, False, False, True, True]),
    ([100, 400, 400, 400], [False, True, True, True]),
    ([5, 5, 7, 9, 9, 9, 12], [False, False, True, False, True, False, False]),
    ([30, 10, 20], [False, False, False]),
    ([30, 10, 20, 40], [False, False, False, False]),
    ([10, 20, 30, 40, 50, 60], [True, False, True, False, True, False]),
]:
    steps, censored = np.array(steps), np.array(censored)
    data = stats.CensoredData(uncensored=steps[~censored], right=steps[censored])
    sf = stats.ecdf(data).sf
    # SciPy repeats the share at censored steps; ours has a point for each arrival.
    keep = np.isin(sf.quantiles, steps[~censored])
    half = np.flatnonzero(sf.probabilities <= 0.5 + 1e-12)
    survivals.append(
        {
            "steps": steps.tolist(),
            "censored": censored.tolist(),
            "quantiles": sf.quantiles[keep].tolist(),
            "shares": sf.probabilities[keep].tolist(),
            "median": float(sf.quantiles[half[0]]) if len(half) else None,
        }
    )

ranges = []
for rates, losses in [
    ([1e-4, 1e-3, 1e-2], [2.5, 2.0, 3.0]),
    ([1e-5, 3e-5, 1e-4, 3e-4, 1e-3], [2.6, 2.4, 2.395, 2.39, 2.7]),
    ([1e-4, 3e-4, 1e-3, 3e-3], [1.2, 1.01, 1.0, 1.005]),
]:
    x, best = np.log10(rates), int(np.argmin(losses))
    limit = 1.01 * losses[best]
    off = lambda z: np.interp(z, x, losses) - limit
    ends = [
        optimize.brentq(off, *sorted((x[best], x[end]))) if losses[end] > limit else x[end]
        for end in (0, len(rates) - 1)
    ]
    ranges.append({"rates": rates, "losses": losses, "low": 10 ** ends[0], "high": 10 ** ends[1]})

write_json(
    "run_statistics.json", {"tails": tails, "equivalences": equivalences, "survivals": survivals, "ranges": ranges}
)
record("run_statistics.py", ["run_statistics.json"], ["numpy", "scipy"])
