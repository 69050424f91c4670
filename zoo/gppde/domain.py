"""Boxes, their regular grids and their sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo.checks import require

Side = tuple[int, Literal["lower", "upper"]]


@dataclass(frozen=True)
class Box:
    """The product of closed intervals.

    Attributes:
        lower: the lower ends, one for each coordinate.
        upper: the upper ends.

    Raises:
        ValueError: there is no coordinate, or an interval is empty.

    Example:
        >>> Box((0.0,), (1.0,)).sides
        [(0, 'lower'), (0, 'upper')]
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse empty boxes."""
        object.__setattr__(self, "lower", tuple(map(float, self.lower)))
        object.__setattr__(self, "upper", tuple(map(float, self.upper)))
        require(len(self.lower) == len(self.upper) > 0, "upper", self.upper, "as many ends as `lower`, at least one")
        for start, end in zip(self.lower, self.upper, strict=True):
            finite = math.isfinite(start) and math.isfinite(end)
            require(finite and start < end, "upper", self.upper, f"finite ends above lower={self.lower}")

    @property
    def dimensions(self) -> int:
        """The number d of coordinates."""
        return len(self.lower)

    @property
    def lengths(self) -> tuple[float, ...]:
        """The length of each interval."""
        return tuple(end - start for start, end in zip(self.lower, self.upper, strict=True))

    @property
    def sides(self) -> list[Side]:
        """All sides, in the order of the coordinates, the lower first."""
        return [(dimension, end) for dimension in range(self.dimensions) for end in ("lower", "upper")]

    def grids(self, num_points: int | Sequence[int]) -> list[Tensor]:
        """Return equispaced coordinates with both ends, (N_j,) float64 for each dimension.

        Args:
            num_points: N_j >= 3 for each dimension, or one for all.
        """
        counts = [num_points] * self.dimensions if isinstance(num_points, int) else list(num_points)
        fits = len(counts) == self.dimensions and all(type(count) is int and count >= 3 for count in counts)
        require(fits, "num_points", num_points, f"an integer >= 3, or {self.dimensions} of them")
        return [
            torch.linspace(start, end, count, dtype=torch.float64)
            for start, end, count in zip(self.lower, self.upper, counts, strict=True)
        ]


def mesh(grids: Sequence[Tensor]) -> Tensor:
    """Return the points of a product of grids (N_j,), (N_1, .., N_d, d)."""
    return torch.stack(torch.meshgrid(*grids, indexing="ij"), dim=-1)
