"""Which pairs a learner was trained on: a sample of their hashes, small, mergeable, and kept with the weights.

Of all hashes the smallest are kept (Bar-Yossef et al., 2002): the same ones in whatever order and on whatever process
the pairs came, so that equal pairs are recognised later. Of training data beyond `CAPACITY` pairs it is a random
sample: one pair in common with other data may go unnoticed, a share of them will not.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

CAPACITY = 4096
"""Hashes that are kept: 32 kB."""

ODD = 0x1E3779B97F4A7C15
"""Tells columns apart, so that exchanged coordinates make other hashes."""

EMPTY = torch.iinfo(torch.int64).max
"""Stands where there is no hash yet."""


class KnownPairs:
    """The smallest hashes of the pairs added so far, which are sums over the data like any others.

    Attributes:
        hashes: (CAPACITY,) int64, ascending, filled up with `EMPTY`.
    """

    def __init__(self, hashes: Tensor | None = None) -> None:
        self.hashes = torch.full((CAPACITY,), EMPTY) if hashes is None else hashes.cpu().clone()

    def update(self, x: Tensor, y: Tensor) -> None:
        """Add pairs, (M, d) each."""
        self._keep(hash_pairs(x, y))

    def count(self, x: Tensor, y: Tensor) -> int:
        """Return how many of some pairs are among those that are known."""
        return int(torch.isin(hash_pairs(x, y), self.hashes).sum())

    def merge(self, other: Self) -> None:
        """Add the pairs of another one."""
        self._keep(other.hashes)

    def _keep(self, hashes: Tensor) -> None:
        smallest = torch.cat([self.hashes, hashes]).unique()[:CAPACITY]
        self.hashes = torch.cat([smallest, torch.full((CAPACITY - len(smallest),), EMPTY)])

    def copy(self) -> Self:
        """Return one of the same pairs that shares nothing with this one."""
        return type(self)(self.hashes)

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that it knows."""
        return {"hashes": self.hashes.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`, copying it."""
        self.hashes = state["hashes"].clone()


def hash_pairs(x: Tensor, y: Tensor) -> Tensor:
    """Return a number for each pair of states (M, d), int64 (M,) on the CPU, the same on any machine."""
    # Adding 0 turns -0 into 0.
    bits = (torch.cat([x, y], dim=1).double() + 0.0).contiguous().view(torch.int64)
    columns = torch.arange(bits.shape[1], device=bits.device) * ODD
    return _mix(_mix(bits + columns).sum(1)).cpu()


def _mix(values: Tensor) -> Tensor:
    """Scatter int64: the finaliser of MurmurHash3, whose products wrap."""
    for factor in (-0xAE502812AA7333, -0x3B314601E57A13AD):  # 0xFF51AFD7ED558CCD and 0xC4CEB9FE1A85EC53, signed
        values = (values ^ (values >> 33 & 0x7FFFFFFF)) * factor
    return values ^ (values >> 33 & 0x7FFFFFFF)
