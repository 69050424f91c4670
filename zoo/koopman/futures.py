"""What comes after a pair: longer stretches of trajectories, found again in the pairs that they were cut into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Futures:
    """Pairs, and which of them continues which.

    Attributes:
        next_states: successors of M states, (M, d).
        rows: (M,) int64, of each pair the number of one that begins where it ends, to the bit; -1 if there is none.
    """

    next_states: Tensor
    rows: Tensor

    @classmethod
    def of(cls, states: Tensor, next_states: Tensor) -> Self:
        """Return the futures of pairs (M, d)."""
        keys = [np.ascontiguousarray((part + 0.0).cpu().numpy()) for part in (states, next_states)]  # -0.0 is 0.0
        begins, ends = (key.view(np.dtype((np.void, key.dtype.itemsize * key.shape[1])))[:, 0] for key in keys)
        order = np.argsort(begins, kind="stable")
        place = np.searchsorted(begins, ends, sorter=order).clip(max=len(begins) - 1)
        found = order[place]
        return cls(next_states, torch.from_numpy(np.where(begins[found] == ends, found, -1)))

    def after(self, rows: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return the states 1 .. steps lags after the beginnings of some pairs.

        Args:
            rows: numbers of the pairs, (B,) int64.
            steps: number of lags, >= 1.

        Returns:
            (B, steps, d), zero where the trajectory has ended; and whether it has not, (B, steps).
        """
        states, known = [], []
        for _ in range(steps):
            goes_on = rows >= 0
            states.append(self.next_states[rows].where(goes_on[:, None], 0))
            known.append(goes_on)
            rows = self.rows[rows].where(goes_on, -1)
        return torch.stack(states, dim=1), torch.stack(known, dim=1)

    def longest(self, most: int) -> int:
        """Return the number of lags of the longest trajectory, or `most` if that is less."""
        rows = torch.arange(len(self.rows))
        for steps in range(most):
            if not len(rows):
                return steps
            rows = self.rows[rows]
            rows = rows[rows >= 0]
        return most
