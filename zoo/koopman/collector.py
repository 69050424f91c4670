"""Rows kept as they are, where a sum over them does not suffice: kernels need every snapshot."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from zoo.checks import require, require_positive


class RowCollector:
    """A table with a place for every row; the same on any number of processes.

    Args:
        width: number of columns.
        capacity: number of places.
    """

    def __init__(self, width: int, capacity: int) -> None:
        require_positive(width=width, capacity=capacity)
        self.rows = torch.zeros(capacity, width, dtype=torch.float64)
        self.filled = torch.zeros(capacity, dtype=torch.bool)

    def update(self, rows: Tensor, places: Tensor | None = None) -> None:
        """Put rows (m, width) at places (m,) int64, by default after the last one that is taken.

        Raises:
            ValueError: there is no such place.
        """
        if places is None:
            places = torch.arange(len(rows)) + (int(self.filled.nonzero().max()) + 1 if self.filled.any() else 0)
        capacity = len(self.filled)
        last = int(places.max()) if len(places) else -1
        require(last < capacity, "max_snapshots", capacity, f"at least {last + 1}, or fewer pairs: all are kept")
        self.rows[places.cpu()] = rows.detach().cpu().double()
        self.filled[places.cpu()] = True

    @property
    def taken(self) -> Tensor:
        """The rows, in the order of their places: (number of rows, width)."""
        return self.rows[self.filled]

    def merge(self, other: Self) -> None:
        """Take over the rows of another collector of the same data."""
        self.rows[other.filled] = other.rows[other.filled]
        self.filled |= other.filled

    def copy(self) -> Self:
        """Return a collector of the same rows that shares nothing with this one."""
        twin = type(self)(self.rows.shape[1], len(self.rows))
        twin.load_state_dict(self.state_dict())
        return twin

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that the collector knows; what is taken as 0 and 1, which every backend can send."""
        return {"rows": self.rows.clone(), "filled": self.filled.to(torch.uint8)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`, copying it."""
        self.rows, self.filled = state["rows"].clone(), state["filled"].to(torch.bool)
