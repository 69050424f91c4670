"""Areas at which weighted images reach a share of recall."""

from __future__ import annotations

import torch
from torch import Tensor

LESS = 1 - 1e-12
"""A share that is a little smaller is enough, as sums of weights are rounded."""


def first_reaching(values: Tensor, reached: Tensor, wanted: Tensor | float) -> Tensor:
    """Return the first of ascending values (M,) at which ascending numbers (M,) reach what is wanted; else the last."""
    return values[torch.searchsorted(reached, wanted * LESS).clamp(max=len(values) - 1)]


def area_of_ramps(before: Tensor, tied: Tensor, weight: Tensor, share: float) -> Tensor:
    """Return the least area at which images (M,), each found evenly from `before` to `before + tied`, reach a share."""
    wanted = share * weight.sum() * LESS
    corners = torch.cat([before, before + tied]).unique()

    def found(area: Tensor, at_once: bool = True) -> Tensor:
        """Return the weight found within an area, with or without what is found at once there."""
        ramp = ((area - before) / tied).clamp(0, 1)
        step = (area >= before) if at_once else (area > before)
        return (torch.where(tied > 0, ramp, step.to(ramp)) * weight).sum()

    low, high = 0, len(corners) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bool(found(corners[middle]) >= wanted) else (middle + 1, high)
    end = corners[low]
    reached = found(end, at_once=False)
    if low == 0 or bool(reached < wanted):
        return end
    start = corners[low - 1]
    least = found(start)
    return start + (end - start) * ((wanted - least) / (reached - least)).clamp(0, 1)
