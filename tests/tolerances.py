"""Relative and absolute tolerances by dtype: the one table that tests compare numbers with.

Float64 identities of small symmetric eigenproblems hold to about n * 1e-16 * ||L||, hence 1e-12 for n <= 50; whole
networks multiply that by their Lipschitz constant, hence 1e-10. Float32 is judged relative to the largest entry.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Tolerance:
    rtol: float
    atol: float


LINEAR_ALGEBRA = {torch.float64: Tolerance(1e-12, 1e-12), torch.float32: Tolerance(1e-4, 1e-5)}
NETWORK = {torch.float64: Tolerance(1e-10, 1e-10), torch.float32: Tolerance(1e-4, 1e-4)}
PARAMETERS_ACROSS_RANKS = {torch.float64: Tolerance(1e-12, 1e-12)}


def tolerance(dtype: torch.dtype, table: dict[torch.dtype, Tolerance] = NETWORK) -> dict[str, float]:
    """Return `rtol` and `atol` for `torch.testing.assert_close`."""
    entry = table[dtype]
    return {"rtol": entry.rtol, "atol": entry.atol}
