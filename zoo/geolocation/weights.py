"""What the weights of a pool depend on, as features that they are linear in: so that any kind stays convex.

scalar    one weight for each map
stratum   one for each map and value of an entry of the batch: features are ones and zeros
gated     linear in 1 and the numbers of an entry, such as how sure a head is
degree    one for each map and band of spherical-harmonic degrees: the maps are split instead
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.checks import require, require_choice, require_positive
from zoo.geolocation.indices import check_indices
from zoo.geolocation.pooling import POOLINGS, Pooling

Weights = Literal["scalar", "stratum", "degree", "gated"]
WEIGHTS: tuple[Weights, ...] = ("scalar", "stratum", "degree", "gated")


@dataclass(frozen=True)
class WeightRule:
    """How weights follow from an image.

    Attributes:
        pooling: what they weigh, see `zoo.geolocation.pooling`.
        weights: see above.
        gate: entry of the batch: (B,) int64 for "stratum", (B, num_gates) for "gated"; None for the others.
        num_gates: number of its values, or of its columns.
        bands: for "degree", first degrees of all bands but the first, ascending; the last has no upper limit.
        degrees: the first degree that the grid does not resolve.

    Raises:
        ValueError: an attribute is out of its range, or does not go with the others.
    """

    pooling: Pooling
    weights: Weights
    gate: str | None
    num_gates: int
    bands: tuple[int, ...]
    degrees: int

    def __post_init__(self) -> None:
        """Check everything."""
        require_choice("pooling", self.pooling, POOLINGS)
        require_choice("weights", self.weights, WEIGHTS)
        gated, banded = self.weights in ("stratum", "gated"), self.weights == "degree"
        require((self.gate is not None) == gated, "gate", self.gate, 'an entry of the batch with "stratum" and "gated"')
        require_positive(num_gates=self.num_gates)
        require(bool(self.bands) == banded, "bands", self.bands, 'degrees with weights="degree", else None')
        require(not banded or self.pooling == "log", "pooling", self.pooling, '"log": a mean has no degrees')
        steps = zip((0, *self.bands), (*self.bands, self.degrees), strict=True)
        ascending = all(type(high) is int and low < high for low, high in steps)
        require(ascending, "bands", self.bands, f"ascending degrees from 1 to {self.degrees - 1}")

    def start(self, num_maps: int) -> Tensor:
        """Return where coefficients (F, K) float64 begin: all weights 1 in a product, and the same in a mean."""
        rows = {"stratum": self.num_gates, "gated": self.num_gates + 1}.get(self.weights, 1)
        start = torch.zeros(rows, num_maps * (len(self.bands) + 1), dtype=torch.float64)
        if self.pooling == "log":
            start[: rows if self.weights == "stratum" else 1] = 1.0
        return start

    def features(self, batch: Mapping[str, Tensor], number: int, like: Tensor) -> Tensor:
        """Return the features (B, F) of the images of a batch, of the dtype and device of `like`.

        Raises:
            ValueError: the entry is missing, has another shape, or a value out of its range.
        """
        if self.gate is None:
            return like.new_ones(number, 1)
        require(self.gate in batch, "batch", sorted(batch), f"an entry {self.gate!r}, which weights depend on")
        values = batch[self.gate]
        if self.weights == "gated":
            shape = tuple(values.shape)
            require(shape == (number, self.num_gates), f"{self.gate}.shape", shape, f"{(number, self.num_gates)}")
            return torch.cat([like.new_ones(number, 1), values.to(like)], dim=1)
        check_indices(self.gate, values, self.num_gates, number)
        return one_hot(values, self.num_gates).to(like)
