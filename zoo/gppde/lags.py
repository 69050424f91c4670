"""Where lags repeat: Toeplitz matrices of regular grids, and tables of the distinct lags of any points.

On a regular grid of N points a stationary kernel has 2 N - 1 distinct lags, not N^2: it is evaluated there only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require

# Coordinates this close, relative to their range, are one; a lattice may be off by as much.
RESOLUTION = 1e-11


def grid_lags(grid: Tensor) -> Tensor:
    """Return the lags 0, h, .. (N - 1) h of a regular grid (N,).

    Raises:
        ValueError: the grid is not ascending and equispaced, or has less than 3 points.
    """
    steps = grid.diff()
    length = float(grid[-1] - grid[0]) if len(grid) else 0.0
    regular = len(grid) >= 3 and length > 0 and float((steps - length / len(steps)).abs().max()) <= 1e-9 * length
    require(regular, "grid", grid.tolist()[:4], "at least 3 equispaced ascending coordinates")
    return torch.arange(len(grid), dtype=grid.dtype, device=grid.device) * (length / len(steps))


def toeplitz(values: Tensor, odd: bool = False) -> Tensor:
    """Return the matrix f(x_i - x_j) on a regular grid from f at its lags >= 0.

    Args:
        values: f at 0, h, .. (N - 1) h, (..., N).
        odd: whether f(-t) = -f(t) instead of f(t).

    Returns:
        (..., N, N).
    """
    n = values.size(-1)
    mirrored = values[..., 1:].flip(-1)
    by_lag = torch.cat([-mirrored if odd else mirrored, values], dim=-1)  # from -(N - 1) h to (N - 1) h
    return by_lag.flip(-1).unfold(-1, n, 1).flip(-2)


@dataclass(frozen=True)
class LagTable:
    """The lags x_i - y_j of coordinates in one dimension, each distinct one once where they repeat much.

    Attributes:
        lags: (T,).
        index: position in `lags` of each pair, (n, m) int64; None if `lags` is (n, m) itself.
    """

    lags: Tensor
    index: Tensor | None

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> LagTable:
        """Return the table of coordinates x (n,) and y (m,)."""
        both = torch.cat([x, y])
        ordered = both.sort().values
        length = float(ordered[-1] - ordered[0])
        if length == 0:
            return cls(torch.zeros(1, dtype=x.dtype), torch.zeros(len(x), len(y), dtype=torch.int64))
        distinct = ordered[torch.cat([torch.ones(1, dtype=torch.bool), ordered.diff() > RESOLUTION * length])]
        count = len(distinct)
        spacing = length / (count - 1)
        position = (both - ordered[0]) / spacing
        if float((position - position.round()).abs().max()) * spacing <= RESOLUTION * length:
            place = position.round().long()
            lags = torch.arange(1 - count, count, dtype=x.dtype) * spacing
            return cls(lags, place[: len(x), None] - place[None, len(x) :] + count - 1)
        if count**2 <= len(x) * len(y):
            place = torch.searchsorted(distinct, both + RESOLUTION * length, right=True) - 1
            lags = (distinct[:, None] - distinct).flatten()
            return cls(lags, place[: len(x), None] * count + place[None, len(x) :])
        return cls(x[:, None] - y, None)

    def expand(self, values: Tensor) -> Tensor:
        """Return the matrix (..., n, m) of a function's values (..., *lags.shape) at `lags`."""
        if self.index is None:
            return values
        return values.index_select(-1, self.index.flatten()).reshape(*values.shape[:-1], *self.index.shape)
