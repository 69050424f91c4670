"""Which of several equal computations is the fastest, from a table that was measured.

`costs.csv` holds times on one core, forward and backward, by operation, degree and backend, relative to the fastest;
`scripts/measure_gaunt.py` writes it. Other machines differ, by less than backends do from each other.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).with_name("costs.csv")


@lru_cache
def table() -> dict[tuple[str, int, int], dict[str, float]]:
    """Return the measured times by (operation, degree of the arguments, degree of the result), and backend."""
    costs: dict[tuple[str, int, int], dict[str, float]] = {}
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["operation"], int(row["lmax_in"]), int(row["lmax_out"]))
            costs.setdefault(key, {})[row["backend"]] = float(row["relative_time"])
    return costs


def fastest(operation: str, lmax_in: int, lmax_out: int, allowed: Collection[str]) -> str:
    """Return the fastest backend of an operation at the nearest degrees that were measured.

    Args:
        operation: "product" or "convolution".
        lmax_in: degree of the arguments, the larger one.
        lmax_out: degree of the result.
        allowed: backends that can do it, the default first.
    """
    keys = [key for key in table() if key[0] == operation]
    nearest = min(keys, key=lambda key: (abs(key[1] - lmax_in) + abs(key[2] - lmax_out), key))
    times = {backend: time for backend, time in table()[nearest].items() if backend in allowed}
    return min(times, key=times.__getitem__, default=next(iter(allowed)))


def fastest_backend(lmax_in1: int, lmax_in2: int, lmax_out: int, allowed: Collection[str]) -> str:
    """Return the fastest backend of `GauntTensorProduct`."""
    return fastest("product", max(lmax_in1, lmax_in2), lmax_out, allowed)
