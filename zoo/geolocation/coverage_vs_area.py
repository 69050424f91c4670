r"""Is a posterior over the Earth as sure as it should be? Expected against observed recall, in km^2.

If p is the true posterior, the truth lies in the densest A km^2 of it with probability L(A), the mass that they hold.
So the mean of L_i(A) over images, the recall that the maps expect, must equal the recall that is observed; where it is
larger, the maps are over-confident at that scale. Likewise the mass u of all cells that are denser than the truth's is
uniform on [0, 1]; the mass of the cells that are as dense as the truth's is searched evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require, require_positive
from zoo.geolocation.recall_vs_area import BUDGETS_KM2
from zoo.geolocation.searched_area import searched_area
from zoo.spectral.grids import Grid, check_areas


class CoverageVsArea(Metric):
    """Calibration of posterior maps: what they promise against what they keep.

    Args:
        grid: the cells of the maps.
        budgets_km2: areas at which both recalls are compared, > 0.
        levels: number of equally spaced masses in (0, 1) at which coverage is measured, > 0.
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    full_state_update = False

    images: Tensor
    expected: Tensor
    observed: Tensor
    covered: Tensor

    def __init__(self, grid: Grid, budgets_km2: Sequence[float] = BUDGETS_KM2, levels: int = 19, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_positive(levels=levels)
        check_areas(grid.areas, "grid.areas")
        require(min(budgets_km2, default=0) > 0, "budgets_km2", budgets_km2, "areas > 0 in km^2")
        self.grid = grid
        self.budgets = torch.tensor(budgets_km2, dtype=torch.float64)
        self.levels = torch.arange(1, levels + 1, dtype=torch.float64) / (levels + 1)
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        for name, size in {"expected": len(self.budgets), "observed": len(self.budgets), "covered": levels}.items():
            self.add_state(name, torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, mass: Tensor, truth: Tensor, *, log: bool = False) -> None:
        """Add posterior maps.

        Args:
            mass: (B, N) >= 0, the mass of each cell, or its logarithm; normalised here.
            truth: (B,) int64 cells, or (B, 2) latitudes and longitudes in degrees.
            log: masses are given as logarithms.

        Raises:
            ValueError: a mass is negative, NaN, or all are 0; or see `searched_area`.
        """
        if truth.is_floating_point() or truth.dim() == 2:
            truth = self.grid.locate(truth.cpu()).to(truth.device)
        require(truth.dim() == 1, "truth.shape", tuple(truth.shape), "(B,) cells, or (B, 2) places")
        shape, needed = tuple(mass.shape), (len(truth), self.grid.n)
        require(shape == needed, "mass.shape", shape, f"{needed}: images, cells")
        mass = mass.to(torch.float64)
        fine = not bool(torch.isnan(mass).any()) and (log or bool((mass >= 0).all()))
        require(fine, "mass", "a map with NaN or negative masses", "masses >= 0, or their logarithms with log=True")
        mass = torch.softmax(mass, 1) if log else mass / mass.sum(1, keepdim=True)
        require(bool(torch.isfinite(mass).all()), "mass", "a map without any mass", "masses with a positive sum")
        areas, budgets = self.grid.areas.to(mass.device), self.budgets.to(mass.device)
        density = mass / areas
        searched = searched_area(density, truth, areas)

        order = density.argsort(1, descending=True)
        area = areas[order].cumsum(1)
        held = mass.gather(1, order).cumsum(1)
        zero = torch.zeros_like(area[:, :1])
        area, held = torch.cat([zero, area], 1), torch.cat([zero, held], 1)
        # The cell in which the budget ends is searched in part.
        cell = torch.searchsorted(area, budgets.expand(len(area), -1).contiguous()).clamp(1, area.size(1) - 1)
        start, end = area.gather(1, cell - 1), area.gather(1, cell)
        share = ((budgets - start) / (end - start)).clamp(0, 1)
        expected = held.gather(1, cell - 1) * (1 - share) + held.gather(1, cell) * share

        target = density.gather(1, truth[:, None])
        before = torch.where(density > target, mass, 0.0).sum(1, keepdim=True)
        tied = torch.where(density == target, mass, 0.0).sum(1, keepdim=True)
        beyond = self.levels.to(mass.device) - before
        covered = torch.where(tied > 0, (beyond / tied).clamp(0, 1), (beyond >= 0).to(torch.float64))

        self.images = self.images + len(mass)
        self.expected = self.expected + expected.sum(0)
        self.observed = self.observed + searched.recall(budgets).sum(0)
        self.covered = self.covered + covered.sum(0)

    def compute(self) -> dict[str, Tensor]:
        """Return both recalls and the coverage.

        Returns:
            `budgets` (K,) in km^2, `expected` and `observed` recall (K,), `gap` their difference, positive where the
            maps are over-confident; `levels` (L,) and `coverage` (L,), the share of images whose truth lies in the
            densest cells that hold so much mass; `calibration_error`, the largest |coverage - level|; `images`. Without
            any image they are NaN.
        """
        expected, observed = self.expected / self.images, self.observed / self.images
        coverage = self.covered / self.images
        return {
            "budgets": self.budgets,
            "expected": expected,
            "observed": observed,
            "gap": expected - observed,
            "levels": self.levels,
            "coverage": coverage,
            "calibration_error": (coverage - self.levels.to(coverage.device)).abs().max(),
            "images": self.images,
        }
