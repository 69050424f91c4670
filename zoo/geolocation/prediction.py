"""What a posterior over the Earth says, in a few numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.geolocation.searched_area import searched_area
from zoo.spectral.grids import Grid
from zoo.spectral.sphere import EARTH_AREA_KM2

MASSES = (0.5, 0.95)
"""Of the regions whose areas are told."""


def describe(log_mass: Tensor, grid: Grid, truth: Tensor | None = None) -> dict[str, Tensor]:
    """Return what posteriors say.

    Args:
        log_mass: (B, N), of sum 1.
        grid: the cells.
        truth: (B,) int64, cells of the truth, where it is known.

    Returns:
        `latitude` and `longitude` (B,) of the densest cell's centre; `area_50` and `area_95` (B,) in km^2, of the
        densest cells that hold so much of the mass; `bits` (B,), the information against the uniform density;
        `log_mass` itself; and with the truth `needed_area` (B,) in km^2, searched until it is found.

    Raises:
        ValueError: a mass is NaN or infinite, or all of a row are 0.
    """
    fine = bool((log_mass < torch.inf).all()) and bool(torch.isfinite(log_mass).any(1).all())
    require(fine, "log_mass", "NaN, +inf or -inf alone", "logarithms of masses of sum 1")
    areas = grid.areas.to(log_mass.device)
    log_density = log_mass - areas.log().to(log_mass)
    centers = grid.centers.to(log_mass.device)[log_density.argmax(1)]
    order = log_density.argsort(1, descending=True)
    held = log_mass.gather(1, order).to(torch.float64).exp().cumsum(1)
    searched = areas[order].cumsum(1)
    described = {"latitude": centers[:, 0], "longitude": centers[:, 1]}
    for mass in MASSES:
        last = (held < mass).sum(1, keepdim=True).clamp(max=held.size(1) - 1)
        described[f"area_{100 * mass:.0f}"] = searched.gather(1, last)[:, 0]
    # Masses of 0, whose logarithm is -inf, hold no information.
    gain = (log_mass.exp() * (log_density + math.log(EARTH_AREA_KM2)).clamp(min=-1e30)).sum(1)
    described["bits"] = gain / math.log(2)
    if truth is not None:
        described["needed_area"] = searched_area(log_density, truth, grid.areas).needed()
    return {**described, "log_mass": log_mass}
